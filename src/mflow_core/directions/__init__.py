"""The families of directions: kernels and method records, compiled once per instruction-set level."""
