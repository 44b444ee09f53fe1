"""Renewal: reminded by mail, reviewed on a page, done with one button; shorter terms renew by themselves.

`renew` writes down the order, charges the saved card or leads to the pay page, and settles like any other
purchase; the table of orders refuses a second renewal of the same term.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col
from structlog import get_logger

from app.accounts import service as accounts
from app.accounts.models import AccountTaxId, BuyerType, LegalEntity
from app.accounts.service import BuyerDetails
from app.agreements.service import Evidence
from app.catalog.models import Interval, Price
from app.core import jobs, policy
from app.core.clock import local_date, start_of
from app.core.db import Tx
from app.core.errors import DomainError, NotFound
from app.core.ids import new_id, new_secret
from app.core.money import Money
from app.documents.mail_shapes import MailName, PriceStep
from app.documents.mail_shapes import RenewalReminder as ReminderMail
from app.dunning import service as dunning
from app.flows import asking_tax, notify, purchase, reminders, saved_card
from app.flows import preview as previews
from app.flows.ports import Ports
from app.flows.preview_request import LineRequest, PreviewRequest, TaxIdGiven
from app.flows.purchase import Placing, Started
from app.orders import service as orders
from app.orders.errors import AlreadyRenewed
from app.orders.models import Order, OrderKind, OrderState, Preview, Route
from app.payments import service as payments
from app.payments.models import AttemptState
from app.subscriptions import scheduled
from app.subscriptions import service as subscriptions
from app.subscriptions.models import RenewalLink, RenewalReminder, Subscription, SubscriptionLine, SubscriptionState

log = get_logger()

OPENS_DAYS: Final = policy.declare(
    policy.Policy("renewal_opens_days", 90, policy.whole_number(minimum=1), "Days before the end from which a term of"
                  " twelve months or more can be renewed (R-SUB-2).")
)  # fmt: skip
OPENS_DAYS_SHORT: Final = policy.declare(
    policy.Policy("renewal_opens_days_short", 7, policy.whole_number(minimum=1), "The same for shorter terms.")
)
_LINK: Final = "renewal-link"
# A link outlives the grace period, so that a late customer finds an answer behind it.
_LINK_LIVES_AFTER_END: Final = timedelta(days=120)


class RenewalNotOpen(DomainError):
    slug, title = "renewal-not-open", "This term cannot be renewed yet"


class LinkUsed(DomainError):
    slug, title = "renewal-link-used", "This renewal link was used"


@dataclass(frozen=True, slots=True)
class Review:
    """What the renewal page shows: the subscription as it is and the offer for the next term."""

    subscription: Subscription
    preview: Preview
    starts_on: date
    saved_card: str | None


def next_start(subscription: Subscription, today: date) -> date:
    """See `subscriptions.next_start` (R-SUB-2)."""
    return subscriptions.next_start(subscription, today)


def issue_link(tx: Tx, ports: Ports, subscription: Subscription, now: datetime) -> str:
    """A new single-use link for the current term; its token exists only in the mail."""
    token = new_secret()
    tx.add(RenewalLink(
        id=new_id("rem"), subscription_id=subscription.id, ends_on=subscription.ends_on,
        token_hash=ports.secrets.fingerprint(_LINK, token), created_at=now,
        expires_at=start_of(subscription.ends_on, subscription.time_zone) + _LINK_LIVES_AFTER_END,
    ))  # fmt: skip
    return ports.link(f"/renew/{token}")


def link_behind(tx: Tx, ports: Ports, token: str, *, lock: bool = False) -> RenewalLink:
    """Raises NotFound for a token that was never given out, LinkUsed for a dead one."""
    query = select(RenewalLink).where(col(RenewalLink.token_hash) == ports.secrets.fingerprint(_LINK, token))
    link = tx.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    if link is None:
        raise NotFound("This renewal link does not exist; sign in to renew, or ask us for a new link.")
    if link.used_at is not None or subscriptions.get(tx, link.subscription_id).ends_on != link.ends_on:
        raise LinkUsed(
            "The term it was for is renewed; sign in to see your subscription.", subscription=link.subscription_id
        )
    if link.expires_at <= ports.clock.now():
        raise LinkUsed("It has expired; sign in to renew, or ask us for a new link.", expired=True)
    return link


def review(ports: Ports, subscription_id: str, *, seats: int | None = None) -> Review:
    """Price the next term as of now, with the buyer as last seen. Raises RenewalNotOpen, AlreadyRenewed."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        subscription = subscriptions.get(tx, subscription_id)
        _require_open(tx, subscription, now)
        asked = wanted(tx, subscription, seats)
        saved = payments.saved_method(tx, subscription.account_id, ports.payments.name)
        starts_on = next_start(subscription, local_date(now, subscription.time_zone))
    return Review(subscription, previews.price(ports, asked), starts_on, saved.label if saved else None)


