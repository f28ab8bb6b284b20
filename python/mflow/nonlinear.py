"""Solvers of implicit equations, by their public name: see `mflow.solvers.nonlinear`."""

from mflow.solvers.nonlinear import FixedPoint, Newton, NewtonKrylov, color_columns

__all__ = ["FixedPoint", "Newton", "NewtonKrylov", "color_columns"]  # what a user hands to a driver; what drivers make of it is theirs
