"""Programs: flat lists of steps, which sweeps over a graph emit."""
