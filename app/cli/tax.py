"""`blp tax`: the tax data, its versions, and the local rates that the operator imports."""

import json
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from app.cli.tax_overrides import by_operator as _by
from app.cli.tax_overrides import override

tax = typer.Typer(help="Tax data: save, compare, import local US rates, override.", no_args_is_help=True)
tax.add_typer(override, name="override")


@tax.command("snapshot")
def tax_snapshot(
    file: Annotated[Path | None, typer.Argument(help="Where to write; standard output otherwise.")] = None,
) -> None:
    """Write every fact of the tax data in use as JSON, to be compared with a later version. Needs no database."""
    from app.tax.changes import snapshot
    from app.tax.dataset import load

    written = json.dumps(snapshot(load()), indent=1, ensure_ascii=False)
    if file is None:
        typer.echo(written)
    else:
        file.write_text(written + "\n", encoding="utf-8")
        typer.echo(f"Wrote the facts of {load().version} to {file}.")


@tax.command("diff")
def tax_diff(
    old: Annotated[Path, typer.Argument(help="A folder of data files, or a snapshot.")],
    new: Annotated[Path, typer.Argument(help="The same, newer.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Say what changed between two versions of the tax data, where, and from when. Needs no database.

    Exit status 0 where nothing changed, 1 where something did, 2 where a version cannot be read.
    """
    from app.tax.changes import differences, read
    from app.tax.rates import BadTaxData

    try:
        found = differences(read(old), read(new))
    except BadTaxData as exc:
        raise typer.BadParameter(str(exc)) from exc
    for change in found:
        typer.echo(json.dumps(change.to_json(), ensure_ascii=False) if as_json else change.sentence())
    if not found and not as_json:
        typer.echo("Nothing changed.")
    raise typer.Exit(1 if found else 0)


@tax.command("import-rates")
def tax_import_rates(
    file: Annotated[Path, typer.Argument(help="eurofxref-hist.csv, eurofxref.csv or the XML of the ECB.")],
) -> None:
    """Import the ECB's euro reference rates. Importing the same again changes nothing."""
    from app.cli.installation import installation
    from app.config import load
    from app.tax import exchange_rates

    try:
        found = exchange_rates.read_file(file.read_bytes())
    except OSError as exc:
        raise typer.BadParameter(f"{file} cannot be read: {exc}") from exc
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        done = exchange_rates.store(tx, found, by=_by(), now=wired.ports.clock.now())
        typer.echo(f"{done.stored} rates of {done.first} to {done.last} stored, {done.known} known already.")


@tax.command("set-rate")
def tax_set_rate(
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"])],
    currency: Annotated[str, typer.Argument()],
    rate: Annotated[str, typer.Argument(help="Units of the currency for one euro.")],
    why: Annotated[str, typer.Option(help="Goes into the audit log.")],
) -> None:
    """Set a rate instead of the ECB's, or where it publishes none."""
    from app.cli.installation import installation
    from app.config import load
    from app.tax import exchange_rates

    try:
        units = Decimal(rate)
    except InvalidOperation as exc:
        raise typer.BadParameter(f"{rate!r} is not a number: write it as 1.0812") from exc
    wanted = exchange_rates.Rate(day.date(), currency, units)
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        exchange_rates.override(tx, wanted, why=why, by=_by(), now=wired.ports.clock.now())
        typer.echo(f"1 EUR is {units} {currency} on {wanted.on}.")


@tax.command("import-local")
def tax_import_local(
    file: Annotated[Path, typer.Argument(help="CSV: state,zip_from,zip_to,plus4_from,plus4_to,component,rate,from,to")],
    check: Annotated[bool, typer.Option("--check", help="Only check the file; needs no database.")] = False,
) -> None:
    """Import local US rates: all of each state that the file names. Importing the same again changes nothing."""
    from app.tax.dataset import load as load_data
    from app.tax.local_rates import read_csv

    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise typer.BadParameter(f"{file} cannot be read as UTF-8 text: {exc}") from exc
    found = read_csv(text, load_data().united_states.states)
    if check:
        typer.echo(f"{sum(map(len, found.values()))} rows of {', '.join(sorted(found))} can be imported.")
        return
    from app.cli.installation import installation
    from app.config import load
    from app.tax import local_import

    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        for each in local_import.store(tx, found, by=_by(), now=wired.ports.clock.now()):
            what = "stored" if each.changed else "in force already"
            typer.echo(f"{each.state}: {each.rows} rows, version {each.version}, {what}")
