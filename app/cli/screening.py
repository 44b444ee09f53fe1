"""`blp screening`: the lists of parties that nobody may sell to, which the operator supplies."""

import os
from pathlib import Path
from typing import Annotated

import typer

screening = typer.Typer(help="Lists of parties nobody may sell to: import them.", no_args_is_help=True)


@screening.callback()
def group() -> None:
    """A group with one command so far."""


@screening.command("import")
def screening_import(
    file: Annotated[Path, typer.Argument(help="The whole list, as it is published; see docs/screening.md.")],
    code: Annotated[str, typer.Option("--list", help="csl for the US Consolidated Screening List, else eu, uk, un, …")],
    kind: Annotated[str, typer.Option("--format", help="json (csl only) or csv; else by the file's ending.")] = "",
    version: Annotated[str, typer.Option("--version", help="What the list calls itself; the day if left out.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only check the file; needs no database.")] = False,
) -> None:  # fmt: skip
    """Import a list, all of it or nothing, and compare everybody with what is new. The worker does the comparing."""
    from app.screening import list_files

    chosen = kind or ("json" if file.suffix.lower() == ".json" else "csv")
    if chosen not in {"json", "csv"}:
        raise typer.BadParameter("it is json or csv", param_hint="--format")
    try:
        content = file.read_bytes()
    except OSError as exc:
        raise typer.BadParameter(f"{file} cannot be read: {exc}") from exc
    shape: list_files.Format = "json" if chosen == "json" else "csv"
    if check:
        typer.echo(f"{len(list_files.read(content, code, shape))} entries of {code} can be imported.")
        return
    from app.cli.installation import installation
    from app.config import load
    from app.flows import rescreening

    by = f"cli:{os.environ.get('USER', 'operator')}"
    with installation(load()) as wired:
        done = rescreening.import_list(wired.ports, content, code=code, kind=shape, version=version, by=by)
    typer.echo(
        f"{done.list_code}: {done.entries} entries, {done.added} added, {done.changed} changed, {done.removed} removed"
        f" (version {done.version_id}). Every account is compared with what is new."
    )
