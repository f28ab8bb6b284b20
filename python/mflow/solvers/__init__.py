"""Nonlinear and linear solvers of implicit methods, and the tangents that they need."""
