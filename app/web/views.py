"""What every page shares: the frame around it and the small parts its template is made of.

A view model is what a door hands to a template: frozen, plain, already formatted. Money arrives as text
("2,100.00 EUR"); dates and instants arrive as such and are written in the reader's language by the
`day` and `moment` filters. Each page class names its own template.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

Tone = Literal["good", "info", "warn", "bad", "quiet"]


class Page(Protocol):
    """Anything that `pages.render` can turn into HTML."""

    template: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Flash:
    """A message shown once, after a redirect."""

    text: str
    tone: Tone = "good"


@dataclass(frozen=True, kw_only=True)
class Shell:
    """The frame: who is looking, at whose shop, and what was just said to them.

    `section` of the page class decides which navigation entry is current. `person` is the signed-in
    e-mail address, empty for a stranger; `account` the organization they act for. `sandbox` puts the
    TEST ribbon on every page. `csrf_token` goes into every form that posts.
    """

    vendor: str
    csrf_token: str
    locale: str = "en"
    person: str = ""
    account: str = ""
    support_email: str = ""
    sandbox: bool = False
    flashes: tuple[Flash, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Form:
    """What was typed and what is wrong with it; keys are the names of the inputs.

    The key `""` of `errors` holds a refusal that belongs to no single input. A tick counts as set when its
    name is in `values` with a non-empty text.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        return self.errors.get(name, "")


@dataclass(frozen=True, kw_only=True)
class Option:
    """One entry of a select or radio group."""

    value: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One side of a switch that works by link."""

    label: str
    href: str
    current: bool = False


@dataclass(frozen=True, kw_only=True)
class Link:
    label: str
    href: str


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of a list of facts; `mono` for identifiers and hashes, `href` makes the value a link."""

    name: str
    value: str
    href: str = ""
    mono: bool = False


@dataclass(frozen=True, kw_only=True)
class MoneyRow:
    """One line of a slip: `amount` is formatted money, `note` the equation or the reason in small type."""

    label: str
    amount: str
    note: str = ""
    kind: Literal["line", "discount", "subtotal", "tax"] = "line"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One link of the chain from acceptance to license. `at` is written text, empty until it happened."""

    label: str
    state: Literal["done", "now", "todo", "failed"]
    detail: str = ""
    at: str = ""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an order is not automatic (R-THR-4): stable code, sentence, and the figure it turns on."""

    code: str
    sentence: str
    figure: str = ""


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Where a list goes on; an empty address means that there is no such page."""

    newer: str = ""
    older: str = ""
    summary: str = ""  # "1 to 25 of 312"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One column of a chart. `value` decides its height, `text` is what a person reads."""

    label: str
    value: int
    text: str


@dataclass(frozen=True, kw_only=True)
class SurveyForm:
    """The question, asked on a confirmation page or on its own.

    `invitation_id` ties the answer to its purchase; `action` is where it is posted. `score` is what is
    already chosen ("" for nothing: there is no preselection unless the reader chose it in an e-mail).
    """

    action: str
    question: str
    invitation_id: str
    score: str = ""
    comment: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class ErrorView:
    """A refusal or a failure. `code` is the problem's stable code, `request_id` what support asks for."""

    template: ClassVar[str] = "error.html"
    section: ClassVar[str] = ""
    status: int
    title: str
    detail: str
    code: str = ""
    request_id: str = ""
    way_out: Link | None = None
