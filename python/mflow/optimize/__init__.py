"""Minima: descent, line searches, batches."""
