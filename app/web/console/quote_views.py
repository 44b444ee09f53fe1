"""View models of the pages on which staff write a quote."""

from dataclasses import dataclass
from typing import ClassVar

from app.web.views import Fact, Form, Link, MoneyRow, Option, Reason


@dataclass(frozen=True, kw_only=True)
class QuoteFiguresView:
    """What a draft costs, swapped in beside the form; `missing` says what stands in the way.

    `steep` is set where the discount waits for somebody else's approval; `yearly` says how often it is asked for.
    """

    template: ClassVar[str] = "console/_quote_figures.html"
    section: ClassVar[str] = "quotes"
    rows: tuple[MoneyRow, ...] = ()
    total: str = ""
    treatment: str = ""
    missing: str = ""
    steep: str = ""
    yearly: str = ""
    signature: str = ""
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class QuoteBuilderView:
    """A draft as a form.

    Inputs: contact_name, contact_email, term, currency, valid_until, payment, net_days, message, internal_note;
    for each of `positions` n: sku_n, quantity_n, off_n (the discount), by_n (percent or amount). `intent` is `place`
    or `preview`.
    """

    template: ClassVar[str] = "console/quote_builder.html"
    section: ClassVar[str] = "quotes"
    title: str
    account: Link
    action: str
    figures_href: str
    back_href: str
    form: Form
    figures: QuoteFiguresView
    plans: tuple[Option, ...]
    add_ons: tuple[Option, ...]
    terms: tuple[Option, ...]
    currencies: tuple[Option, ...]
    discount_kinds: tuple[Option, ...]
    payments: tuple[Option, ...]
    positions: tuple[int, ...]
    asked: tuple[MoneyRow, ...] = ()  # what the customer asked for
    their_words: str = ""


@dataclass(frozen=True, kw_only=True)
class AgreementRow:
    """One agreement; with `end_href` it can be ended (a form that posts `note`)."""

    id: str
    title: str
    state: str
    facts: tuple[Fact, ...]
    end_href: str
    form: Form


@dataclass(frozen=True, kw_only=True)
class AgreementsView:
    """Agreements of one account. Inputs: title, effective_from, last_day, deviations, approved_by, file."""

    template: ClassVar[str] = "console/agreements.html"
    section: ClassVar[str] = "accounts"
    account: Link
    rows: tuple[AgreementRow, ...]
    action: str
    form: Form
    whole: Form
