"""The `blp` command: each group in a file of its own."""

import sys

import typer

from app.cli.access import api_key, staff
from app.cli.books import books
from app.cli.catalog import catalog
from app.cli.clock import clock
from app.cli.documents import documents
from app.cli.explain import explain
from app.cli.licenses import licenses
from app.cli.processes import processes
from app.cli.screening import screening
from app.cli.signing_keys import signing_keys
from app.cli.tax import tax
from app.config import Misconfigured
from app.core.errors import DomainError

cli = typer.Typer(
    help="BLP: sell, license and provision software. `blp COMMAND --help` explains each command.",
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False,
)  # fmt: skip
for room in (processes, books):
    cli.add_typer(room)
for name, group in (
    ("catalog", catalog), ("keys", signing_keys), ("license", licenses), ("explain", explain),
    ("clock", clock), ("tax", tax), ("screening", screening), ("documents", documents),
    ("staff", staff), ("api-key", api_key),
):  # fmt: skip
    cli.add_typer(group, name=name)


def main() -> None:
    """Refusals are sentences on standard error, never tracebacks."""
    try:
        cli()
    except Misconfigured as exc:
        typer.echo(exc.text, err=True)
        sys.exit(2)
    except DomainError as exc:
        typer.echo(f"{exc.title}: {exc.detail}", err=True)
        sys.exit(1)
