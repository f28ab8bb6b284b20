"""Nonlinear and linear solves of implicit methods, and the tangents that they need."""
