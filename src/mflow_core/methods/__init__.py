"""The families of methods: kernels and method records, compiled once per instruction-set level."""
