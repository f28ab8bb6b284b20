"""Runs of a few steps in few calls."""
