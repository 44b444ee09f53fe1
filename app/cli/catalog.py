"""`blp catalog`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.installation import installation
from app.config import load
from app.core import keys
from app.wiring import Wired

catalog = typer.Typer(help="What is sold: compare a catalog file with the database and apply it.", no_args_is_help=True)


@catalog.command("apply")
def catalog_apply(
    file: Annotated[Path, typer.Argument(help="The catalog, YAML; app/data/catalog.yaml is a complete sample.")],
    yes: Annotated[bool, typer.Option("--yes", help="Apply without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
) -> None:
    """Show what a catalog file would change, then apply it. Applying it again changes nothing."""
    from app.flows import apply_catalog

    with installation(load()) as wired:
        by = f"cli:{os.environ.get('USER', 'operator')}"
        now = wired.ports.clock.now()
        with _dry(wired) as tx:
            changes = apply_catalog.apply(tx, file, by=by, now=now)
        typer.echo("\n".join(changes) or "Nothing to change.")
        if not changes or dry_run:
            return
        if not yes and not typer.confirm(f"Apply these {len(changes)} changes?"):
            raise typer.Exit(1)
        with wired.ports.db.transaction() as tx:
            apply_catalog.apply(tx, file, by=by, now=now)
            made = keys.ensure(tx, wired.ports.secrets, by=by, now=now)
        typer.echo(f"Applied {len(changes)} changes.")
        for key in made:
            typer.echo(f"Created the {key.purpose} key {key.kid}.")


class _Undo(Exception):
    pass


@contextmanager
def _dry(wired: Wired) -> Iterator[Any]:
    """A unit of work that is always rolled back."""
    with suppress(_Undo), wired.ports.db.transaction() as tx:
        yield tx
        _undo()


def _undo() -> None:
    raise _Undo
