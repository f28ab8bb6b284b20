"""Runs: steps, output, the energy ledger, checkpoints, steppers, the probe of a method's linear map."""
