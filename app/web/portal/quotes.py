"""`/q/{token}`: a request for a quote, then the quote, for whoever holds the link: no account, no sign-in (R-ORD-3).

Looking changes nothing. That a person looked is told by a form that the page's module sends after a few seconds in a
visible window; mail scanners do not get there, and without it the quote stays `sent`, which costs nothing (ADR 0028).
The posts need no form token, since whoever knows the address may act.
"""

from datetime import timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from app.accounts.models import Staff
from app.agreements import contracts
from app.agreements import service as agreements
from app.agreements.models import PaperKind
from app.agreements.papers import Upload
from app.agreements.service import Evidence
from app.catalog.models import Plan
from app.core import policy
from app.core.db import Tx as Unit
from app.core.errors import DomainError, Invalid, NotFound
from app.core.money import Money
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.flows import quote_acceptance, quote_papers, quote_payments, quoting
from app.flows.notify import ANSWER_DAYS
from app.flows.ports import Ports
from app.flows.quote_acceptance import ESIGNATURE, Signing
from app.orders import routing
from app.orders import service as orders
from app.orders.models import OrderKind, Preview
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.quotes import service as quotes
from app.quotes.errors import QuoteClosed
from app.quotes.models import OPEN, Quote, QuoteState
from app.screening import attestations
from app.subscriptions.replay import model_of
from app.tax import service as tax
from app.web import csrf, show
from app.web.auth import CustomerIfAny
from app.web.deps import Wired, client_ip
from app.web.portal import figures
from app.web.portal.license_files import download
from app.web.portal.pricing import automatic_up_to
from app.web.portal.render import Form, Posted, see_other
from app.web.portal.views import QuoteRequestedView, QuoteView
from app.web.views import Form as FormView
from app.web.views import Link

router = APIRouter(include_in_schema=False, prefix="/q/{token}", dependencies=[Depends(csrf.protect)])
_BY_TOKEN = "the token in the address proves the right"  # noqa: S105 -- a reason, not a secret
_LONGEST_REASON = 2000


@router.get("")
def quote(request: Request, ports: Wired, who: CustomerIfAny, token: str) -> Response:
    """The request with its answer date, or the offer as it stands."""
    return _page(request, ports, who, token, FormView(), 200)


@router.get("/pdf")
def pdf(ports: Wired, token: str) -> Response:
    """The offer on paper."""
    with ports.db.transaction() as tx:
        found = _sent(tx, ports, token)
        document, locale = quote_papers.quote_document(tx, ports, found), quote_papers.locale_of(tx, found)
    drawn = render_pdf(DocumentKind.QUOTE, document, locale)
    return download(drawn, f"{found.shown_number}.pdf", "application/pdf")


@router.post("/seen")
@csrf.exempt(_BY_TOKEN)
def seen(ports: Wired, token: str) -> Response:
    """A person has it before them; the answer takes the place of the form that said so."""
    with ports.db.transaction() as tx:
        found = _sent(tx, ports, token)
    quoting.seen(ports, found.id)
    return HTMLResponse("<div hidden></div>")


@router.post("/accept")
@csrf.exempt(_BY_TOKEN)
def accept(request: Request, ports: Wired, who: CustomerIfAny, token: str, form: Form) -> Response:
    """Accept by a click, where a click is enough."""
    return _accept(request, ports, who, token, form, None)


@router.post("/sign")
@csrf.exempt(_BY_TOKEN)
def sign(request: Request, ports: Wired, who: CustomerIfAny, token: str, form: Form) -> Response:
    """Accept with what was signed: the quote, or a purchase order of one's own."""
    return _accept(request, ports, who, token, form, Upload(form.upload))


@router.post("/decline")
@csrf.exempt(_BY_TOKEN)
def decline(request: Request, ports: Wired, who: CustomerIfAny, token: str, form: Form) -> Response:
    """Say no, with a reason if one is given."""
    with ports.db.transaction() as tx:
        found = _sent(tx, ports, token)
    try:
        quote_acceptance.decline(ports, found.id, reason=form.prose("reason", _LONGEST_REASON).strip())
    except QuoteClosed as refused:
        return _page(request, ports, who, token, FormView(errors={"": refused.detail}), refused.status)
    return see_other(f"/q/{token}")


