"""`blp license`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.cli.installation import installation
from app.config import load
from app.core import keys
from app.core.clock import transport_now
from app.core.keys import KeyPurpose

licenses = typer.Typer(help="License files.", no_args_is_help=True)


@licenses.command("verify")
def license_verify(
    file: Annotated[Path, typer.Argument(help="The license file.")],
    key: Annotated[
        Path | None, typer.Option(help="Public key, PEM or JWKS; this installation's keys otherwise.")
    ] = None,
    at: Annotated[datetime | None, typer.Option(help="Judge as of this time (UTC) instead of now.")] = None,
) -> None:
    """Check a license file offline. Exit status 0: would be accepted, 1: would not, 2: wrong usage."""
    from app.licenses.verify import load_keys, verify_license_file

    try:
        data = file.read_bytes()
        public = load_keys(key.read_bytes() if key else _published_pem())
    except OSError as exc:
        raise typer.BadParameter(f"{exc.filename}: {exc.strerror}") from exc
    when = at.replace(tzinfo=UTC) if at else transport_now()
    report = verify_license_file(data, public, when)
    typer.echo("\n".join(report.lines()))
    raise typer.Exit(0 if report.accepted else 1)


def _published_pem() -> bytes:
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        found = keys.published(tx, KeyPurpose.LICENSE_FILE)
        if not found:
            raise typer.BadParameter("This installation has no license key; give one with --key.")
        return "".join(each.public_pem for each in found).encode()
