"""Quotes: what sales answers when a deal does not run by itself, from the request to the order."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import ApiKey
from app.agreements.models import PaperKind
from app.agreements.papers import PaperRefused
from app.agreements.service import TermsNotAccepted
from app.catalog.errors import NoPrice, UnknownPlan
from app.core import paging
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotAllowed, NotFound
from app.core.keys import NoSigningKey
from app.core.states import MoveRefused
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.flows import quote_acceptance, quote_papers, quoting
from app.flows.ports import Ports
from app.flows.quote_acceptance import Signing
from app.flows.quoting import Basis, Draft
from app.orders.errors import AlreadyRenewed, PreviewExpired, SeatsOutOfRange
from app.orders.models import Preview
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.quotes import service
from app.quotes.errors import DiscountNeedsApproval, QuoteClosed, QuoteNotReady, SignatureNeeded
from app.quotes.models import PaymentTerms, Quote, QuoteState
from app.screening.attestations import OwnershipNotAttested
from app.screening.destinations import DestinationRefused
from app.screening.service import PartyRefused
from app.subscriptions.models import Billing
from app.tax.locating import ResidenceNeeded
from app.web.api.access import KEYED, KEYLESS, Anyone, OfAccount, find, key_with, vendor_with, visible
from app.web.api.orders import OrderOut, evidence, of_started
from app.web.api.previews import named
from app.web.api.quote_shapes import ClosingIn, QuoteAcceptanceIn, QuoteIn, QuoteOut, QuotePatchIn
from app.web.api.shapes import (
    JsonRoute,
    Limit,
    PageOut,
    cursor,
)
from app.web.deps import Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/quotes", tags=["quotes"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("orders:read")]
Writer = Annotated[ApiKey, key_with("orders:write")]
Vendor = Annotated[ApiKey, vendor_with("orders:write")]
_PDF: dict[int | str, dict[str, Any]] = {200: {"content": {"application/pdf": {}}, "description": "The quote."}}
_PRICED = (Invalid, UnknownPlan, NoPrice, SeatsOutOfRange, DestinationRefused)


class QuoteList(PageOut[QuoteOut]):
    pass


def _shown(tx: Unit, ports: Ports, quote: Quote, key: ApiKey) -> QuoteOut:
    return QuoteOut.of(tx, ports, quote, vendor=key.account_id is None)


def _again(ports: Ports, quote_id: str, key: ApiKey) -> QuoteOut:
    with ports.db.transaction() as tx:
        return _shown(tx, ports, service.get(tx, quote_id), key)


def _find(tx: Unit, quote_id: str, key: ApiKey) -> Quote:
    """A quote that the key may see: what staff still write is nobody else's to see. Raises NotFound."""
    quote = find(tx, Quote, "quo", quote_id, key)
    if key.account_id is not None and not _told(quote):
        raise NotFound(f"There is no {quote_id} here.")
    return quote


def _told(quote: Quote) -> bool:
    """Whether the customer knows of it: they asked for it, or it was sent."""
    return quote.preview_id is not None or quote.sent_at is not None


@router.post("", status_code=201, responses=problems(*KEYLESS, NotFound, Invalid, PreviewExpired, ResidenceNeeded))
def request_quote(body: QuoteIn, ports: Wired, key: Anyone) -> QuoteOut:
    """Ask sales about the figures of a preview, whatever its route. Needs no key. Once per preview."""
    bound_to = key.account_id if key else None
    with ports.db.transaction() as tx:
        preview = tx.get(Preview, body.preview)
        if preview is None or (bound_to is not None and preview.account_id != bound_to):
            raise NotFound("There is no such preview.", param="preview")
    with named():
        quote = quoting.request(ports, body.preview, note=body.note, account_id=bound_to)
    with ports.db.transaction() as tx:
        return QuoteOut.of(tx, ports, service.get(tx, quote.id), owner=key is not None)


@router.get("", responses=problems(*KEYED))
def list_quotes(
    tx: Tx, ports: Wired, key: Reader, state: QuoteState | None = None, account_id: OfAccount = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("quo")] = None,
) -> QuoteList:  # fmt: skip
    """Newest first."""
    query = visible(select(Quote), col(Quote.account_id), key, account_id)
    if key.account_id is not None:
        query = query.where(or_(col(Quote.preview_id).is_not(None), col(Quote.sent_at).is_not(None)))
    if state is not None:
        query = query.where(col(Quote.state).in_(_meant(state, key)))
    found = paging.page(tx, query, col(Quote.id), limit=limit, starting_after=starting_after)
    return QuoteList(data=[_shown(tx, ports, each, key) for each in found.data], has_more=found.has_more)


def _meant(state: QuoteState, key: ApiKey) -> list[QuoteState]:
    """To the customer a request that staff are answering is still a request."""
    if key.account_id is None:
        return [state]
    return {
        QuoteState.REQUESTED: [QuoteState.REQUESTED, QuoteState.DRAFT], QuoteState.DRAFT: [],
    }.get(state, [state])  # fmt: skip


@router.get("/{quote_id}", responses=problems(*KEYED, NotFound))
def get_quote(quote_id: str, tx: Tx, ports: Wired, key: Reader) -> QuoteOut:
    """One quote."""
    return _shown(tx, ports, _find(tx, quote_id, key), key)


@router.patch("/{quote_id}", responses=problems(*KEYED, NotAllowed, NotFound, MoveRefused, *_PRICED))
def write_quote(quote_id: str, body: QuotePatchIn, ports: Wired, key: Vendor) -> QuoteOut:
    """Answer a request with a draft, or change a draft. Only with a key of the vendor.

    Prices come from the list; a discount beyond what programs may give waits for a person's approval.
    """
    with ports.db.transaction() as tx:
        draft = _patched(tx, ports, find(tx, Quote, "quo", quote_id, key), body)
    quoting.save(ports, Basis(quote_id=quote_id), draft, by=key.id)
    return _again(ports, quote_id, key)