def _accept(
    request: Request, ports: Ports, who: CustomerIfAny, token: str, form: Posted, upload: Upload | None
) -> Response:  # fmt: skip
    with ports.db.transaction() as tx:
        found = _sent(tx, ports, token)
    try:
        started = quote_acceptance.accept(ports, found.id, _signing(request, form, upload, found))
    except (PaymentUnavailable, PaymentRefused):
        return see_other(f"/q/{token}")  # accepted; the page leads to the order, where paying is tried again
    except DomainError as refused:
        typed = {name: form.text(name) for name in ("full_name", "email", "po_number", "paper_kind")}
        known = refused.param if refused.param in {*typed, "accept", "ownership", "file"} else ""
        view = FormView(values=typed, errors={known: refused.detail})
        return _page(request, ports, who, token, view, refused.status)
    return see_other(started.payment_url or f"/orders/{started.token}")


def _signing(request: Request, form: Posted, upload: Upload | None, found: Quote) -> Signing:
    """What was posted. Raises Invalid where the tick is missing or another offer was looked at."""
    if form.text("preview_id") != found.offer_id:
        raise Invalid("This page shows another offer than the one you accepted; look at it again.")
    if not form.text("accept"):
        raise Invalid("Accept the terms to go on.", param="accept")
    kind = form.text("paper_kind")
    return Signing(
        name=form.text("full_name"), email=form.text("email"), terms_id=form.text("terms_id"),
        evidence=Evidence(client_ip(request), request.headers.get("user-agent", "")),
        po_number=form.text("po_number")[:60], paper=upload,
        paper_kind=PaperKind.PURCHASE_ORDER if kind == PaperKind.PURCHASE_ORDER else PaperKind.SIGNED_QUOTE,
        ownership=bool(form.text("ownership")),
    )  # fmt: skip


# --- Showing ------------------------------------------------------------------------------------------------------


def _find(tx: Unit, ports: Ports, token: str) -> Quote:
    """Raises NotFound for a token that was not made here, and for an offer that nobody was told of."""
    quote_id = ports.secrets.read_token(quotes.TOKEN, token)
    if quote_id is None:
        raise NotFound("This link is not complete; copy all of it from the mail.")
    found = quotes.get(tx, quote_id)
    if found.preview_id is None and found.sent_at is None:
        raise NotFound("There is no such quote.")
    return found


def _sent(tx: Unit, ports: Ports, token: str) -> Quote:
    """An offer that was sent. Raises NotFound for a request, or what staff still write."""
    found = _find(tx, ports, token)
    if found.sent_at is None:
        raise NotFound("Nothing is offered here yet.")
    return found


def _page(
    request: Request, ports: Ports, who: CustomerIfAny, token: str, form: FormView, status: int
) -> Response:  # fmt: skip
    with ports.db.transaction() as tx:
        found = _find(tx, ports, token)
        asked_only = found.sent_at is None
        view = _asked(tx, ports, found) if asked_only else _offered(tx, ports, found, token, form)
    return show.portal(request, view, who=who, status=status)


def _offered(tx: Unit, ports: Ports, found: Quote, token: str, form: FormView) -> QuoteView:
    now = ports.clock.now()
    offer = tx.get_one(Preview, found.figures_id)
    terms = quote_acceptance.terms(tx, now)
    determination = tax.stored(tx, offer.tax_determination_id)
    whole = Money(offer.total_minor, offer.currency)
    due, payments = quote_payments.due(offer), quote_payments.schedule(offer)
    special = contracts.in_force(tx, found.account_id, now)
    later = quotes.newer(tx, found)
    by_click = quote_acceptance.by_click(tx, offer, now)
    late = found.state in OPEN and found.expires_at is not None and found.expires_at <= now
    return QuoteView(
        number=found.shown_number, state="expired" if late else found.state.value,
        company=offer.inputs["buyer"]["company"] or offer.inputs["buyer"]["name"],
        prepared_by=_author(tx, ports, found), message=found.message,
        rows=(
            *figures.rows(offer.lines, determination, str(offer.inputs["interval"])),
            *figures.settled_rows(offer.change, whole),
        ),
        total=str(due),
        treatment=figures.treatment(determination), valid_until=found.valid_until or now.date(),
        accept_by_click=by_click, signature_note=_signature_note(tx, ports, offer), pdf_href=f"/q/{token}/pdf",
        form=form, accept_href=f"/q/{token}/accept", decline_href=f"/q/{token}/decline",
        sign_href=f"/q/{token}/sign", seen_href=f"/q/{token}/seen" if found.state is QuoteState.SENT else "",
        button=f"Accept for {due}", terms=Link(label=terms.title.lower(), href=f"/terms/{terms.key}/{terms.version}"),
        terms_version=terms.version, terms_id=terms.id, authority=agreements.AUTHORITY, preview_id=offer.id,
        newer_href=f"/q/{ports.secrets.sign_token(quotes.TOKEN, later.id)}" if later else "",
        ownership=attestations.TEXT if quote_acceptance.asks_ownership(tx, offer, now) else "",
        order_href=_order_href(ports, found), payment=_payment(found, yearly=bool(payments)),
        payments=figures.payment_rows(payments, found.net_days),
        payments_total=str(quote_payments.whole(payments)) if payments else "", on_invoice=found.net_days is not None,
        agreement_note=f"“{special.title}” applies to this quote; where it says otherwise it prevails."
        if special
        else "",
    )  # fmt: skip


