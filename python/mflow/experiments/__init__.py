"""Many runs side by side: sweeps, the search for a learning rate, comparisons."""
