"""How an amount, a date, a rate and a sentence look to a reader in another language.

Formats come from CLDR through Babel. Translations are `app/locale/<language>/messages.po`, read when first
asked for and kept in memory: what a translator edits is what runs, and there is no compiled file that could
be stale. English is the language of the source, so it needs no catalog and is what everything falls back to.
"""

import copy
import gettext
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from babel import Locale, UnknownLocaleError, dates
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import NumberPattern

from app.core.money import Money, exponent

FALLBACK: Final = "en"
CATALOGS: Final = Path(__file__).parent.parent / "locale"
_LONGEST_TAG = 35  # RFC 5646 §4.4.1

DateStyle = Literal["short", "medium", "long", "full"]


@lru_cache(maxsize=256)  # tags come from outside
def _known(tag: str) -> Locale:
    try:
        return Locale.parse(tag, sep="-" if "-" in tag else "_")
    except (ValueError, UnknownLocaleError):
        return Locale.parse(FALLBACK)


def locale_of(tag: str) -> Locale:
    """The CLDR locale of a tag such as `de`, `de-AT` or `de_AT`; English for anything CLDR does not know."""
    tag = tag.strip()
    if not tag.isascii() or not 2 <= len(tag) <= _LONGEST_TAG:
        return _known(FALLBACK)
    return _known(tag)


@cache
def languages() -> tuple[str, ...]:
    """The languages there is a translation for, English first."""
    return (FALLBACK, *sorted(path.parent.name for path in CATALOGS.glob("*/messages.po")))


def written_in(tag: str) -> Locale:
    """The locale to write a whole text in: that of `tag` if we can translate into it, otherwise English.

    A letter of English sentences around French dates reads as a mistake, so formats follow the sentences.
    """
    locale = locale_of(tag)
    return locale if locale.language in languages() else _known(FALLBACK)


def _apply(
    pattern: NumberPattern, value: Decimal, where: Locale, least: int, most: int, currency: str | None = None
) -> str:
    """The pattern of the locale with our number of decimal places."""
    ours = copy.copy(pattern)  # Babel shares one instance per locale
    ours.frac_prec = (least, most)
    shown: str = ours.apply(value, where, currency=currency, currency_digits=False)
    return shown


def format_money(amount: Money, locale: str) -> str:
    """With the currency's sign, as the locale writes it: `$1,234.50`, `1.234,50 €`.

    The places are those of `app.core.money`, not CLDR's, so that a printed amount never hides a minor unit.
    """
    where, places = locale_of(locale), exponent(amount.currency)
    shown = _apply(where.currency_formats["standard"], amount.major(), where, places, places, amount.currency)
    # CLDR currencySpacing, which Babel leaves out: KWD 5.124, not KWD5.124.
    return re.sub(r"([^\W\d_])(?=-?\d)", "\\1\u00a0", shown)


def format_amount(amount: Money, locale: str) -> str:
    """Without the sign, for a column whose heading names the currency: `1,234.50`, `1.234,50`."""
    return format_number(amount.major(), locale, places=exponent(amount.currency))


def format_number(value: Decimal | int, locale: str, *, places: int | None = None) -> str:
    """Grouped as the locale groups; with `places` decimals exactly, or with as many as `value` has (at most 9)."""
    where = locale_of(locale)
    least, most = (0, 9) if places is None else (places, places)
    return _apply(where.decimal_formats[None], Decimal(value), where, least, most)


def format_percent(rate: Decimal, locale: str) -> str:
    """`rate` is in percent, as tax rates are stored: `Decimal("8.875")` is `8.875%`, in German `8,875 %`."""
    where = locale_of(locale)
    return _apply(where.percent_formats[None], rate.scaleb(-2), where, 0, 6)


def format_date(day: date, locale: str, style: DateStyle = "medium") -> str:
    """`Nov 22, 2026`, `22.11.2026`; give a local date (`core/clock.local_date`), not an instant."""
    if isinstance(day, datetime):
        raise TypeError("an instant has no date until its time zone is known; see app.core.clock.local_date")
    return dates.format_date(day, format=style, locale=locale_of(locale))


def format_instant(at: datetime, locale: str, style: DateStyle = "medium") -> str:
    """Date and time to the minute in UTC, and saying so: `Nov 22, 2026, 16:47 UTC`."""
    if at.tzinfo is None:
        raise TypeError("an instant needs its time zone")
    utc = at.astimezone(UTC)
    return f"{dates.format_date(utc.date(), format=style, locale=locale_of(locale))}, {utc:%H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Translator:
    """Called like gettext; values go in by name: `_("%(n)s left", n=3)`."""

    language: str
    catalog: gettext.NullTranslations

    def __call__(self, message: str, **values: object) -> str:
        return _filled(self.gettext(message), values)

    def gettext(self, message: str) -> str:
        """The translation of `message`, or `message` itself where there is none."""
        return self.catalog.gettext(message) if message else ""  # an empty msgid is the catalog's header

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        """The form the language uses for `n`; English's two where there is no translation."""
        return self.catalog.ngettext(singular, plural, n)

    def count(self, singular: str, plural: str, n: int, **values: object) -> str:
        """`count("%(n)s day", "%(n)s days", 3)` is `3 days`."""
        return _filled(self.ngettext(singular, plural, n), {"n": n, **values})


def _filled(message: str, values: Mapping[str, Any]) -> str:
    return message % values if values else message


@cache
def _catalog(language: str) -> gettext.NullTranslations:
    path = CATALOGS / language / "messages.po"
    if language == FALLBACK or not path.is_file():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language, abort_invalid=True))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def translate(locale: str) -> Translator:
    """The translator for the language of a tag; one that changes nothing for English and for unknown languages."""
    language = locale_of(locale).language
    return Translator(language if language in languages() else FALLBACK, _catalog(language))
