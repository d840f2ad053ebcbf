"""The objective, and its products at one θ and batch."""
