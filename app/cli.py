"""The `blp` command."""
