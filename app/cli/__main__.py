"""`python -m app.cli`: the same as `blp`."""

from app.cli import main

main()
