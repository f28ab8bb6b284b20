"""Equations of stages: solved together, with a matrix M, linearly implicit."""
