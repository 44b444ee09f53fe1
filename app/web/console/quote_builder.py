"""Writing a quote: from a request, from a draft, or from scratch for an account; the figures follow what is typed."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from app.accounts import service as accounts
from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.catalog import service as catalog
from app.catalog.models import PlanKind
from app.core import ids, policy
from app.core.clock import local_date
from app.core.db import Tx as Session
from app.core.errors import DomainError, Invalid
from app.core.money import Money, exponent
from app.flows import quote_acceptance, quote_discounts, quoting
from app.flows.ports import Ports
from app.flows.preview import Offer
from app.flows.preview_request import LineRequest
from app.flows.quote_discounts import percent
from app.flows.quoting import Basis, Draft
from app.orders.models import Preview
from app.quotes import service as quotes
from app.quotes.discounts import Discount, share
from app.quotes.errors import QuoteNotReady
from app.quotes.models import PaymentTerms, Quote, QuoteState
from app.tax.determination import Treatment
from app.web import auth, show
from app.web.console.quote_views import QuoteBuilderView, QuoteFiguresView
from app.web.console.render import back, page
from app.web.deps import Wired
from app.web.portal import figures as rows_of
from app.web.portal.basket import TERMS, term_name
from app.web.portal.render import Form as Filled
from app.web.portal.render import Posted
from app.web.views import Form, Link, MoneyRow, Option

router = APIRouter()
Seller = Annotated[SignedInStaff, Depends(auth.staff(May.QUOTES_WRITE))]
_LINES: Final = 4  # shown at least
_MOST_LINES: Final = 20
_LONGEST: Final = 2000
_TERMS: Final = (
    Option(value="year", label="1 year"), Option(value="2years", label="2 years"),
    Option(value="3years", label="3 years"), Option(value="2years-yearly", label="2 years, billed yearly"),
    Option(value="3years-yearly", label="3 years, billed yearly"), Option(value="month", label="1 month"),
)  # fmt: skip
_KINDS: Final = (Option(value="percent", label="Percent"), Option(value="amount", label="Amount"))
_PAYMENTS: Final = (Option(value="card", label="By card"), Option(value="invoice", label="By invoice"))


@router.get("/console/quotes/new")
def new(request: Request, ports: Wired, who: Seller, account: str = "") -> Response:
    """An empty draft for an account; without one, the list of accounts."""
    if not account:
        return RedirectResponse("/console/accounts", 303)
    basis = Basis(account_id=ids.require_form("acc", account))
    with ports.db.session() as tx:
        values = _empty(tx, ports, accounts.get(tx, account))
    return _page(request, ports, who, basis, Posted({name: (value,) for name, value in values.items()}))


@router.post("/console/quotes/new")
def create(request: Request, ports: Wired, who: Seller, form: Filled, account: str = "") -> Response:
    """A new draft for an account."""
    return _saved(request, ports, who, Basis(account_id=ids.require_form("acc", account)), form)


@router.get("/console/quotes/{quote_id}/edit")
def edit(request: Request, ports: Wired, who: Seller, quote_id: str) -> Response:
    """What stands in the draft, or what was asked for."""
    basis = Basis(quote_id=ids.require_form("quo", quote_id))
    with ports.db.session() as tx:
        quote = quotes.get(tx, quote_id)
        if quote.state not in {QuoteState.REQUESTED, QuoteState.DRAFT}:
            return RedirectResponse(f"/console/quotes/{quote.id}", 303)
        values = _typed(quoting.draft_of(tx, quote, ports.clock.now()))
    return _page(request, ports, who, basis, Posted({name: (value,) for name, value in values.items()}))


@router.post("/console/quotes/{quote_id}/edit")
def save(request: Request, ports: Wired, who: Seller, form: Filled, quote_id: str) -> Response:
    """Answer a request with a draft, or change a draft."""
    return _saved(request, ports, who, Basis(quote_id=ids.require_form("quo", quote_id)), form)


@router.post("/console/quotes/figures")
def figures(
    request: Request, ports: Wired, who: Seller, form: Filled, quote: str = "", account: str = ""
) -> Response:  # fmt: skip
    """What the form would cost now, as a fragment; nothing is stored."""
    basis = Basis(ids.require_form("quo", quote)) if quote else Basis(None, ids.require_form("acc", account))
    return show.console(request, _figures(ports, who, basis, form)[0], who=who)


def _saved(request: Request, ports: Ports, who: SignedInStaff, basis: Basis, form: Posted) -> Response:
    if form.text("intent") != "place":
        return _page(request, ports, who, basis, form)
    try:
        quote = quoting.save(ports, basis, read(form), by=who.staff_id)
    except DomainError as refused:
        if basis.quote_id is None:
            with ports.db.session() as tx:
                accounts.get(tx, basis.account_id or "")  # a 404 of its own where there is none
        return _page(request, ports, who, basis, form, refused)
    return back(f"/console/quotes/{quote.id}", "quote-drafted")


# --- Reading the form ---------------------------------------------------------------------------------------------


def read(form: Posted) -> Draft:
    """The draft that was typed. Raises Invalid naming the input."""
    currency = form.text("currency").upper()
    term = TERMS.get(form.text("term"))
    if term is None:
        raise Invalid("Choose a term from the list.", param="term")
    if len(currency) != 3 or not currency.isalpha() or not currency.isascii():
        raise Invalid("Choose a currency.", param="currency")
    payment = form.text("payment") or "card"
    if payment not in set(PaymentTerms):
        raise Invalid("Choose how it is paid.", param="payment")
    by_invoice = payment == PaymentTerms.INVOICE
    return Draft(
        lines=_lines(form, currency), interval=term[0], term_months=term[1], billing=term[2], currency=currency,
        valid_until=_day(form.text("valid_until")), contact_name=form.text("contact_name"),
        contact_email=form.text("contact_email"), message=form.prose("message", _LONGEST),
        internal_note=form.prose("internal_note", _LONGEST), payment=PaymentTerms(payment),
        net_days=_whole(form.text("net_days"), "net_days", "Say how many days there are to pay.")
        if by_invoice
        else None,
    )  # fmt: skip


def _lines(form: Posted, currency: str) -> tuple[LineRequest, ...]:
    found = []
    for n in range(1, _MOST_LINES + 1):
        sku, off = form.text(f"sku_{n}"), form.text(f"off_{n}")
        if not sku:
            continue
        seats = _whole(form.text(f"quantity_{n}"), f"quantity_{n}", "Write the seats as a whole number, such as 25.")
        found.append(LineRequest(sku, seats, _discount(off, form.text(f"by_{n}"), currency, f"off_{n}")))
    if not found:
        raise Invalid("Choose a plan.", param="sku_1")
    return tuple(found)


def _discount(text: str, kind: str, currency: str, param: str) -> Discount | None:
    plain = text.replace(",", "").replace(" ", "").removesuffix("%")
    if not plain:
        return None
    if kind == "amount":
        return Discount.amount(plain, currency, param=param)
    return Discount.percent(plain, param=param)


def _whole(text: str, param: str, words: str) -> int:
    plain = text.replace(",", "").replace(" ", "")
    if not (plain.isascii() and plain.isdigit()) or not 1 <= int(plain) <= 10**6:
        raise Invalid(words, param=param)
    return int(plain)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise Invalid("Write the day as 2026-12-31.", param="valid_until") from exc


def _typed(draft: Draft) -> dict[str, str]:
    """A draft as it would have been typed."""
    values = {
        "term": term_name(draft.interval, draft.term_months, draft.billing), "currency": draft.currency,
        "valid_until": draft.valid_until.isoformat(),
        "contact_name": draft.contact_name, "contact_email": draft.contact_email, "message": draft.message,
        "internal_note": draft.internal_note, "payment": str(draft.payment),
        "net_days": str(draft.net_days) if draft.net_days else "",
    }  # fmt: skip
    for n, line in enumerate(draft.lines, start=1):
        off, kind = _shown(line.discount, draft.currency)
        values |= {f"sku_{n}": line.sku, f"quantity_{n}": str(line.quantity), f"off_{n}": off, f"by_{n}": kind}
    return values


def _shown(discount: Discount | None, currency: str) -> tuple[str, str]:
    if discount is None:
        return "", "percent"
    if discount.points is not None:
        return f"{discount.points / 100:g}", "percent"
    major = Money(discount.minor or 0, currency).major()
    return f"{major:.{exponent(currency)}f}", "amount"


def _empty(tx: Session, ports: Ports, account: Account) -> Mapping[str, str]:
    now = ports.clock.now()
    until = local_date(now, account.time_zone) + timedelta(days=policy.get(tx, quoting.VALID_DAYS, now))
    return {
        "term": "year", "currency": "USD", "valid_until": until.isoformat(), "payment": "card",
        "contact_email": account.email, "quantity_1": "",
    }  # fmt: skip


# --- Showing ------------------------------------------------------------------------------------------------------


def _page(
    request: Request, ports: Ports, who: SignedInStaff, basis: Basis, form: Posted, refused: DomainError | None = None
) -> Response:  # fmt: skip
    shown, found = _figures(ports, who, basis, form)
    wrong = refused or (found if form.text("intent") else None)
    values = {name: value[0] for name, value in form.values.items()}
    errors = {_input(wrong.param, values): wrong.detail} if wrong else {}
    with ports.db.session() as tx:
        quote = quotes.get(tx, basis.quote_id) if basis.quote_id else None
        account = accounts.get(tx, quote.account_id if quote else basis.account_id or "")
        asked = tx.get(Preview, quote.preview_id) if quote and quote.preview_id else None
        plans = catalog.plans_on_sale(tx)
        key = f"quote={quote.id}" if quote else f"account={account.id}"
        view = QuoteBuilderView(
            title=_title(quote, account), account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
            action=f"/console/quotes/{quote.id}/edit" if quote else f"/console/quotes/new?account={account.id}",
            figures_href=f"/console/quotes/figures?{key}",
            back_href=f"/console/quotes/{quote.id}" if quote else f"/console/accounts/{account.id}",
            form=Form(values=values, errors=errors), figures=shown,
            plans=tuple(Option(value=each.sku, label=each.name) for each in plans if each.kind is PlanKind.PLAN),
            add_ons=tuple(Option(value=each.sku, label=each.name) for each in plans if each.kind is PlanKind.ADD_ON),
            terms=_TERMS, currencies=_currencies(tx, ports), discount_kinds=_KINDS, payments=_PAYMENTS,
            positions=tuple(range(1, _rows(values) + 1)), asked=_asked(asked), their_words=quote.note if quote else "",
        )  # fmt: skip
        return page(request, tx, view, who, status=int(wrong.status) if wrong else 200)


def _rows(values: Mapping[str, str]) -> int:
    """As many lines as the draft has, which a program may have written, and a few empty ones."""
    filled = [n for n in range(1, _MOST_LINES + 1) if values.get(f"sku_{n}")]
    return max(_LINES, *filled, 1)


def _title(quote: Quote | None, account: Account) -> str:
    if quote is None:
        return f"A quote for {account.name}"
    return f"Quote {quote.shown_number}" if quote.number else f"Answer {account.name} with a quote"


def _input(param: str | None, values: Mapping[str, str]) -> str:
    """The input that a refusal is about; what is said of the lines of a preview belongs to the lines of the form."""
    if param is None:
        return ""
    if param.startswith("lines."):
        _, index, name = param.split(".", 2)
        return f"{'sku' if name == 'sku' else 'quantity'}_{int(index) + 1}"
    known = {"name": "contact_name", "email": "contact_email", "sku": "sku_1", "lines": "sku_1"}
    wanted = known.get(param, param)
    return wanted if wanted in values or wanted in known.values() else ""


def _currencies(tx: Session, ports: Ports) -> tuple[Option, ...]:
    today = local_date(ports.clock.now(), accounts.seller(tx).time_zone)
    sold = sorted({row.currency for row in catalog.prices_on(tx, today)}, key=lambda code: (code != "USD", code))
    return tuple(Option(value=code, label=code) for code in sold)


def _asked(preview: Preview | None) -> tuple[MoneyRow, ...]:
    if preview is None:
        return ()
    interval = str(preview.inputs["interval"])
    return tuple(rows_of.line_row(line, preview.currency, interval) for line in preview.lines)


def _figures(
    ports: Ports, who: SignedInStaff, basis: Basis, form: Posted
) -> tuple[QuoteFiguresView, DomainError | None]:
    """The slip for what is typed, and what stands in the way of it."""
    now = ports.clock.now()
    with ports.db.session() as tx:
        try:
            offer = quoting.figures(tx, basis, read(form), now)
        except DomainError as refused:
            return QuoteFiguresView(missing=refused.detail), refused
        limit = quote_discounts.limit_of(tx, who.staff_id, now)
        by_click = quote_acceptance.enough(tx, offer.priced.commitment, now)
    total = _net(offer) + offer.answer.tax
    change = offer.change.to_json() if offer.change else None
    bills = offer.wanted.bills if change is None else 1
    unclear = offer.answer.treatment is Treatment.NEEDS_REVIEW
    steep = 0
    for line in offer.lines:
        off = line.discount or Money.zero(line.net.currency)
        steep = max(steep, share(off, line.net + off))
    view = QuoteFiguresView(
        rows=(*rows_of.offer_rows(offer.lines, offer.answer, str(offer.wanted.interval)),
              *rows_of.settled_rows(change, total)),
        total=str(Money(change["due"], total.currency) if change else total),
        yearly=f"Asked for in each of {bills} years. Before tax the term comes to {offer.priced.commitment}."
        if bills > 1 else "",
        treatment=f"{offer.answer.reason} {offer.answer.note or ''}".strip(),
        missing=f"{QuoteNotReady.title}: the tax is not known." if unclear else "",
        steep=f"{percent(steep)} off a line is more than your role gives ({percent(limit)}): somebody"
        " else approves it before it is sent." if steep > limit else "",
        signature="" if by_click else "From the e-signature threshold on: it is accepted with a signed paper.",
    )  # fmt: skip
    return view, None


def _net(offer: Offer) -> Money:
    return Money(sum(line.net.minor for line in offer.lines), offer.wanted.currency)
