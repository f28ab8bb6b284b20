"""Fits: the loop of Levenberg and Marquardt, its triangles, its residuals, and many fits at once."""
