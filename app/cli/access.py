"""Who may come in: `blp staff` and `blp api-key`."""

from typing import Annotated

import typer

from app.cli.installation import installation
from app.config import load
from app.core.clock import transport_now
from app.core.errors import NotFound

staff = typer.Typer(help="The first member of staff, and the way back in after a lost device.", no_args_is_help=True)
api_key = typer.Typer(help="The vendor's first API key; it makes the others over the API.", no_args_is_help=True)


@staff.command("add")
def staff_add(
    email: Annotated[str, typer.Argument(help="Where the sign-in mail goes.")],
    name: Annotated[str, typer.Option(help="As colleagues know the person.")],
) -> None:
    """Add the first administrator. Refused once there is staff: an administrator adds the next in the console."""
    from app.accounts import staff as people

    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        person = people.add_first(tx, email=email, name=name, now=wired.ports.clock.now())
        typer.echo(f"{person.email} administers. Sign in at {wired.ports.link('/console')}.")
        typer.echo("The first sign-in sets up a second factor.")


@staff.command("reset-second-factor")
def staff_reset_second_factor(email: Annotated[str, typer.Argument(help="Whose authenticator is lost.")]) -> None:
    """End the sessions of a member of staff and let the next sign-in set up a new authenticator."""
    from app.accounts import staff as people
    from app.accounts.addresses import normal_email

    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        person = people.of_person(tx, normal_email(email))
        if person is None:
            raise NotFound("There is nobody on staff with this address.", param="email")
        people.reset_second_factor(tx, person.id, by="command-line", now=wired.ports.clock.now())
        typer.echo(f"{person.email} is signed out everywhere and sets up a new authenticator at the next sign-in.")


@api_key.command("create")
def api_key_create(
    name: Annotated[str, typer.Argument(help="Which program will use it.")],
    scope: Annotated[list[str], typer.Option(help="What it may do, such as reports:read; repeat for several.")],
) -> None:
    """A key of the vendor, valid for a year, for every account. It is printed once and stored as a hash."""
    from app.accounts import api_keys

    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        _, secret = api_keys.create(
            tx, wired.ports.secrets, name=name, scopes=scope, account_id=None, actor="command-line",
            now=transport_now(),
        )  # fmt: skip
    typer.echo(secret)
