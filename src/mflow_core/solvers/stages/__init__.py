"""Equations of stages: those that are solved together."""
