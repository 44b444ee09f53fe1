"""Money in, and the attempts to get it."""
