"""Analyses of problems: posedness, basins, certificates, explanations, families."""
