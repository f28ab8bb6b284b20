"""Minima: descent, line searches, least squares, batches."""
