"""The optimizers: steepest descent and momentum, steps divided by the size of gradients, signs, averages."""
