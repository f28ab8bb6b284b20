"""Implicit SGD: linear models, and models with residuals."""

from mflow.implicit import residuals as residuals  # registers what `mflow.ImplicitSGD` makes with residual=
