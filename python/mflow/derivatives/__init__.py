"""Derivatives by differences, and tests of those that the user gives."""
