"""A product's program as NumPy source that needs no rop: what `Listing.numpy` writes."""
