"""What a right result is, written down without the library: formulas of methods, losses, tableaus and series."""
