"""HTML doors for the vendor's staff."""
