"""What shows a program, a graph or a run: listings, drawings, plots."""
