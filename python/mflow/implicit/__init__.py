"""Implicit SGD: linear models, and models with residuals."""
