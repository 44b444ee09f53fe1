"""An agreement becomes an order: its rows, its evidence, the first attempt to pay, in the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from app.accounts import service as accounts
from app.accounts.addresses import has_postcodes
from app.agreements import service as agreements
from app.agreements.models import TermsVersion
from app.agreements.service import Evidence
from app.core import audit, events, jobs, keys
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.money import Money
from app.flows import preview as previews
from app.flows.ports import Ports
from app.orders import service as orders
from app.orders.models import Order, OrderState, Preview
from app.payments import service as payments
from app.payments.models import PaymentAttempt

_REQUIRED: Final = (("email", "e-mail"), ("name", "name"), ("company", "company"), ("line1", "street and number"),
                    ("city", "city"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agreed:
    """Who agreed, to which text; `more` is what the snapshot keeps beside the order (a quote, its signed paper)."""

    terms: TermsVersion
    name: str
    email: str
    company: str
    evidence: Evidence
    more: Mapping[str, Any] = field(default_factory=dict)


def enter(
    tx: Tx, ports: Ports, preview: Preview, agreed: Agreed, *, account_id: str, po_number: str,
    term_starts_on: date | None, held: bool, expires_at: datetime | None, now: datetime,
) -> Order:  # fmt: skip
    """Write down an order at the preview's figures, with its evidence and the first attempt to pay.

    The caller has locked the preview and knows that its figures may be charged.
    """
    tax_ids = previews.request_of(preview).tax_ids
    accounts.keep_tax_ids(tx, account_id, ((each.type, each.value, each.status) for each in tax_ids), now)
    order = orders.place(
        tx, preview, account_id=account_id, state=OrderState.HELD if held else OrderState.AWAITING_PAYMENT,
        expires_at=expires_at, po_number=po_number, test=ports.test_mode, term_starts_on=term_starts_on, now=now,
    )  # fmt: skip
    agreements.accept(
        tx, keys.evidence_signer(tx, ports.secrets, now), terms=agreed.terms, account_id=account_id, order_id=order.id,
        snapshot=_snapshot(order, preview) | dict(agreed.more), person_name=agreed.name, person_email=agreed.email,
        company=agreed.company, evidence=agreed.evidence, now=now,
    )  # fmt: skip
    _announce(tx, order, held=held, now=now)
    if not held:
        intend(tx, ports, order)
    return order


def require_complete(preview: Preview) -> None:
    """An estimate may be incomplete, an order may not."""
    buyer = preview.inputs["buyer"]
    for name, words in _REQUIRED:
        if not buyer[name].strip():
            raise Invalid(f"Give your {words}; it goes on the invoice.", param=name)
    if not buyer["postcode"].strip() and has_postcodes(buyer["country"]):
        raise Invalid("Give your postcode; it goes on the invoice and can decide the tax.", param="postcode")


def _snapshot(order: Order, preview: Preview) -> dict[str, Any]:
    """What was agreed, frozen: the acceptance's hash is over exactly this."""
    return {
        "order": order.id, "lines": preview.lines, "interval": preview.inputs["interval"],
        "buyer": preview.inputs["buyer"], "tax_ids": preview.inputs["tax_ids"], "currency": order.currency,
        "net": order.net_minor, "tax": order.tax_minor, "total": order.total_minor, "po_number": order.po_number,
    }  # fmt: skip


def _announce(tx: Tx, order: Order, *, held: bool, now: datetime) -> None:
    events.append(tx, "order.held" if held else "order.placed", order.id, now=now, account_id=order.account_id,
                  total={"amount": order.total_minor, "currency": order.currency}, route=str(order.route),
                  reasons=[each["code"] for each in order.reasons])  # fmt: skip
    details = {"total": order.total_minor, "currency": order.currency, "route": str(order.route)}
    audit.record(tx, order.account_id, actor="buyer", action="order.placed", subject=order.id, now=now, details=details)
    if held:
        jobs.defer(tx, "notify.order_held", order_id=order.id)


def intend(tx: Tx, ports: Ports, order: Order) -> PaymentAttempt:
    return payments.intend(
        tx, order_id=order.id, account_id=order.account_id, amount=Money(order.total_minor, order.currency),
        provider=ports.payments.name, now=transport_now(),
    )  # fmt: skip