def _patched(tx: Unit, ports: Ports, quote: Quote, body: QuotePatchIn) -> Draft:
    before = quoting.draft_of(tx, quote, ports.clock.now())
    given = body.model_dump(exclude_unset=True, exclude={"lines", "term_years"})
    if body.interval is not None and body.interval is not before.interval:
        before = before.changed({"term_months": None, "billing": Billing.PREPAID})
    if body.term_years is not None:
        given["term_months"] = body.term_years * 12
    if body.lines is not None:
        given["lines"] = tuple(line.wanted(index) for index, line in enumerate(body.lines))
    if given.get("payment") is PaymentTerms.CARD:
        given["net_days"] = None
    return before.changed({name: value for name, value in given.items() if value is not None or name == "net_days"})


@router.post("/{quote_id}/send", responses=problems(
    *KEYED, NotAllowed, NotFound, MoveRefused, DiscountNeedsApproval, QuoteNotReady,
))  # fmt: skip
def send_quote(quote_id: str, ports: Wired, key: Vendor) -> QuoteOut:
    """Fix a draft as it is and mail it to its contact. Only with a key of the vendor."""
    with ports.db.transaction() as tx:
        find(tx, Quote, "quo", quote_id, key)
    quoting.send(ports, quote_id, by=key.id)
    return _again(ports, quote_id, key)


@router.post("/{quote_id}/revise", responses=problems(*KEYED, NotAllowed, NotFound, MoveRefused, *_PRICED))
def revise_quote(quote_id: str, body: ClosingIn, ports: Wired, key: Vendor) -> QuoteOut:
    """Begin the next revision as a copy; this one can no longer be accepted. Only with a key of the vendor."""
    with ports.db.transaction() as tx:
        find(tx, Quote, "quo", quote_id, key)
    fresh = quoting.revise(ports, quote_id, by=key.id, reason=body.reason)
    return _again(ports, fresh.id, key)


@router.post("/{quote_id}/withdraw", responses=problems(*KEYED, NotFound, MoveRefused))
def withdraw_quote(quote_id: str, body: ClosingIn, ports: Wired, key: Writer) -> QuoteOut:
    """Take a request back that nobody answered yet; the vendor also takes back an offer."""
    with ports.db.transaction() as tx:
        quote = _find(tx, quote_id, key)
        if key.account_id is not None and quote.state not in {QuoteState.REQUESTED, QuoteState.DRAFT}:
            raise MoveRefused("It was answered; decline it instead.", state=str(quote.state))
    quoting.close(ports, quote_id, state=QuoteState.WITHDRAWN, reason=body.reason, by=key.id)
    return _again(ports, quote_id, key)


@router.post("/{quote_id}/decline", responses=problems(*KEYED, NotAllowed, NotFound, MoveRefused, QuoteClosed))
def decline_quote(quote_id: str, body: ClosingIn, ports: Wired, key: Writer) -> QuoteOut:
    """The customer says no to an offer; the vendor, with its own key, to a request."""
    with ports.db.transaction() as tx:
        requested = _find(tx, quote_id, key).state in {QuoteState.REQUESTED, QuoteState.DRAFT}
    if requested and key.account_id is not None:
        raise NotAllowed("This needs a key of the vendor; yours is bound to an account.")
    if key.account_id is None:
        quoting.close(ports, quote_id, state=QuoteState.DECLINED, reason=body.reason, by=key.id)
    else:
        quote_acceptance.decline(ports, quote_id, reason=body.reason, by=key.id)
    return _again(ports, quote_id, key)


@router.post("/{quote_id}/accept", status_code=201, responses=problems(
    *KEYED, NotFound, QuoteClosed, SignatureNeeded, PaperRefused, TermsNotAccepted, Invalid, DestinationRefused,
    PartyRefused, OwnershipNotAttested, AlreadyRenewed, PaymentUnavailable, PaymentRefused, NoSigningKey,
))  # fmt: skip
def accept_quote(quote_id: str, body: QuoteAcceptanceIn, request: Request, ports: Wired, key: Writer) -> OrderOut:
    """Order what the quote offers, at its price; lead the buyer to `payment_url`.

    Once: a second acceptance answers 409. From the e-signature threshold on `paper` is needed.
    """
    with ports.db.transaction() as tx:
        _find(tx, quote_id, key)
    signing = Signing(
        name=body.person_name, email=body.person_email, terms_id=body.terms, evidence=evidence(request),
        po_number=body.po_number, paper=body.paper.upload() if body.paper else None,
        paper_kind=PaperKind(body.paper.kind) if body.paper else PaperKind.SIGNED_QUOTE, ownership=body.ownership,
    )  # fmt: skip
    with named(file="paper.content", full_name="person_name", email="person_email"):
        started = quote_acceptance.accept(ports, quote_id, signing)
    return of_started(ports, started, key)


@router.get("/{quote_id}/pdf", response_class=Response, responses=problems(*KEYED, NotFound) | _PDF)
def get_quote_pdf(quote_id: str, tx: Tx, ports: Wired, key: Reader) -> Response:
    """The offer on paper, in the language of the account. A request has none yet."""
    quote = _find(tx, quote_id, key)
    document = quote_papers.quote_document(tx, ports, quote)
    pdf = render_pdf(DocumentKind.QUOTE, document, quote_papers.locale_of(tx, quote))
    headers = {"Content-Disposition": f'attachment; filename="{quote.shown_number}.pdf"'}
    return Response(pdf, media_type="application/pdf", headers=headers)
