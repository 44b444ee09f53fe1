"""The first half of a billing run for many (R-SUB-5, R-SUB-6, ADR 0036): what is due is priced and ordered, and its
charges are put on the queue, some hundreds in one transaction.

The rules are those of the single path (`preview.offer_of`, `ordering`, `charging`), fed from what a handful of queries
read for all. Whatever is not plain is left to the single path, one job each.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import tuple_
from sqlmodel import col
from structlog import get_logger

from app.accounts import service as accounts
from app.agreements import service as agreements
from app.agreements.models import Acceptance, TermsVersion
from app.agreements.service import Evidence
from app.core import audit, bulk, events, jobs, keys, policy
from app.core.audit import Deed
from app.core.bulk import Batch, plain
from app.core.clock import start_of, transport_now
from app.core.db import Tx
from app.core.events import Happened
from app.core.money import Money
from app.core.signing import Ed25519Signer
from app.dunning import service as dunning
from app.dunning.models import AutomaticCharge
from app.flows import billing_run, confirming, due_facts, ordering, renewal
from app.flows import preview as previews
from app.flows.due_facts import Due, Loaded
from app.flows.ports import Ports
from app.flows.preview_request import TaxIdGiven
from app.orders import service as orders
from app.orders.models import Order, OrderLine, OrderState, PayBy, Preview, Route
from app.payments import service as payments
from app.payments.models import PaymentAttempt
from app.subscriptions.models import Subscription
from app.tax.models import TaxDetermination

log = get_logger()

CHUNK: Final = 500  # its locks are held for about a second
EVIDENCE: Final = Evidence(ip="", user_agent="automatic renewal")
CHARGE: Final = "renewal.charge"
_REGISTRIES_AT_ONCE: Final = 8
Place = tuple[date, str]  # where a run is: the end of the term and the id of the last subscription it has seen


@dataclass(slots=True)
class Done:
    """What became of subscriptions: `ordered`, left to the `single` path, or `parked`."""

    ordered: int = 0
    single: int = 0
    parked: int = 0


@jobs.job(billing_run.ORDER_DUE, retry=jobs.Retry(attempts=6, first=30))
def order_due(ports: Ports) -> None:
    """Order the next term of everything that is due. Any number of these may run at once: they share the work."""
    place: Place | None = None
    while (found := order_chunk(ports, place)) is not None:
        place, done = found
        log.info("billing_run.ordered", ordered=done.ordered, single=done.single, parked=done.parked)


def order_chunk(ports: Ports, after: Place | None = None, *, size: int = CHUNK) -> tuple[Place, Done] | None:
    """Order the next terms of those that are due among the `size` candidates behind `after`; None behind the last.

    A failure is bisected down to the one subscription it is about, which is parked with its reason.
    """
    with ports.db.transaction() as tx:
        found = _candidates_behind(tx, ports.clock.now(), after, size)
    if not found:
        return None
    run = _Run(ports)
    now = ports.clock.now()
    over = [each_id for each_id, ends_on, time_zone in found if start_of(ends_on, time_zone) <= now]
    bulk.bisected(over, run.order, run.park)
    while run.asks:
        asked = run.ask_registries()
        bulk.bisected(asked, run.order, run.park)
    last_id, last_end, _ = found[-1]
    return (last_end, last_id), run.done


def _candidates_behind(tx: Tx, now: datetime, after: Place | None, size: int) -> list[tuple[str, date, str]]:
    """The next that may be due and that no other worker is at; `due_facts.lock` finds out which of them are."""
    behind = [tuple_(col(Subscription.ends_on), col(Subscription.id)) > after] if after is not None else []
    query = billing_run.candidates(now).where(*behind).limit(size).with_for_update(skip_locked=True)
    return [(each.id, each.ends_on, each.time_zone) for each in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class _Scene:
    """What every renewal of a transaction looks at."""

    ports: Ports
    now: datetime
    asked_at: datetime  # real time
    market: Loaded
    terms: TermsVersion
    signer: Ed25519Signer
    lives: timedelta


class _Run:
    """One chunk, which may take several transactions: halves of it, and those whose tax numbers were asked about."""

    def __init__(self, ports: Ports) -> None:
        self.ports, self.done = ports, Done()
        self.answers: dict[tuple[str, str], TaxIdGiven] = {}  # of the registries, by (type, number)
        self.asks: dict[str, tuple[str, tuple[TaxIdGiven, ...]]] = {}  # by subscription: the country and its numbers

    def order(self, ids: Sequence[str]) -> None:
        """All or none of these; those that somebody else is at are left to them."""
        now, asks = self.ports.clock.now(), dict[str, tuple[str, tuple[TaxIdGiven, ...]]]()
        with bulk.uncollected(), self.ports.db.transaction() as tx:
            found = due_facts.lock(tx, self.ports, ids, now)
            scene = self._scene(tx, now, found)
            entries: list[_Entry] = []
            left: list[Due] = []
            broken: list[tuple[Due, Exception]] = []
            for due in found:
                try:
                    unasked = due.unasked(self.answers)
                    if unasked:
                        asks[due.subscription.id] = (due.buyer["country"], unasked)
                    elif due.plain and (entry := _entry(scene, due, self.answers)) is not None:
                        entries.append(entry)
                    else:
                        left.append(due)
                except billing_run.PASSING:
                    left.append(due)
                except Exception as wrong:
                    log.exception("billing_run.parked", subscription=due.subscription.id)
                    broken.append((due, wrong))
            _write(tx, entries, now)
            jobs.defer_many(
                tx, billing_run.renew_automatically, [billing_run.order_of(each.subscription) for each in left]
            )
            for due, wrong_with in broken:
                billing_run.park(tx, due.subscription.id, wrong_with, now)
        self.asks |= asks
        self.done.ordered += len(entries)
        self.done.single += len(left)
        self.done.parked += len(broken)

    def _scene(self, tx: Tx, now: datetime, found: Sequence[Due]) -> _Scene:
        return _Scene(
            self.ports, now, transport_now(), Loaded(tx, found, now), agreements.terms_in_force(tx, now.date()),
            keys.evidence_signer(tx, self.ports.secrets, now),
            timedelta(hours=policy.get(tx, previews.PREVIEW_HOURS, now)),
        )  # fmt: skip

    def park(self, subscription_id: str, broken: Exception) -> None:
        """The one subscription that the database refuses."""
        log.error("billing_run.parked", subscription=subscription_id, exc_info=broken)
        with self.ports.db.transaction() as tx:
            billing_run.park(tx, subscription_id, broken, self.ports.clock.now())
        self.done.parked += 1

    def ask_registries(self) -> list[str]:
        """Ask about the numbers that nobody confirmed of late, some at a time; returns whose they are."""
        asks, self.asks = self.asks, {}
        numbers = {(each.type, each.value): (each, country) for country, given in asks.values() for each in given}
        now = self.ports.clock.now()

        def ask(number: tuple[TaxIdGiven, str]) -> TaxIdGiven:
            given, country = number
            return confirming.ask_registry(self.ports, given, country, now)

        with ThreadPoolExecutor(_REGISTRIES_AT_ONCE) as threads:
            answered = threads.map(ask, numbers.values())
            self.answers |= {(each.type, each.value): each for each in answered}
        return list(asks)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Everything that is written down for one renewal."""

    determination: dict[str, Any]
    preview: dict[str, Any]
    order: dict[str, Any]
    lines: list[dict[str, Any]]
    acceptance: dict[str, Any]
    attempt: dict[str, Any]
    charge: dict[str, Any]
    tax_ids: list[tuple[str, str, str, str]]
    told: Happened
    deed: Deed


