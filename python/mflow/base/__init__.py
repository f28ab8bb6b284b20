"""What everything stands on: methods as Python sees them, results, checks of arguments, progress, saved files, tables."""
