"""What a problem does: posedness, basins, explanations, convergence, consistency, families."""
