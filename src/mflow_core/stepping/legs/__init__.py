"""A run of two methods in legs: when one of them goes on where the other should not."""
