"""`blp tax override`: what was decided instead of the tax data on file."""

import os
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

override = typer.Typer(help="Overrides of the tax data: list, add, end.", no_args_is_help=True)


def by_operator() -> str:
    """Who the audit log names for a command."""
    return f"cli:{os.environ.get('USER', 'operator')}"


def _percent(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise typer.BadParameter(f"{text!r} is not percent: write it as 8.875") from exc


@override.command("list")
def override_list() -> None:
    """Every override with its days, ended ones too."""
    from app.cli.installation import installation
    from app.config import load
    from app.tax import overruling

    with installation(load()) as wired, wired.ports.db.session() as tx:
        for row in overruling.every(tx):
            rate = "" if row.rate is None else f" {row.rate.normalize():f} %"
            last = "withdrawn" if row.withdrawn else row.valid_to or "open"
            typer.echo(
                f"{row.id} {row.jurisdiction} {row.tax_code} {row.buyer_type} {row.treatment}{rate}"
                f" {row.valid_from}..{last} {row.source}"
            )


@override.command("add")
def override_add(
    jurisdiction: Annotated[str, typer.Argument(help="US-DC, CA-BC, DE, US-IL-CHICAGO")],
    source: Annotated[str, typer.Option(help="On whose word.")],
    why: Annotated[str, typer.Option(help="Goes into the audit log.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])],
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Included.")] = None,
    treatment: Annotated[str, typer.Option(help="standard, product_exempt, zero_rated, …")] = "standard",
    rate: Annotated[str, typer.Option(help="Percent; empty for the rate on file.")] = "",
    portion: Annotated[str, typer.Option(help="Percent of the price that is taxed.")] = "100",
    alone: Annotated[bool, typer.Option("--alone", help="Nothing local is added.")] = False,
    tax_code: Annotated[str, typer.Option()] = "any",
    buyer: Annotated[str, typer.Option(help="any, business or consumer.")] = "any",
    note: Annotated[str, typer.Option(help="Printed on documents.")] = "",
) -> None:
    """Record an override; it comes before the data on file from its first day of supply."""
    from app.cli.installation import installation
    from app.config import load
    from app.tax import overruling
    from app.tax.overruling import Wanted

    wanted = Wanted(
        jurisdiction, treatment, source, why, first.date(), last.date() if last else None, tax_code, buyer,
        _percent(rate) if rate else None, _percent(portion), alone, note,
    )  # fmt: skip
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        row = overruling.record(tx, wanted, by=by_operator(), now=wired.ports.clock.now())
        typer.echo(f"{row.id} is recorded.")


@override.command("end")
def override_end(
    override_id: Annotated[str, typer.Argument()],
    last: Annotated[datetime, typer.Option("--last-day", formats=["%Y-%m-%d"])],
    why: Annotated[str, typer.Option(help="Goes into the audit log.")],
) -> None:
    """Let an override hold up to a day; one that had not begun by then is withdrawn."""
    from app.accounts import service as accounts
    from app.cli.installation import installation
    from app.config import load
    from app.core.clock import local_date
    from app.tax import overruling

    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        now = wired.ports.clock.now()
        today = local_date(now, accounts.seller(tx).time_zone)
        row = overruling.end(tx, override_id, last_day=last.date(), why=why, by=by_operator(), now=now, today=today)
        typer.echo(f"{row.id} is withdrawn." if row.withdrawn else f"{row.id} holds up to {row.valid_to}.")
