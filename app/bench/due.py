"""A hundred thousand monthly subscriptions whose term has ended: some bought through the flows, then copied by INSERT.

The copies are rows as the flows wrote them under ids of their own; every constraint and trigger was on. Of a
subscription's past they have what its renewal reads (order, preview, determination, card, license), not its invoice,
postings and entitlements.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Final

from sqlalchemy import select, text
from sqlmodel import col

from app.accounts.models import BuyerType
from app.accounts.service import BuyerDetails
from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.catalog.models import Interval
from app.core.clock import start_of
from app.core.db import Tx
from app.core.ids import new_id
from app.core.money import Money
from app.flows import preview as previews
from app.flows import purchase
from app.flows.ports import Ports
from app.flows.preview_request import LineRequest, PreviewRequest
from app.flows.purchase import Placing
from app.orders.models import Order
from app.payments import service as payments
from app.payments.provider import Outcome, PaymentReport, SavedMethod
from app.subscriptions.models import Subscription

_PLACES: Final = (
    ("US", "KY", "40202", "Louisville", "USD"), ("US", "NY", "10001", "New York", "USD"),
    ("US", "MT", "59601", "Helena", "USD"), ("DE", "", "10115", "Berlin", "EUR"),
    ("NL", "", "1012", "Amsterdam", "EUR"), ("CH", "", "8001", "Zürich", "EUR"),
)  # fmt: skip
_LINES: Final = (("professional",), ("enterprise",), ("professional", "premier-support"))
# The columns that hold ids of what is copied along; the rest of a row stays as it was.
_COPIED: Final[dict[str, tuple[str, ...]]] = {
    "account": ("id",), "member": ("id", "account_id"), "payment_method": ("id", "account_id", "method_ref"),
    "tax_determination": ("id",), "preview": ("id", "tax_determination_id"),
    "order": ("id", "preview_id", "account_id", "tax_determination_id"), "order_line": ("order_id",),
    "subscription": ("id", "account_id", "order_id"), "subscription_line": ("id", "subscription_id"),
    "subscription_term": ("subscription_id", "order_id"),
    "license": ("id", "account_id", "subscription_id", "order_id", "file_id", "file_sha256"),
    "renewal_reminder": ("id", "subscription_id"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """How many subscriptions there are, and the instant at which all of them are due."""

    count: int
    due_at: datetime


def make(ports: Ports, count: int) -> Made:
    """At least `count` of them, none of which has begun to be renewed."""
    kinds = list(product(_PLACES, _LINES))
    for index, (place, skus) in enumerate(kinds):
        _buy(ports, index, place, skus)
    each = -(-count // len(kinds))
    with ports.db.transaction() as tx:
        for table, ids in _COPIED.items():
            _copy(tx, table, ids, each - 1)
        # An order and its subscription name each other: the second half of that is written last.
        tx.execute(text(
            'UPDATE "order" SET subscription_id = subscription.id FROM subscription'
            ' WHERE subscription.order_id = "order".id AND "order".subscription_id IS NULL'
        ))  # fmt: skip
        held = tx.execute(select(Subscription).order_by(col(Subscription.ends_on).desc()).limit(1)).scalar_one()
    with ports.db.reading() as connection:
        connection.execute(text("ANALYZE"))
    return Made(each * len(kinds), start_of(held.ends_on, held.time_zone) + timedelta(days=1))


def _buy(ports: Ports, index: int, place: tuple[str, ...], skus: tuple[str, ...]) -> None:
    """A purchase as the flows make it, with a provider that says yes."""
    country, region, postcode, city, currency = place
    name = new_id("acc")[-12:]
    buyer = BuyerDetails(
        email=f"bo@{name}.example", name="Bo Bourbon", company=f"{name} LLC", type=BuyerType.BUSINESS, country=country,
        region=region, postcode=postcode, city=city, line1="600 W Main St", line2="", locale="en",
    )  # fmt: skip
    offer = previews.price(ports, PreviewRequest(
        lines=tuple(LineRequest(sku, 11 + index) for sku in skus), interval=Interval.MONTH, currency=currency,
        buyer=buyer,
    ))  # fmt: skip
    with ports.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, ports.clock.now().date())
    started = purchase.start(ports, Placing(offer.id, terms.id, Evidence("127.0.0.1", "bench")), open_page=False)
    with ports.db.transaction() as tx:
        order = tx.get_one(Order, started.order_id)
        attempt = payments.latest_attempt(tx, order.id)
        if attempt is None:
            raise RuntimeError(f"order {order.id} waits for no payment")
        purchase.apply_report(tx, ports, paid(attempt.id, Money(order.total_minor, order.currency), f"pm_{name}"))


def paid(attempt_id: str, amount: Money, method_ref: str) -> PaymentReport:
    """The provider's word that a charge succeeded."""
    return PaymentReport(
        ref=f"pi_{attempt_id}", attempt_id=attempt_id, outcome=Outcome.SUCCEEDED, amount=amount,
        charge_ref=f"ch_{attempt_id}", method=SavedMethod(f"cus_{method_ref}", method_ref, "Visa •••• 4242"),
    )  # fmt: skip


def _copy(tx: Tx, table: str, ids: tuple[str, ...], times: int) -> None:
    """Every row `times` more, the number of the copy in its ids."""
    columns = list(tx.execute(text(
        "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND NOT attisdropped"
        " AND NOT (attname = 'id' AND atttypid = 'bigint'::regtype) ORDER BY attnum"
    ), {"name": f'"{table}"'}).scalars())  # fmt: skip
    made = ", ".join(_made(table, name, ids) for name in columns)
    listed = ", ".join(f'"{name}"' for name in columns)
    source = f'SELECT {made} FROM "{table}" AS one, generate_series(1, :times) AS nth'  # noqa: S608 -- our own tables
    tx.execute(text(f'INSERT INTO "{table}" ({listed}) {source}'), {"times": times})


# Every customer has an address of its own: a survey asks how often a person was asked.
_ADDRESSES: Final = {
    ("preview", "inputs"):
        "jsonb_set(one.inputs, '{buyer,email}', to_jsonb('b' || nth || '.' || (one.inputs #>> '{buyer,email}')))",
    ("order", "buyer_email"): "'b' || nth || '.' || one.buyer_email",
}  # fmt: skip


def _made(table: str, name: str, ids: tuple[str, ...]) -> str:
    if made := _ADDRESSES.get((table, name)):
        return made
    if (table, name) == ("order", "subscription_id"):
        return "NULL"
    if name in ids:
        # Behind the prefix, where the time is: the rest tells rows of one moment apart.
        return f'left(one."{name}", 4) || lpad(nth::text, 6, \'0\') || substr(one."{name}", 11)'
    return f'one."{name}"'
