"""`blp license`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.installation import installation
from app.config import load
from app.core import keys
from app.core.clock import transport_now

if TYPE_CHECKING:
    from app.licenses.formats.trust import Trust

licenses = typer.Typer(help="License files.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(help="The license file or token.")]
_At = Annotated[datetime | None, typer.Option(help="Judge as of this time (UTC) instead of now.")]
_LicenseKey = Annotated[str | None, typer.Option(help="Opens an encrypted Keygen file.")]
_Fingerprint = Annotated[str | None, typer.Option(help="Of the server that a machine file is for.")]
_Revocations = Annotated[
    list[Path] | None, typer.Option(help="A signed revocation list, whole; then the deltas that continue it.")
]


@licenses.command("verify")
def license_verify(
    file: _File,
    key: Annotated[
        Path | None, typer.Option(help="Public key, PEM or JWKS; this installation's keys otherwise.")
    ] = None,
    at: _At = None,
    license_key: _LicenseKey = None,
    fingerprint: _Fingerprint = None,
    revocations: _Revocations = None,
) -> None:
    """Check a Mattermost or Keygen license file, a machine file or a license token offline.

    Exit status 0: would be accepted, 1: would not, 2: wrong usage.
    """
    from app.licenses.formats.trust import Trust
    from app.licenses.formats.verify_any import verify_license
    from app.licenses.revocation_check import against

    try:
        data, lists = file.read_bytes(), _lists(revocations)
        trust = Trust.read(key.read_bytes()) if key else _published()
    except OSError as exc:
        raise typer.BadParameter(f"{exc.filename}: {exc.strerror}") from exc
    when = at.replace(tzinfo=UTC) if at else transport_now()
    report = verify_license(data, trust, when, license_key, fingerprint)
    if lists:
        report = against(report, lists, trust.revocations)
    typer.echo("\n".join(report.lines()))
    raise typer.Exit(0 if report.accepted else 1)


@licenses.command("doctor")
def license_doctor(
    file: _File,
    key: Annotated[
        Path | None, typer.Option(help="Public key, PEM or JWKS: judge offline; else this installation is asked.")
    ] = None,
    at: _At = None,
    license_key: _LicenseKey = None,
    fingerprint: _Fingerprint = None,
    revocations: _Revocations = None,
) -> None:
    """Say all there is about a license file: signature, key, state on record, servers, and what stops when.

    Exit status 0: would be accepted, 1: would not, 2: wrong usage.
    """
    from app.core.signing import UnusableKey
    from app.licenses import doctor
    from app.licenses.formats.trust import Trust

    when = at.replace(tzinfo=UTC) if at else None
    opener = doctor.Opener(license_key, fingerprint)
    try:
        data, lists = file.read_bytes(), _lists(revocations)
        if key is not None:
            found = doctor.offline(data, Trust.read(key.read_bytes()), when or transport_now(), opener, lists)
        else:
            with installation(load()) as wired, wired.ports.db.transaction() as tx:
                found = doctor.diagnose(tx, data, when or wired.ports.clock.now(), transport_now(), opener, lists)
    except OSError as exc:
        raise typer.BadParameter(f"{exc.filename}: {exc.strerror}") from exc
    except UnusableKey as exc:
        raise typer.BadParameter(exc.detail) from exc
    typer.echo("\n".join(found.lines()))
    raise typer.Exit(0 if found.accepted else 1)


def _lists(files: list[Path] | None) -> list[bytes]:
    from app.licenses.revocation_check import lists_in

    return [text for each in files or () for text in lists_in(each.read_bytes())]


def _published() -> "Trust":
    from app.licenses.formats.trust import Trust

    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        found = keys.published(tx)
        if not found:
            raise typer.BadParameter("This installation has no license key; give one with --key.")
        return Trust.of(found)
