"""Outside parties, one folder each."""
