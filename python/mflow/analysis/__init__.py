"""Analyses of problems: posedness, basins, explanations, convergence, consistency, families."""
