"""`play`: a product step by step in a page of its own, for a browser or a notebook."""
