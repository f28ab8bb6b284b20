"""Fits: nonlinear least squares, their residuals and Jacobians, and losses that let outliers count less."""
