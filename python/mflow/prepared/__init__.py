"""Solvers and fits that are prepared once and called again and again."""
