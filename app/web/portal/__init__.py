"""HTML doors for customers."""
