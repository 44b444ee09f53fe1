"""Finance: reports and the books."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.installation import installation
from app.config import load
from app.reports.shape import Format

books = typer.Typer()


@books.command()
def report(
    name: Annotated[str, typer.Argument(help="invoice_register, payments_received, tax_by_jurisdiction, …")],
    first: Annotated[str, typer.Option("--from", help="First day, 2026-11-01.")],
    last: Annotated[str, typer.Option("--to", help="Last day, included.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As known at the end of this day, or at this instant.")
    ] = None,
    file_format: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.CSV,
    manifest: Annotated[Path | None, typer.Option(help="Also write the manifest (rows, totals, SHA-256) here.")] = None,
) -> None:
    """Write a finance report to standard output. The same call gives the same bytes."""
    from app.reports import registry
    from app.reports.shape import Period, read_as_of, read_day

    period = Period(read_day(first, "from"), read_day(last, "to"))
    known = read_as_of(as_of) if as_of else None
    with installation(load()) as wired:
        facts = registry.write(wired.ports.db, name, period, known, file_format, sys.stdout.buffer.write)
    if manifest is not None:
        manifest.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


@books.command(name="verify-books")
def verify_books() -> None:
    """Check ledger, numbers, payments, licenses and audit chains against each other. Exit status 1 on a finding."""
    from app.reports.verify_books import verify

    with installation(load()) as wired:
        findings = verify(wired.ports.db)
    for finding in findings:
        typer.echo(f"{finding.check}: {finding.subject}: {finding.detail}")
    raise typer.Exit(1 if findings else 0)
