"""Blocks of trajectories: a lane is the place of one trajectory in a SIMD block."""