def _require_unchanged(tx: Tx, subscription: Subscription, preview: Preview, now: datetime) -> None:
    """Raises AlreadyRenewed where somebody was quicker and the term that was looked at has its successor by now."""
    try:
        _require_open(tx, subscription, now)
    except RenewalNotOpen:
        if subscription.starts_on >= local_date(preview.created_at, subscription.time_zone):
            raise AlreadyRenewed("Somebody was quicker: this term is renewed already.") from None
        raise


def _require_open(tx: Tx, subscription: Subscription, now: datetime) -> None:
    today = local_date(now, subscription.time_zone)
    long = subscription.term_months >= 12
    days = policy.get(tx, OPENS_DAYS if long else OPENS_DAYS_SHORT, now)
    opens_on = subscription.ends_on - timedelta(days=days)
    if subscription.state is SubscriptionState.CANCELED:
        raise RenewalNotOpen("The subscription was canceled; start a new one.")
    if today < opens_on:
        raise RenewalNotOpen(f"Renewal opens on {opens_on}, {days} days before the term ends.", opens_on=str(opens_on))
    if orders.renewal_of_term(tx, subscription.id, next_start(subscription, today)) is not None:
        raise AlreadyRenewed("A renewal of this term is paid or waiting for payment.")


def wanted(tx: Tx, subscription: Subscription, seats: int | None) -> PreviewRequest:
    """The next term as asked: plan, add-ons and seats as they will be, or as wished; buyer from the last order."""
    last = tx.execute(
        select(Order)
        .where(col(Order.subscription_id) == subscription.id, col(Order.state) == OrderState.COMPLETED)
        .order_by(col(Order.completed_at).desc())
        .limit(1)
    ).scalar_one()
    buyer = tx.get_one(Preview, last.preview_id).inputs["buyer"]
    tax_ids = tx.execute(select(AccountTaxId).where(col(AccountTaxId.account_id) == subscription.account_id)).scalars()
    lines = [LineRequest(line.sku, line.quantity) for line in scheduled.next_term(tx, subscription, seats)]
    return _asked(subscription, lines, buyer, list(tax_ids))


def next_term(
    subscription: Subscription, lines: Sequence[SubscriptionLine], buyer: Mapping[str, Any],
    tax_ids: Sequence[AccountTaxId],
) -> PreviewRequest:  # fmt: skip
    """What the next term is asked as where nothing was wished for it; `buyer` as the last order's preview has it."""
    ordered = sorted(lines, key=lambda line: line.plan_id != subscription.plan_id)
    return _asked(subscription, [LineRequest(line.sku, line.quantity) for line in ordered], buyer, tax_ids)


def _asked(
    subscription: Subscription, lines: Sequence[LineRequest], buyer: Mapping[str, Any], tax_ids: Sequence[AccountTaxId]
) -> PreviewRequest:
    return PreviewRequest(
        lines=tuple(lines),
        interval=Interval(subscription.interval), term_months=subscription.term_months, currency=subscription.currency,
        buyer=BuyerDetails(**{**buyer, "type": BuyerType(buyer["type"])}),
        tax_ids=tuple(TaxIdGiven(each.type, each.value) for each in tax_ids), kind=OrderKind.RENEWAL,
        account_id=subscription.account_id, subscription_id=subscription.id, billing=subscription.billing,
    )  # fmt: skip


def renew(ports: Ports, preview_id: str, *, terms_id: str, evidence: Evidence, token: str | None = None) -> Started:
    """Order the next term; with a saved card it is charged at once, else the buyer is led to the pay page.

    The link's token, if that is how the buyer came, dies with the order. Raises what `purchase.start` raises,
    AlreadyRenewed, LinkUsed, NotFound for a link of another subscription.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        preview = tx.get(Preview, preview_id)
        if preview is None or preview.subscription_id is None:
            raise NotFound("There is no such renewal offer.", param="preview")
        subscription = subscriptions.lock(tx, preview.subscription_id)
        if token is not None and link_behind(tx, ports, token).subscription_id != subscription.id:
            raise NotFound("This link is for another subscription.")
        if orders.order_of_preview(tx, preview.id) is None:
            _require_unchanged(tx, subscription, preview, now)
        starts_on = next_start(subscription, local_date(now, subscription.time_zone))
        account_id = subscription.account_id
    started = purchase.start(
        ports,
        Placing(preview_id, terms_id, evidence, account_id=account_id, term_starts_on=starts_on),
        open_page=False,
    )  # fmt: skip
    if token is not None:
        _use_up(ports, token)
    return charge_or_lead_on(ports, started)


def _use_up(ports: Ports, token: str) -> None:
    with ports.db.transaction() as tx:
        query = select(RenewalLink).where(col(RenewalLink.token_hash) == ports.secrets.fingerprint(_LINK, token))
        link = tx.execute(query.with_for_update()).scalar_one()
        link.used_at = link.used_at or ports.clock.now()


def charge_or_lead_on(ports: Ports, started: Started) -> Started:
    """Charge the saved card for an order; where there is none, or it declines, go to the pay page."""
    with ports.db.transaction() as tx:
        order = orders.get(tx, started.order_id)
        card = payments.saved_method(tx, order.account_id, ports.payments.name)
        latest = payments.latest_attempt(tx, order.id)
        attempt = payments.lock_attempt(tx, latest.id) if latest else None
        if order.state is not OrderState.AWAITING_PAYMENT:
            return replace(started, state=order.state)
        untouched = attempt is not None and attempt.state is AttemptState.UNKNOWN and attempt.provider_ref is None
        if attempt is not None and untouched:
            card = payments.saved_method_of(tx, attempt) or card  # asked before, and asked again with the same card
        if attempt is not None and card is not None and untouched:
            attempt.saved_method_ref = card.method_ref  # the intention, before anybody is charged
    if attempt is None or card is None or not untouched:
        return purchase.resume(ports, order.id)
    report = saved_card.charge(ports, attempt, card)
    with ports.db.transaction() as tx:
        outcome = purchase.apply_report(tx, ports, report)
    if outcome in {"completed", "known"}:
        return replace(started, state=OrderState.COMPLETED)
    return purchase.resume(ports, order.id)


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A line whose unit costs something else in the next term; `since` is the day of the list price it follows."""

    description: str
    before: Money
    now: Money
    since: date


