"""Events along a run: where functions of its state change sign."""
