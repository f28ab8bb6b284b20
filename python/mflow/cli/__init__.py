"""The `mflow` command, one file a subcommand."""