def _entry(scene: _Scene, due: Due, answers: dict[tuple[str, str], TaxIdGiven]) -> _Entry | None:
    """The order of the next term, which follows the old one however late the run is; None for one that is not plain.

    Raises what pricing and ordering raise.
    """
    now, held, card = scene.now, due.subscription, due.card
    wanted = renewal.next_term(held, due.lines, due.buyer, due.tax_ids)
    offer = previews.offer_of(scene.market, wanted, due.confirmed(answers), held.account_id, now)
    if offer.routing.route is not Route.AUTOMATIC or card is None:
        return None
    determination, kept = previews.rows_of(offer, scene.lives, now)
    preview = plain(Preview, kept)
    if preview.total_minor <= 0:
        return None
    ordering.require_complete(preview)
    placed = orders.order_row(
        preview, account_id=held.account_id, state=OrderState.AWAITING_PAYMENT, expires_at=None, po_number="",
        pay_by=PayBy.CARD, test=scene.ports.test_mode, term_starts_on=held.ends_on, now=now,
    )  # fmt: skip
    order, buyer = plain(Order, placed), wanted.buyer
    acceptance = agreements.acceptance_row(
        scene.signer, terms=scene.terms, account_id=held.account_id, order_id=order.id,
        snapshot=ordering.snapshot_of(order, preview), person_name=buyer.name, person_email=buyer.email,
        company=buyer.company, evidence=EVIDENCE, now=now,
    )  # fmt: skip
    attempt = payments.attempt_row(
        order_id=order.id, account_id=held.account_id, amount=Money(order.total_minor, order.currency),
        provider=scene.ports.payments.name, now=scene.asked_at,
    )  # fmt: skip
    return _Entry(
        determination, kept, placed, orders.line_rows(order.id, preview), acceptance,
        attempt | {"saved_method_ref": card.method_ref},
        dunning.charge_row(held.id, order.id, None, attempt["id"], now),
        [(held.account_id, each.type, each.value, each.status) for each in offer.tax_ids],
        ordering.placed_event(order, held=False), ordering.placed_deed(order),
    )  # fmt: skip


def _write(tx: Tx, entries: Sequence[_Entry], now: datetime) -> None:
    """The rows, and the job that charges each of them."""
    if not entries:
        return
    batch = Batch()
    for each in entries:
        batch.add(TaxDetermination, each.determination)
        batch.add(Preview, each.preview)
        batch.add(Order, each.order)
        batch.extend(OrderLine, each.lines)
        batch.add(Acceptance, each.acceptance)
        batch.add(PaymentAttempt, each.attempt)
        batch.add(AutomaticCharge, each.charge)
    accounts.keep_tax_ids_of_many(tx, [number for each in entries for number in each.tax_ids], now)
    batch.copy(tx, TaxDetermination, Preview, Order, OrderLine, Acceptance, PaymentAttempt, AutomaticCharge)
    batch.require_empty()
    jobs.defer_many(tx, CHARGE, [
        jobs.Order({"order_id": each.order["id"]}, lock=each.order["account_id"],
                   once=billing_run.key_of(each.order["subscription_id"]))
        for each in entries
    ])  # fmt: skip
    events.append_many(tx, [each.told for each in entries], {}, now)
    audit.record_many(tx, [each.deed for each in entries], now)
