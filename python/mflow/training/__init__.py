"""Epochs, batches, validation, checkpoints."""
