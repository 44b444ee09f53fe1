"""View models of the pages about money that goes back."""

from dataclasses import dataclass, field
from typing import ClassVar

from app.web.views import Fact, Form, Link, MoneyRow, Option


@dataclass(frozen=True, kw_only=True)
class RefundOutlook:
    """What the refund would do, as asked for: `second_person` is the sentence that says why one is needed."""

    rows: tuple[MoneyRow, ...]
    total: str
    effects: tuple[str, ...]
    second_person: str = ""


@dataclass(frozen=True, kw_only=True)
class RefundView:
    """`/console/invoices/{id}/refund`. Inputs: amount (empty for all), access, ground; to send it also note.

    The first form (GET) shows the outlook, the second (POST) repeats its inputs and does it.
    """

    template: ClassVar[str] = "console/refund.html"
    section: ClassVar[str] = "invoices"
    invoice: Link
    account: Link
    state: str
    facts: tuple[Fact, ...]
    choices: tuple[Option, ...]
    grounds: tuple[Option, ...]
    here: str
    outlook: RefundOutlook | None = None
    procedure: str = "refund"
    form: Form = field(default_factory=Form)
