"""License files and tokens as bytes: written, read, checked. Nothing here knows the database."""
