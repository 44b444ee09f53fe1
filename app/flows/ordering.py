"""An agreement becomes an order: its rows, its evidence, the first attempt to pay, in the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from app.accounts import service as accounts
from app.accounts.addresses import has_postcodes
from app.accounts.models import BuyerType
from app.agreements import service as agreements
from app.agreements.models import TermsVersion
from app.agreements.service import Evidence
from app.catalog import coupons
from app.core import audit, events, jobs, keys, policy
from app.core.audit import Deed
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.events import Happened
from app.core.money import Money
from app.flows import attesting, completion, own_credit, printable, trade_credit
from app.flows import preview as previews
from app.flows.ports import Ports
from app.orders import service as orders
from app.orders.models import OfferSource, Order, OrderKind, OrderState, PayBy, Preview
from app.payments import service as payments
from app.payments.models import PaymentAttempt
from app.payments.provider import PaymentReport
from app.tax import locating

_REQUIRED: Final = (("email", "e-mail"), ("name", "name"), ("company", "company"), ("line1", "street and number"),
                    ("city", "city"))  # fmt: skip

# Nobody is at the checkout for them: what was kept with the first order speaks for them too.
_FURTHER_TERMS: Final = frozenset({OrderKind.RENEWAL, OrderKind.INSTALMENT})


@dataclass(frozen=True, slots=True)
class Agreed:
    """Who agreed, to which text; `ownership` is who attested it; `more` is what the snapshot keeps beside the order (a
    quote, its signed paper).
    """

    terms: TermsVersion
    name: str
    email: str
    company: str
    evidence: Evidence
    more: Mapping[str, Any] = field(default_factory=dict)
    ownership: attesting.Said | None = None


def enter(
    tx: Tx, ports: Ports, preview: Preview, agreed: Agreed, *, account_id: str, po_number: str,
    term_starts_on: date | None, held: bool, expires_at: datetime | None, now: datetime,
    pay_by: PayBy = PayBy.CARD, net_days: int | None = None,
) -> Order:  # fmt: skip
    """Write down an order at the preview's figures, with its evidence and the first attempt to pay.

    One on invoice is delivered at once, its invoice due in `net_days`. The caller has locked the preview and knows
    that its figures may be charged, or owed. Raises Invalid for a `po_number` that no document can show.
    """
    printable.require({"po_number": po_number})
    request = previews.request_of(preview)
    tax_ids = request.tax_ids
    accounts.keep_tax_ids(tx, account_id, ((each.type, each.value, each.status) for each in tax_ids), now)
    order = orders.place(
        tx, preview, account_id=account_id, state=OrderState.HELD if held else OrderState.AWAITING_PAYMENT,
        expires_at=expires_at, po_number=po_number, pay_by=pay_by, test=ports.test_mode,
        term_starts_on=term_starts_on, now=now,
        credit=_credit(tx, preview, account_id, now) if pay_by is PayBy.CARD else None,
    )  # fmt: skip
    if request.buyer.type is BuyerType.CONSUMER and order.kind not in _FURTHER_TERMS:
        locating.keep(tx, order.id, request.buyer.country, request.seen, now)
    if held or order.due:
        own_credit.hold(tx, order, now)
    if order.discount is not None and order.kind is OrderKind.PURCHASE:
        given = Money(sum(line["discount_minor"] for line in preview.lines), order.currency)
        coupons.reserve(tx, order.discount["coupon_id"], order_id=order.id, account_id=account_id, given=given, now=now)
    agreements.accept(
        tx, keys.evidence_signer(tx, ports.secrets, now), terms=agreed.terms, account_id=account_id, order_id=order.id,
        snapshot=snapshot_of(order, preview) | dict(agreed.more), person_name=agreed.name, person_email=agreed.email,
        company=agreed.company, evidence=agreed.evidence, now=now,
    )  # fmt: skip
    if agreed.ownership is not None:
        attesting.keep(tx, account_id, order.id, agreed.ownership, now)
    _announce(tx, order, held=held, now=now)
    if not held and pay_by is PayBy.INVOICE:
        fulfil_on_invoice(tx, ports, order, now, net_days=net_days)
    elif not held and order.due:
        intend(tx, ports, order)
    elif not held:
        completion.complete_without_payment(tx, ports, order, now)
    return order


def _credit(tx: Tx, preview: Preview, account_id: str, now: datetime) -> Money:
    """What customer credit pays: as was shown, or of a quote, whose figures are older, what there is now."""
    if preview.source is OfferSource.LIST:
        return Money(preview.credit_minor, preview.currency)
    return own_credit.of_stored(tx, account_id, Money(preview.total_minor, preview.currency), preview.change, now)


def fulfil_on_invoice(tx: Tx, ports: Ports, order: Order, now: datetime, *, net_days: int | None = None) -> None:
    """Deliver an order whose invoice is paid later. The caller holds its lock and has checked the credit."""
    completion.complete_on_invoice(
        tx, ports, order, net_days=policy.get(tx, trade_credit.NET_DAYS, now) if net_days is None else net_days,
        bridge_days=policy.get(tx, trade_credit.BRIDGE_DAYS, now), now=now,
    )  # fmt: skip


def require_complete(preview: Preview) -> None:
    """An estimate may be incomplete, an order may not. Raises Invalid, ResidenceNeeded."""
    buyer = preview.inputs["buyer"]
    for name, words in _REQUIRED:
        needless = name == "company" and buyer["type"] == BuyerType.CONSUMER
        if not needless and not buyer[name].strip():
            raise Invalid(f"Give your {words}; it goes on the invoice.", param=name)
    if buyer["type"] == BuyerType.CONSUMER:
        locating.require_no_contradiction(buyer["country"], previews.request_of(preview).seen)
    if not buyer["postcode"].strip() and has_postcodes(buyer["country"]):
        raise Invalid("Give your postcode; it goes on the invoice and can decide the tax.", param="postcode")


def keep_card_country(tx: Tx, order: Order, report: PaymentReport, now: datetime) -> None:
    """Beside what was known of a consumer when they ordered; it is told where it speaks against that (R-TAX-5)."""
    if locating.keep_card(tx, order.id, report.card_country, now):
        events.append(tx, "order.location_contradicted", order.id, now=now, account_id=order.account_id)


def snapshot_of(order: Order, preview: Preview) -> dict[str, Any]:
    """What was agreed, frozen: the acceptance's hash is over exactly this."""
    return {
        "order": order.id, "lines": preview.lines, "interval": preview.inputs["interval"],
        "buyer": preview.inputs["buyer"], "tax_ids": preview.inputs["tax_ids"], "currency": order.currency,
        "net": order.net_minor, "tax": order.tax_minor, "total": order.total_minor, "po_number": order.po_number,
        "discount": order.discount,
    } | ({"change": order.change} if order.change is not None else {}) | (
        {"credit": order.credit_minor} if order.credit_minor else {}
    )  # fmt: skip


def _announce(tx: Tx, order: Order, *, held: bool, now: datetime) -> None:
    told, deed = placed_event(order, held=held), placed_deed(order)
    events.append(tx, told.kind, order.id, now=now, account_id=order.account_id, **told.data)
    audit.record(tx, deed.chain, actor=deed.actor, action=deed.action, subject=deed.subject, now=now,
                 details=deed.details)  # fmt: skip
    if held:
        jobs.defer(tx, "notify.order_held", order_id=order.id)


def placed_event(order: Order, *, held: bool) -> Happened:
    return Happened("order.held" if held else "order.placed", order.id, order.account_id, {
        "total": {"amount": order.total_minor, "currency": order.currency}, "route": str(order.route),
        "reasons": [each["code"] for each in order.reasons],
    })  # fmt: skip


def placed_deed(order: Order) -> Deed:
    details = {"total": order.total_minor, "currency": order.currency, "route": str(order.route)}
    return Deed(order.account_id, "buyer", "order.placed", order.id, details)


def intend(tx: Tx, ports: Ports, order: Order) -> PaymentAttempt:
    return payments.intend(
        tx, order_id=order.id, account_id=order.account_id, amount=order.due,
        provider=ports.payments.name, now=transport_now(),
    )  # fmt: skip
