"""Which events we act on, and what each is about: the one table of kinds.

An event only says where to look. What it names is fetched, so neither the order of events nor their version matters;
what is done then is the table in `flows/provider_events.py`. A kind that is not here is kept and acknowledged.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from app.payments.provider import ProviderEvent

Subject = Mapping[str, Any]
Named = dict[str, str | None]


def _session(subject: Subject) -> Named:
    return {"setup_ref" if subject.get("mode") == "setup" else "payment_ref": subject["id"]}


def _payment(subject: Subject) -> Named:
    return {"payment_ref": subject["id"]}


def _setup(subject: Subject) -> Named:
    return {"setup_ref": subject["id"]}


def _method(subject: Subject) -> Named:
    return {"method_ref": subject["id"]}


def _customer(subject: Subject) -> Named:
    return {"customer_ref": subject["id"]}


def _charge(subject: Subject) -> Named:
    return {"charge_ref": subject["id"], "payment_ref": subject.get("payment_intent")}


def _refund(subject: Subject) -> Named:
    return {"refund_ref": subject["id"], "payment_ref": subject.get("payment_intent")}


def _dispute(subject: Subject) -> Named:
    return {"dispute_ref": subject["id"], "payment_ref": subject.get("payment_intent")}


KINDS: Final[Mapping[str, Callable[[Subject], Named]]] = {
    "checkout.session.completed": _session,
    "checkout.session.expired": _session,
    "checkout.session.async_payment_succeeded": _session,
    "checkout.session.async_payment_failed": _session,
    "payment_intent.succeeded": _payment,
    "payment_intent.payment_failed": _payment,
    "payment_intent.canceled": _payment,
    "setup_intent.succeeded": _setup,
    "setup_intent.setup_failed": _setup,
    "setup_intent.canceled": _setup,
    "payment_method.updated": _method,
    "payment_method.automatically_updated": _method,
    "payment_method.detached": _method,
    "customer.deleted": _customer,
    "charge.refunded": _charge,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "charge.dispute.closed": _dispute,
}


def event_of(payload: dict[str, Any]) -> ProviderEvent:
    """A verified event. Raises KeyError, TypeError or AttributeError where it is not shaped like one.

    Stripe's "thin" events have no object in them and are refused: make the endpoint with snapshot events.
    """
    subject = payload["data"]["object"]
    if not all(isinstance(value, str) for value in (payload["id"], payload["type"], subject["object"])):
        raise TypeError("an event's id and type are text")
    naming = KINDS.get(payload["type"])
    named = naming(subject) if naming is not None else {}
    known = {name: ref for name, ref in named.items() if isinstance(ref, str)}
    return ProviderEvent(
        id=payload["id"], type=payload["type"], payload=payload, **{"payment_ref": None, **known}
    )  # fmt: skip
