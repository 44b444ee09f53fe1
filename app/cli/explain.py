"""`blp explain`: the pure rules, line by line, without a database."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

explain = typer.Typer(
    help="Explain a rule for each line of a JSON Lines file. No database is needed.", no_args_is_help=True
)


@explain.command("tax")
def explain_tax(file: Annotated[Path, typer.Argument(help="JSON Lines; - for standard input.")]) -> None:
    """Determine the tax of each line and say why. Exit status 1 if a line was malformed."""
    from app.tax.explain import explain_lines

    _explain(file, explain_lines)


@explain.command("price")
def explain_price(file: Annotated[Path, typer.Argument(help="JSON Lines; - for standard input.")]) -> None:
    """Price each line by its model, prorated and discounted. Exit status 1 if a line was malformed."""
    from app.subscriptions.explain import price_lines

    _explain(file, price_lines)


@explain.command("periods")
def explain_periods(file: Annotated[Path, typer.Argument(help="JSON Lines; - for standard input.")]) -> None:
    """List the billing periods of each line. Exit status 1 if a line was malformed."""
    from app.subscriptions.explain import period_lines

    _explain(file, period_lines)


def _explain(file: Path, rule: Callable[[Iterator[str]], Iterator[tuple[str, bool]]]) -> None:
    try:
        source = sys.stdin if str(file) == "-" else file.open(encoding="utf-8", errors="replace")
    except OSError as exc:
        raise typer.BadParameter(f"{exc.filename}: {exc.strerror}") from exc
    malformed = False
    with source:
        for line, wrong in rule(iter(source)):
            typer.echo(line)
            malformed = malformed or wrong
    raise typer.Exit(1 if malformed else 0)
