"""Turning view models into HTML: one Jinja2 environment for the portal, the console and the sandbox.

Strict in three ways: every value is escaped, an undefined name is an error, and nothing inline is needed,
so that the policy in `CONTENT_SECURITY_POLICY` can forbid it (ADR 0014).
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

from app.web import charts
from app.web.states import state
from app.web.views import Page, Shell

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"

# `form-action` stands last: where a provider's pay page is on another origin, that origin is appended to it.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


class Language(Protocol):
    """How the reader's language writes things; one object serves every request and looks up who is reading."""

    def gettext(self, message: str) -> str: ...
    def ngettext(self, one: str, many: str, count: int) -> str: ...
    def day(self, value: date) -> str: ...
    def short_day(self, value: date) -> str: ...
    def moment(self, value: datetime) -> str: ...
    def number(self, value: int) -> str: ...


class English:
    """The language the templates are written in."""

    def gettext(self, message: str) -> str:
        return message

    def ngettext(self, one: str, many: str, count: int) -> str:
        return one if count == 1 else many

    def day(self, value: date) -> str:
        """Day, month in letters, year: cannot be misread on either side of an ocean."""
        return format_date(value, "d MMMM y", locale="en")

    def short_day(self, value: date) -> str:
        """The same for tables, the month cut to three letters."""
        return format_date(value, "d MMM y", locale="en")

    def moment(self, value: datetime) -> str:
        return format_datetime(value, "d MMM y, HH:mm", locale="en") + " UTC"

    def number(self, value: int) -> str:
        return format_decimal(value, locale="en")


def environment(folders: Mapping[str, Path] | None = None, language: Language | None = None) -> Environment:
    """The template environment.

    `folders` adds template folders of other rooms by prefix, such as `{"sandbox": ...}`; `portal` and
    `console` are built in, shared parts have no prefix. Without a `language` pages are English.
    """
    own = {"portal": _HERE / "portal" / "templates", "console": _HERE / "console" / "templates"}
    loader = ChoiceLoader([
        FileSystemLoader(_HERE / "templates"),
        PrefixLoader({prefix: FileSystemLoader(path) for prefix, path in {**own, **(folders or {})}.items()}),
    ])  # fmt: skip
    env = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    speak = language or English()
    env.globals.update(
        _=_translator(speak),
        ngettext=_counter(speak),
        static=static_url,
        state=state,
        columns=charts.columns,
        on_scale=charts.on_scale,
    )
    env.filters.update(
        day=lambda value: _time(value.isoformat(), speak.day(value)),
        short_day=lambda value: _time(value.isoformat(), speak.short_day(value)),
        moment=lambda value: _time(value.isoformat(timespec="seconds"), speak.moment(value)),
        number=speak.number,
        breakable=breakable,
    )
    return env


def render(env: Environment, page: Page, shell: Shell) -> str:
    """The HTML of a page or fragment. Raises `jinja2.UndefinedError` when a view lacks what its template names."""
    return env.get_template(page.template).render(page=page, shell=shell)


@cache
def static_url(name: str) -> str:
    """Address of a file in `static/`, changing with its content so that it may be cached for ever."""
    return f"/static/{name}?v={sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def breakable(value: str) -> Markup:
    """Long identifiers and addresses may break after their punctuation, and nowhere else."""
    text = str(Markup.escape(value))
    for mark in ("@", "_", "/", "."):
        text = text.replace(mark, mark + "<wbr>")
    return Markup(text)  # noqa: S704 -- escaped above, only <wbr> was added


def _time(machine: str, human: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(machine, human)


def _translator(language: Language) -> Callable[..., str]:
    def translate(message: str, /, **values: object) -> str:
        """Translated text with its `%(name)s` filled in; values are escaped, the message may carry markup."""
        text = Markup(language.gettext(message))  # noqa: S704 -- messages are ours, values are escaped by %
        return text % values if values else text

    return translate


def _counter(language: Language) -> Callable[..., str]:
    def translate(one: str, many: str, count: int, /, **values: object) -> str:
        """The same with a plural; `%(n)s` is the count, written as the language writes numbers."""
        text = Markup(language.ngettext(one, many, count))  # noqa: S704 -- as above
        return text % {"n": language.number(count), **values}

    return translate
