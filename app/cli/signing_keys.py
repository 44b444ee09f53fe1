"""`blp keys`."""

from time import perf_counter
from typing import Annotated

import typer

from app.cli.installation import installation
from app.config import load
from app.core import keys
from app.core.keys import KeyPurpose
from app.flows import compromise, key_life

signing_keys = typer.Typer(help="Signing keys: list, create, rotate, retire, revoke.", no_args_is_help=True)


@signing_keys.command("list")
def keys_list() -> None:
    """Every key there was with its state, and what rests on it."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        for each in key_life.figures(tx, wired.ports.clock.now()):
            key = each.key
            until = f" until {key.valid_to:%Y-%m-%d %H:%M}" if key.valid_to else ""
            rests = f"  ({each.in_use})" if each.in_use else ""
            typer.echo(
                f"{key.kid}  {key.purpose}  {key.algorithm}  {each.state}  signs from {key.signs_from:%Y-%m-%d %H:%M}"
                f"{until}{rests}"
            )


@signing_keys.command("create")
def keys_create(purpose: Annotated[KeyPurpose, typer.Argument(help="What the key signs.")]) -> None:
    """A new key; it signs from now on, and older ones stay good for verifying."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        key = keys.create(tx, wired.ports.secrets, purpose, by="cli", now=wired.ports.clock.now())
        typer.echo(f"{key.kid}\n{key.public_pem}")


@signing_keys.command("rotate")
def keys_rotate(purpose: Annotated[KeyPurpose, typer.Argument(help="What the key signs.")]) -> None:
    """Publish a successor; it signs once the overlap is over, and the one before it is published on."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        key = keys.rotate(tx, wired.ports.secrets, purpose, by="cli", now=wired.ports.clock.now())
        typer.echo(f"{key.kid} is published, and signs from {key.signs_from:%Y-%m-%d %H:%M} UTC.\n{key.public_pem}")


@signing_keys.command("retire")
def keys_retire(kid: Annotated[str, typer.Argument()]) -> None:
    """Stop publishing a key that signs no more. Refused, with the figures, while what it signed is in use."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        key_life.retire(tx, kid, by="cli", now=wired.ports.clock.now())
        typer.echo(f"{kid} is retired.")


@signing_keys.command("revoke")
def keys_revoke(
    kid: Annotated[str, typer.Argument()], why: Annotated[str, typer.Option(help="Kept in the audit log.")]
) -> None:
    """Stop publishing a key: nothing it signed verifies any more. Revoking the last of a purpose is refused."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        keys.revoke(tx, kid, by="cli", why=why, now=wired.ports.clock.now())
        typer.echo(f"{kid} is revoked.")


@signing_keys.command("compromised")
def keys_compromised(
    kid: Annotated[str, typer.Argument()],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    drill: Annotated[
        bool, typer.Option("--drill", help="Do it in a transaction, measure, and take it all back.")
    ] = False,
) -> None:
    """Somebody else may have the key: revoke it, sign with a new one, issue every license in force anew, list the old.

    Safe to repeat: a run that was cut off goes on where it was.
    """
    with installation(load()) as wired:
        began = perf_counter()
        if drill:
            drilled = compromise.drill(wired.ports, kid)
            typer.echo(
                f"Drill: {drilled.reissued} licenses in {drilled.seconds:.1f} s, {drilled.per_thousand:.2f} s per"
                " thousand; nothing was kept."
            )
            return
        if not yes:
            typer.confirm(f"Revoke {kid} at once and issue everything it signed anew?", abort=True)
        done = compromise.compromised(wired.ports, kid, by="cli", progress=lambda so_far: typer.echo(
            f"{so_far} licenses issued anew, {perf_counter() - began:.1f} s"
        ))  # fmt: skip
        typer.echo(f"{kid} is revoked; {done.successor_kid} signs. {done.reissued} licenses issued anew in"
                   f" {perf_counter() - began:.1f} s.")  # fmt: skip
