"""Compiled costs: values, gradients, products with the Hessian."""
