"""`blp keys`."""

from typing import Annotated

import typer

from app.cli.installation import installation
from app.config import load
from app.core import keys
from app.core.keys import KeyPurpose

signing_keys = typer.Typer(help="Signing keys: list, create, rotate, revoke.", no_args_is_help=True)


@signing_keys.command("list")
def keys_list() -> None:
    """Every published key, oldest first."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        for key in keys.published(tx):
            until = f" until {key.valid_to:%Y-%m-%d}" if key.valid_to else ""
            typer.echo(f"{key.kid}  {key.purpose}  {key.algorithm}  from {key.valid_from:%Y-%m-%d}{until}")


@signing_keys.command("create")
def keys_create(purpose: Annotated[KeyPurpose, typer.Argument(help="What the key signs.")]) -> None:
    """A new key; it signs from now on, and older ones stay good for verifying."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        key = keys.create(tx, wired.ports.secrets, purpose, by="cli", now=wired.ports.clock.now())
        typer.echo(f"{key.kid}\n{key.public_pem}")


@signing_keys.command("rotate")
def keys_rotate(purpose: Annotated[KeyPurpose, typer.Argument(help="What the key signs.")]) -> None:
    """A new key takes over signing; the one before it is published on, so that what it signed stays verifiable."""
    keys_create(purpose)


@signing_keys.command("revoke")
def keys_revoke(
    kid: Annotated[str, typer.Argument()], why: Annotated[str, typer.Option(help="Kept in the audit log.")]
) -> None:
    """Stop publishing a key: nothing it signed verifies any more. Revoking the last of a purpose is refused."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        keys.revoke(tx, kid, by="cli", why=why, now=wired.ports.clock.now())
        typer.echo(f"{kid} is revoked.")
