"""Changing a subscription: seats, plan and add-ons, previewed, ordered, scheduled and withdrawn."""

from typing import Annotated

from fastapi import APIRouter, Request

from app.accounts.models import ApiKey
from app.agreements.service import TermsNotAccepted
from app.catalog.errors import NoPrice, UnknownPlan
from app.core import ids
from app.core.errors import Invalid, NotFound, Unavailable
from app.core.keys import NoSigningKey
from app.core.money import Money
from app.core.states import MoveRefused
from app.flows import seat_change
from app.flows.ports import Ports
from app.flows.seat_change import Ordering
from app.flows.trade_credit import InvoiceNotOffered
from app.orders.changes import AT_RENEWAL, Change
from app.orders.errors import ChangeRefused, NeedsQuote, PreviewChanged, PreviewExpired, SeatsOutOfRange
from app.orders.models import OrderKind, Preview
from app.payments import service as payments
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.screening.destinations import DestinationRefused
from app.screening.service import PartyRefused
from app.subscriptions import scheduled, service
from app.subscriptions.models import Subscription
from app.tax import service as tax
from app.web.api.access import KEYED, find, key_with
from app.web.api.change_shapes import (
    ChangeIn,
    ChangeOrderIn,
    ChangeOut,
    ChangePreviewOut,
    NextTermOut,
    ScheduledChangeList,
    ScheduledChangeOut,
)
from app.web.api.orders import check_acceptance, evidence, of_started
from app.web.api.previews import TaxOut, facts, named
from app.web.api.shapes import JsonRoute, MoneyOut
from app.web.api.subscriptions import require_own
from app.web.deps import Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/subscriptions/{subscription_id}/changes", tags=["subscriptions"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("subscriptions:read")]
Writer = Annotated[ApiKey, key_with("subscriptions:write")]


@router.post("/preview", status_code=201, responses=problems(
    *KEYED, NotFound, ChangeRefused, SeatsOutOfRange, UnknownPlan, NoPrice, Invalid, Unavailable
))  # fmt: skip
def preview_change(subscription_id: str, body: ChangeIn, ports: Wired, key: Writer) -> ChangePreviewOut:
    """What a change costs, now and in the next term. Commits nobody to anything; the answer holds for a day."""
    require_own(ports, subscription_id, key)
    with named(sku="plan"):
        offer = seat_change.preview(ports, subscription_id, body.wanted())
    return _shown(ports, offer)


def _shown(ports: Ports, offer: Preview) -> ChangePreviewOut:
    change, currency = Change.from_json(offer.change or {}), offer.currency
    coming = seat_change.next_term(ports, offer)
    with ports.db.transaction() as tx:
        card = payments.saved_method(tx, offer.account_id or "", ports.payments.name)
        found = tax.stored(tx, offer.tax_determination_id)
    given = facts(ports, offer)
    if change.effective == AT_RENEWAL:
        given["tax"] = TaxOut(
            amount=0, currency=currency, treatment=found.treatment, components=[], note="",
            reason="Nothing is charged now.", precision=found.precision,
        )  # fmt: skip
    net = sum((line.net for line in coming.lines), Money.zero(currency)) if coming else Money.zero(currency)
    return ChangePreviewOut(
        **given, effective="at_renewal" if change.effective == AT_RENEWAL else "now", on=change.on,
        credit=MoneyOut.minor(change.credit, currency), due=MoneyOut.of(offer.due),
        carried=bool(offer.total_minor) and not change.invoiced, saved_card=card.label if card else None,
        next_term=NextTermOut(net=MoneyOut.of(net), tax=MoneyOut.of(coming.answer.tax),
                              total=MoneyOut.of(net + coming.answer.tax)) if coming else None,
    )  # fmt: skip


@router.post("", status_code=201, responses=problems(
    *KEYED, NotFound, ChangeRefused, PreviewExpired, PreviewChanged, NeedsQuote, TermsNotAccepted, Invalid,
    InvoiceNotOffered, SeatsOutOfRange, PaymentUnavailable, PaymentRefused, NoSigningKey, Unavailable,
    DestinationRefused, PartyRefused,
))  # fmt: skip
def create_change(
    subscription_id: str, body: ChangeOrderIn, request: Request, ports: Wired, key: Writer
) -> ChangeOut:  # fmt: skip
    """Carry out what a preview offers. A saved card is charged at once; otherwise `payment_url` leads to payment.

    If anything it rests on has changed, nothing is done and the problem's `preview` is the new offer.
    """
    require_own(ports, subscription_id, key)
    with ports.db.transaction() as tx:
        offer = tx.get(Preview, body.preview)
        if offer is None or offer.kind is not OrderKind.EXPANSION or offer.subscription_id != subscription_id:
            raise NotFound("There is no such change of this subscription.", param="preview")
    waits = Change.from_json(offer.change or {}).effective == AT_RENEWAL
    if body.acceptance is not None:
        check_acceptance(ports, body.preview, body.acceptance)
    elif not waits:
        raise Invalid("Accept the terms: what begins now is an order.", param="acceptance")
    terms = body.acceptance.terms if body.acceptance is not None else ""
    with named(terms="acceptance.terms"):
        done = seat_change.commit(
            ports, body.preview, Ordering(terms, evidence(request), key.id, body.payment, body.po_number)
        )
    if done.scheduled is not None:
        with ports.db.transaction() as tx:
            held = service.get(tx, subscription_id)
            return ChangeOut(scheduled=ScheduledChangeOut.of(tx, done.scheduled, held))
    return ChangeOut(order=of_started(ports, done.started, key) if done.started is not None else None)


@router.get("", responses=problems(*KEYED, NotFound))
def list_changes(subscription_id: str, tx: Tx, key: Reader) -> ScheduledChangeList:
    """What was ever scheduled for a next term, newest first, with what became of it."""
    held = find(tx, Subscription, "sub", subscription_id, key)
    rows = scheduled.all_of(tx, held.id)
    return ScheduledChangeList(data=[ScheduledChangeOut.of(tx, row, held) for row in rows], has_more=False)


@router.post("/{change_id}/withdraw", responses=problems(*KEYED, NotFound, MoveRefused, ChangeRefused))
def withdraw_change(subscription_id: str, change_id: str, ports: Wired, key: Writer) -> ScheduledChangeOut:
    """Take back what is scheduled for the next term, at any time before that is bought."""
    require_own(ports, subscription_id, key)
    row = seat_change.withdraw(ports, subscription_id, ids.require_form("chg", change_id), by=key.id)
    with ports.db.transaction() as tx:
        return ScheduledChangeOut.of(tx, row, service.get(tx, subscription_id))
