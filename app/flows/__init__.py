"""One business story per file, told top to bottom; the only place where domains meet."""
