"""Runs of optimizers: updates, training, sweeps over samples, line searches."""
