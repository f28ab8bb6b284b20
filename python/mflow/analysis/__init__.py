"""Analyses of problems: posedness, basins, certificates, families."""
