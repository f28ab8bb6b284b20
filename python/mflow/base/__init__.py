"""What every other folder uses: methods as Python sees them, results, checks of arguments, progress, saved files, tables."""