def price_changes(tx: Tx, subscription: Subscription, offer: Preview) -> tuple[PriceChange, ...]:
    """What became dearer or cheaper, and since when the list says so."""
    held = {line.plan_id: line for line in subscriptions.lines(tx, subscription.id)}
    return tuple(
        PriceChange(
            line["description"], Money(held[line["plan_id"]].unit_minor, offer.currency),
            Money(line["unit_minor"], offer.currency), tx.get_one(Price, line["price_id"]).valid_from,
        )
        for line in offer.lines
        if line["plan_id"] in held and held[line["plan_id"]].unit_minor != line["unit_minor"]
    )  # fmt: skip


def send_due_reminders(ports: Ports) -> int:
    """Send what is due, once each; after a pause only the latest of a subscription still makes sense (R-SUB-3)."""
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        waiting: dict[str, list[RenewalReminder]] = {}
        for row in reminders.due(tx, now):
            waiting.setdefault(row.subscription_id, []).append(row)
        for rows in waiting.values():
            *stale, latest = rows
            for row in stale:
                row.skipped_reason = "a later reminder was due as well"
            quiet = _quiet(tx, subscriptions.get(tx, latest.subscription_id))
            if quiet:
                latest.skipped_reason = quiet
                continue
            latest.sent_at = now
            jobs.defer(tx, send_reminder, reminder_id=latest.id)
    return len(waiting)


def _quiet(tx: Tx, subscription: Subscription) -> str:
    """Why a subscription is not reminded now."""
    if subscription.not_renewing_at is not None:
        return "not renewing"
    return "written to about the payment" if dunning.owed_by(tx, subscription.id) is not None else ""


@jobs.job("renewal.send_reminder", retry=jobs.Retry(attempts=10, first=10))
def send_reminder(ports: Ports, *, reminder_id: str) -> None:
    """The mail with the signed link and the figure of the next term."""
    with ports.db.transaction() as tx:
        row = tx.get_one(RenewalReminder, reminder_id)
        subscription = subscriptions.get(tx, row.subscription_id)
        over = subscription.state is SubscriptionState.CANCELED or subscription.not_renewing_at is not None
        if subscription.ends_on != row.ends_on or over:
            return  # renewed or given up between the tick and now
        now = ports.clock.now()
        link = issue_link(tx, ports, subscription, now)
        entity = tx.get_one(LegalEntity, subscription.legal_entity_id)
        account = accounts.get(tx, subscription.account_id)
        line = next(each for each in subscriptions.lines(tx, subscription.id) if each.plan_id == subscription.plan_id)
        saved = payments.saved_method(tx, subscription.account_id, ports.payments.name)
        asked = wanted(tx, subscription, None)
    offer = previews.price(ports, asked)
    by_people = offer.route is Route.SALES
    by_itself = saved if subscription.renews_itself and not by_people else None
    with ports.db.transaction() as tx:
        asking_tax.require_answer(tx, offer)  # or the figure in the mail would lack the tax
        changes = price_changes(tx, subscription, offer)
    data = ReminderMail(
        vendor=notify.vendor(ports, entity), person_name=subscription.contact_name, plan=line.description,
        seats=line.quantity, ends_on=subscription.ends_on,
        works_until=subscription.ends_on + timedelta(days=subscription.grace_days), days_left=row.days_before,
        renewal_url=link, total=None if by_people else Money(offer.total_minor, offer.currency),
        card_last4=by_itself.label[-4:] if by_itself else None,
        price_steps=() if by_people else tuple(
            PriceStep(each.description, each.before, each.now, each.since) for each in changes
        ),
    )  # fmt: skip
    notify.send(
        ports, MailName.RENEWAL_REMINDER, data, to=subscription.contact_email, locale=account.locale,
        message_id=f"reminder-{row.id}",
    )  # fmt: skip
