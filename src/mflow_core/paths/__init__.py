"""Paths of a cost to where its gradient is small, and distances from them."""
