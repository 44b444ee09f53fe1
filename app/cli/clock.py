"""`blp clock`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.cli.installation import installation
from app.config import load

clock = typer.Typer(help="The sandbox's business clock.", no_args_is_help=True)


@clock.command("show")
def clock_show() -> None:
    """Business time."""
    with installation(load()) as wired:
        typer.echo(wired.ports.clock.now().isoformat(timespec="seconds"))


@clock.command("advance")
def clock_advance(
    days: Annotated[int, typer.Option(help="How many days to walk.")] = 0,
    to: Annotated[datetime | None, typer.Option(help="Or the instant to walk to (UTC).")] = None,
) -> None:
    """Walk the sandbox's business time forward, tick by tick; a worker has to be running."""
    settings = load()
    if not settings.sandbox:
        raise typer.BadParameter("Only a sandbox's clock can be advanced.")
    with installation(settings) as wired:
        from app.adapters.sandbox import clock_walk

        target = to.replace(tzinfo=UTC) if to else wired.ports.clock.now() + timedelta(days=days)
        stops = clock_walk.advance(wired.ports, target)
        typer.echo(f"{wired.ports.clock.now().isoformat(timespec='seconds')} after {stops} stops")
