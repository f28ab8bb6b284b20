"""Epochs, batches, validation, checkpoints; implicit SGD."""
