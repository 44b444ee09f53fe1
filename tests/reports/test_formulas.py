"""S33: what a stranger typed never runs in finance's spreadsheet, and never changes on its way to a program."""

import csv
import io
import json
import re
import sys
import unicodedata
from datetime import UTC, date, datetime
from typing import Final

import pycountry
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from app.core.db import Database, driver_connection
from app.core.money import Money, exponent
from app.reports import formats
from app.reports.shape import Column, Format, Kind, Period, Report, Scope, snapshot
from tests.world import World, full

SIGNS: Final = "=+-@"
HOSTILE: Final = (
    '=HYPERLINK("http://evil.example","x")', "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u3000=1", "\u00a0@x",
    "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "\n=1", "'=1", "''=1", "' =1", "\tx", "\rx", "\u200b=1", "\ufeff-1",
    "a\r\nb", '"', ",", "\\.", "",
)  # fmt: skip
HARMLESS: Final = ("'s-Hertogenbosch", "Käse & Söhne", "1-2", "a=b", "株式会社", "O'Neill", " padded ", "'")
SCOPE: Final = Scope(Period(date(2027, 1, 1), date(2027, 1, 31)))
TEXT: Final = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=40)
# Half of the time something that is meant to hurt.
TYPED: Final = st.one_of(
    TEXT, st.builds("".join, st.tuples(st.sampled_from(["", " ", "\t", "'", "\u3000"]), st.sampled_from(SIGNS), TEXT))
)


def written(db: Database, values: list[str], fmt: Format) -> bytes:
    """The values as a report would write them."""
    rows = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}::bigint AS place, {}::text AS typed, 'USD' AS currency").format(
            sql.Literal(place), sql.Literal(value)
        )
        for place, value in enumerate(values)
    )
    with snapshot(db) as tx:
        connection = driver_connection(tx)
        report = Report(
            name="typed", title="", about="", order_by="o.place",
            sql=rows.as_string(connection).replace("%", "%%"),
            columns=(Column("place", Kind.COUNT, ""), Column("typed", Kind.TEXT, "")),
        )  # fmt: skip
        return b"".join(formats.stream(connection, report, SCOPE, fmt))


def cells(content: bytes) -> list[str]:
    return [row["typed"] for row in csv.DictReader(io.StringIO(content.decode(), newline=""))]


def unguarded(cell: str) -> str:
    """What was typed, by the rule of the guide."""
    return cell[1:] if cell.startswith("'") and re.match(formats.DANGEROUS, cell[1:]) else cell


def runs(cell: str) -> bool:
    """Whether a spreadsheet would take this cell for a formula, by a rule written apart from ours."""
    trimmed = cell.strip().strip("\u200b\ufeff").strip()
    first = unicodedata.normalize("NFKC", trimmed[:1])
    return cell[:1] in {"\t", "\r"} or first[:1] in set(SIGNS)


def test_hostile_cells_are_made_text(world: World) -> None:
    got = cells(written(world.db, list(HOSTILE), Format.CSV))
    assert not [cell for cell in got if runs(cell)]
    assert got[0] == '\'=HYPERLINK("http://evil.example","x")'
    assert [unguarded(cell) for cell in got] == list(HOSTILE)


def test_harmless_cells_stay_as_they_are(world: World) -> None:
    assert cells(written(world.db, list(HARMLESS), Format.CSV)) == list(HARMLESS)


def test_json_lines_are_never_guarded(world: World) -> None:
    lines = written(world.db, list(HOSTILE), Format.JSONL).decode().split("\n")
    assert [json.loads(line)["typed"] for line in lines[:-1]] == list(HOSTILE)


def test_any_text_is_harmless_and_comes_back(world: World) -> None:
    @settings(max_examples=full(2000), deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(st.lists(TYPED, min_size=1, max_size=50))
    @example(["\x01=1", "\x1f", "\x7f@", "\u2028=", "''''-"])
    def holds(values: list[str]) -> None:
        content = written(world.db, values, Format.CSV)
        assert content.endswith(b"\r\n")
        got = cells(content)
        assert not [cell for cell in got if runs(cell)]
        assert [unguarded(cell) for cell in got] == values
        lines = written(world.db, values, Format.JSONL).decode().split("\n")
        assert [json.loads(line)["typed"] for line in lines[:-1]] == values

    holds()


def test_every_character_that_normalizes_to_a_sign_is_guarded() -> None:
    lookalikes = {
        char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.normalize("NFKC", char)[:1] in set(SIGNS)
    }
    assert {char for char in lookalikes if not re.match(formats.DANGEROUS, f"{char}1")} == set()


def test_every_kind_of_blank_before_a_sign_is_seen() -> None:
    blanks = [char for char in map(chr, range(1, sys.maxunicode + 1)) if char.isspace()]
    assert [hex(ord(char)) for char in blanks if not re.match(formats.DANGEROUS, f"{char}=1")] == []


class Amounts(Scope):
    """One amount in every currency there is."""

    codes = tuple(sorted(each.alpha_3 for each in pycountry.currencies))
    minor = 0

    @property
    def params(self) -> dict[str, object]:
        return dict(super().params) | {"codes": list(self.codes), "minor": self.minor}


def test_amounts_are_written_with_the_places_of_their_currency(world: World) -> None:
    report = Report(
        name="amounts", title="", about="", order_by="o.currency",
        sql="SELECT code AS currency, %(minor)s::bigint AS minor FROM unnest(%(codes)s::text[]) code",
        columns=(Column("currency", Kind.CODE, ""), Column("minor", Kind.MONEY, "")),
    )  # fmt: skip
    with snapshot(world.db) as tx:
        connection = driver_connection(tx)
        for minor in (0, 1, -1, 99, 100, -12345, 10**15 + 1, -(10**15) - 1):
            Amounts.minor = minor
            scope = Amounts(SCOPE.period)
            csv_lines = b"".join(formats.stream(connection, report, scope, Format.CSV)).decode().split("\r\n")
            json_lines = b"".join(formats.stream(connection, report, scope, Format.JSONL)).decode().splitlines()
            assert csv_lines[1:-1] == [
                f"{code},{Money(minor, code).major():.{exponent(code)}f}" for code in Amounts.codes
            ]
            assert [json.loads(line) for line in json_lines] == [
                {"currency": code, "minor_minor": minor, "exponent": exponent(code)} for code in Amounts.codes
            ]


def test_the_scope_of_a_report_is_utc_aware() -> None:
    at = datetime(2027, 1, 1, tzinfo=UTC)
    assert Scope(SCOPE.period, at).params["known_before"] > at
    assert Scope(SCOPE.period, at.date()).params["known_before"] is None
