"""Implicit SGD on residuals and on several classes."""
