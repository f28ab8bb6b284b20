"""Derivatives by differences, and tests of those that the user gives; what slopes beside a state tell of it."""
