"""License records, their renderings and their checks."""
