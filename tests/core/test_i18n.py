"""Formats by locale and translations without compiled files."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from app.core.i18n import (
    CATALOGS,
    format_amount,
    format_date,
    format_instant,
    format_money,
    format_number,
    format_percent,
    languages,
    locale_of,
    translate,
    written_in,
)
from app.core.money import Money


@pytest.mark.parametrize(
    ("amount", "locale", "shown"),
    [
        (Money(123450, "USD"), "en-US", "$1,234.50"),
        (Money(123450, "USD"), "de-DE", "1.234,50\u00a0$"),
        (Money(123450, "EUR"), "de_DE", "1.234,50\u00a0€"),
        (Money(-5, "EUR"), "en", "-€0.05"),
        (Money(1000, "JPY"), "en", "¥1,000"),
        (Money(5124, "KWD"), "en", "KWD\u00a05.124"),
        (Money(1234567, "CHF"), "de-CH", "CHF\u00a012\u2019345.67"),
    ],
)
def test_an_amount_is_written_as_its_reader_writes_it(amount: Money, locale: str, shown: str) -> None:
    assert format_money(amount, locale) == shown


@given(st.integers(-(10**15), 10**15), st.sampled_from("USD EUR JPY KWD ISK IQD UGX HUF".split()))
def test_no_minor_unit_is_ever_hidden(minor: int, currency: str) -> None:
    amount = Money(minor, currency)
    assert Money.from_major(format_amount(amount, "en").replace(",", ""), currency) == amount
    assert format_amount(amount, "en").lstrip("-") in format_money(amount, "en")


def test_rates_keep_their_decimals_and_drop_empty_ones() -> None:
    assert [format_percent(Decimal(rate), "en") for rate in ("19", "8.875", "0", "19.00")] == [
        "19%", "8.875%", "0%", "19%",
    ]  # fmt: skip
    assert format_percent(Decimal("8.875"), "de") == "8,875\u00a0%"


def test_numbers_keep_the_places_they_came_with() -> None:
    assert format_number(Decimal("1234.5"), "de") == "1.234,5"
    assert format_number(1000, "en") == "1,000"


def test_dates_are_unambiguous_in_every_style_we_use() -> None:
    day = date(2026, 2, 3)
    assert format_date(day, "en-US") == "Feb 3, 2026"
    assert format_date(day, "en-GB", "long") == "3 February 2026"
    assert format_date(day, "de", "long") == "3. Februar 2026"


def test_an_instant_is_no_date_and_a_naive_time_no_instant() -> None:
    with pytest.raises(TypeError, match="time zone"):
        format_date(datetime(2026, 2, 3, tzinfo=UTC), "en")
    with pytest.raises(TypeError, match="time zone"):
        format_instant(datetime(2026, 2, 3), "en")  # noqa: DTZ001 -- the refusal of it is the point
    assert format_instant(datetime(2026, 2, 3, 4, 5, tzinfo=UTC), "de") == "03.02.2026, 04:05 UTC"


@given(st.text(max_size=60))
def test_any_tag_gives_a_locale(tag: str) -> None:
    assert locale_of(tag).language


@pytest.mark.parametrize("tag", ["", "xx-YY", "tlh", "../../etc/passwd", "de" * 50, "中文"])
def test_an_unknown_tag_is_english(tag: str) -> None:
    assert str(locale_of(tag)) == "en"
    assert translate(tag)("Invoice") == "Invoice"


def test_a_text_is_written_in_english_where_there_is_no_translation() -> None:
    assert str(written_in("fr-FR")) == "en"
    assert str(written_in("de-AT")) == "de_AT"
    assert translate("fr-FR").language == "en"


def test_german_translates_and_counts() -> None:
    _ = translate("de-CH")
    assert _("Invoice") == "Rechnung"
    assert _("Due on %(date)s", date="morgen") == "Fällig am morgen"
    ends = ("%(plan)s ends in %(num)s day", "%(plan)s ends in %(num)s days")
    assert [_.count(*ends, n, plan="P", num=n) for n in (1, 2)] == ["P endet in 1 Tag", "P endet in 2 Tagen"]


def test_a_string_without_translation_stays_as_it_is() -> None:
    _ = translate("de")
    assert _("No such sentence") == "No such sentence"
    assert _("") == ""


@pytest.mark.parametrize("path", sorted(CATALOGS.glob("*/messages.po")), ids=lambda path: path.parent.name)
def test_every_translation_keeps_the_placeholders_of_its_original(path: Path) -> None:
    with path.open("rb") as source:
        catalog = read_po(source, locale=path.parent.name, abort_invalid=True)
    assert [(message.id, errors) for message, errors in catalog.check()] == []
    assert path.parent.name in languages()
