"""What a run under error control meets on its way: walls, numbers that no solution crosses, jumps of f, poles in time."""