def _author(tx: Unit, ports: Ports, found: Quote) -> str:
    person = tx.get(Staff, found.sent_by) if found.sent_by and found.sent_by.startswith("stf_") else None
    return f"{person.name}, {ports.vendor_name}" if person is not None else ports.vendor_name


def _order_href(ports: Ports, found: Quote) -> str:
    return f"/orders/{ports.secrets.sign_token(orders.TOKEN, found.order_id)}" if found.order_id else ""


def _payment(found: Quote, *, yearly: bool) -> str:
    if found.net_days is None:
        card = "Paid by card, on the payment provider's own page, which comes next."
        return f"{card} The card is charged for each further year at its start." if yearly else card
    days = figures.counted(found.net_days, "day", "days")
    each = "each invoice; there is one at the start of each year." if yearly else "the invoice."
    return f"Agreed: payable within {days} of {each}"


def _signature_note(tx: Unit, ports: Ports, offer: Preview) -> str:
    limit = policy.get(tx, ESIGNATURE, ports.clock.now()).get(offer.currency)
    if limit is None:
        return f"Quotes in {offer.currency} are accepted with a signed paper."
    return f"Quotes of {Money(limit, offer.currency)} before tax and more are accepted with a signed paper."


def _asked(tx: Unit, ports: Ports, asked: Quote) -> QuoteRequestedView:
    preview = tx.get_one(Preview, asked.preview_id)
    plan = tx.get_one(Plan, preview.lines[0]["plan_id"])
    href, sentence = _automatic(tx, ports, preview, plan)
    answer_by = asked.created_at + timedelta(days=policy.get(tx, ANSWER_DAYS, asked.created_at))
    state = QuoteState.REQUESTED if asked.state is QuoteState.DRAFT else asked.state
    return QuoteRequestedView(
        reference=asked.id, email=asked.contact_email, answer_by=answer_by.date(), plan=plan.name,
        rows=figures.rows(
            preview.lines, tax.stored(tx, preview.tax_determination_id), str(preview.inputs["interval"]),
            preview.discount,
        ),
        total=str(Money(preview.total_minor, preview.currency)), reasons=figures.reasons(preview),
        automatic_href=href, automatic_sentence=sentence, state=state.value, closed_reason=asked.closed_reason or "",
    )  # fmt: skip


def _automatic(tx: Unit, ports: Ports, preview: Preview, plan: Plan) -> tuple[str, str]:
    """The largest order of the same plan that runs by itself, where only the amount stood in the way."""
    alone = [each["code"] for each in preview.reasons] == ["at_or_above_threshold"] and len(preview.lines) == 1
    if not alone or preview.kind is not OrderKind.PURCHASE:
        return "", ""
    unit = Money(preview.lines[0]["unit_minor"], preview.currency)
    model = model_of(preview.lines[0].get("pricing"), unit)
    seats = automatic_up_to(plan, model, policy.get(tx, routing.THRESHOLD, ports.clock.now()))
    if seats is None:
        return "", ""
    interval = preview.inputs["interval"]
    query = {"sku": plan.sku, "seats": seats, "interval": interval, "currency": preview.currency}
    return f"/checkout?{urlencode(query)}", f"Up to {seats:,} seats run by themselves, without a quote."
