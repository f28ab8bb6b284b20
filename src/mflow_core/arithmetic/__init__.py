"""Vectors, dot products, scalars, the step controller's powers, reductions: one written order of association."""
