"""A quote from the request to the mail: asked for, written by staff, approved where it is steep, sent, revised.

Drafts are priced and taxed like any preview and stored as one that belongs to the quote; whoever accepts is charged
exactly that (ADR 0028). How a quote is accepted stands in `quote_acceptance.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.errors import TooManyTries
from app.accounts.models import Account, AccountTaxId
from app.accounts.service import BuyerDetails
from app.catalog.models import Interval
from app.core import jobs, policy
from app.core.clock import local_date, start_of, transport_now
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.money import Money
from app.core.security import allow
from app.core.states import MoveRefused
from app.flows import asking_tax, confirming, invoicing, quote_discounts
from app.flows import preview as previews
from app.flows.ordering import require_complete
from app.flows.ports import Ports
from app.flows.preview import Offer
from app.flows.preview_request import LineRequest, PreviewRequest, TaxIdGiven
from app.flows.quote_discounts import percent
from app.orders import service as orders
from app.orders.errors import PreviewExpired
from app.orders.models import OfferSource, Order, OrderKind, OrderState, Preview
from app.quotes import service as quotes
from app.quotes.errors import DiscountNeedsApproval, QuoteNotReady
from app.quotes.models import OPEN, PaymentTerms, Quote, QuoteState
from app.quotes.service import LineOffered, Wording
from app.subscriptions.models import Billing
from app.tax import service as tax
from app.tax.determination import Treatment

VALID_DAYS: Final = policy.declare(
    policy.Policy("quote_valid_days", 30, policy.whole_number(minimum=1), "Days for which a new quote holds.")
)
LONGEST_VALID_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Draft:
    """What staff offer, as typed; who buys and what is renewed comes from the request or the account.

    With `billing` yearly the lines are a year's, with a discount given in each year.
    """

    lines: tuple[LineRequest, ...]
    interval: Interval
    currency: str
    valid_until: date
    contact_name: str
    contact_email: str
    message: str = ""
    internal_note: str = ""
    payment: PaymentTerms = PaymentTerms.CARD
    net_days: int | None = None
    term_months: int | None = None
    billing: Billing = Billing.PREPAID

    def changed(self, given: Mapping[str, Any]) -> "Draft":
        """The same draft with other values for some of its fields."""
        return replace(self, **given)


@dataclass(frozen=True, slots=True)
class Basis:
    """Whom an offer is for: the request it answers, the revision it follows, or an account."""

    quote_id: str | None = None
    account_id: str | None = None


# Requests (tries, seconds) that one contact may make: each is a mail to an address that somebody only typed.
_PER_CONTACT: Final = (10, 3600)


def request(ports: Ports, preview_id: str, *, note: str = "", account_id: str | None = None) -> Quote:
    """Ask for a quote on the figures of a preview, whatever its route.

    Raises NotFound, PreviewExpired, Invalid (a missing detail), TooManyTries where this contact asked too often.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        preview = orders.lock_preview(tx, preview_id)
        if preview.expires_at <= now:
            raise PreviewExpired("Prices are shown for a day; look at them again.", param="preview")
        require_complete(preview)
        buyer = previews.request_of(preview).buyer
        if quotes.of_preview(tx, preview.id) is None:
            _count(tx, ports, buyer.email)
        account = accounts.get(tx, account_id) if account_id else accounts.account_for_buyer(tx, buyer, now)
        quote = quotes.request(
            tx, account_id=account.id, preview_id=preview.id, reasons=preview.reasons, contact_name=buyer.name,
            contact_email=buyer.email, note=note, now=now,
        )  # fmt: skip
        jobs.defer(tx, "notify.quote_requested", quote_id=quote.id, once=f"quote:{quote.id}")
    return quote


# --- Writing it ---------------------------------------------------------------------------------------------------


def figures(tx: Tx, basis: Basis, draft: Draft, now: datetime) -> Offer:
    """What a draft would cost, with the tax numbers as last checked; nothing is stored. Raises like `save`, and
    TaxUnasked where only saving it asks for the tax.
    """
    wanted = _wanted(tx, basis, draft)
    return previews.compute(tx, wanted, wanted.tax_ids, now)


def save(ports: Ports, basis: Basis, draft: Draft, *, by: str) -> Quote:
    """Price a draft and keep it: in its request or draft, or as a new quote for an account.

    Raises NotFound, MoveRefused (it was sent), Invalid (naming the field), UnknownPlan, NoPrice, SeatsOutOfRange,
    DestinationRefused.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        wanted = _wanted(tx, basis, draft)
    checked = confirming.confirmed(ports, wanted, now)

    def story(tx: Tx) -> Quote:
        quote = quotes.lock(tx, basis.quote_id) if basis.quote_id else None
        account_id = quote.account_id if quote else basis.account_id or ""
        if quote is None:
            quote = quotes.new_draft(account_id=account_id, reasons=[], contact_name=draft.contact_name,
                                     contact_email=draft.contact_email, now=now)  # fmt: skip
        _write(tx, quote, draft, previews.compute(tx, wanted, checked, now), by=by, now=now)
        return quote

    return asking_tax.answered(ports, story)


def _write(tx: Tx, quote: Quote, draft: Draft, priced: Offer, *, by: str, now: datetime) -> None:
    if quote.state not in {QuoteState.REQUESTED, QuoteState.DRAFT}:
        raise MoveRefused(f"A quote that is {quote.state} is not written any more; revise it.", state=str(quote.state))
    account = accounts.get(tx, quote.account_id)
    expires_at = _expiry(account, draft, now)
    kept = previews.keep(tx, priced, now, until=expires_at)
    require_complete(kept)
    if kept.total_minor == 0:
        raise Invalid("An offer of nothing cannot be paid; leave something to pay on a line.", param="lines")
    wording = Wording(
        contact_name=draft.contact_name.strip(), contact_email=draft.contact_email.strip(),
        valid_until=draft.valid_until, expires_at=expires_at, message=draft.message.strip(),
        internal_note=draft.internal_note.strip(), payment=draft.payment, net_days=draft.net_days,
        seller=invoicing.seller_snapshot(tx, accounts.seller(tx)),
    )  # fmt: skip
    wished = {line.sku: line for line in draft.lines}  # of a change only what changes is priced
    offered = [
        LineOffered(
            plan_id=line.plan_id, sku=line.sku, description=line.description, quantity=line.quantity, unit=line.unit,
            full=line.net + (line.discount or Money.zero(line.net.currency)), net=line.net, tax=line.tax,
            points=asked.discount.points if asked and asked.discount else None,
        )
        for line, asked in ((line, wished.get(line.sku)) for line in priced.lines)
    ]  # fmt: skip
    year = local_date(now, accounts.seller(tx).time_zone).year
    reasons = quote.reasons if quote.preview_id else kept.reasons
    quotes.offer(tx, quote, offer_id=kept.id, reasons=reasons, wording=wording, offered=offered, year=year, by=by,
                 now=now)  # fmt: skip


def _expiry(account: Account, draft: Draft, now: datetime) -> datetime:
    """The end of the last day where the account lives. Raises Invalid for a day that is over or too far off."""
    today = local_date(now, account.time_zone)
    if not today <= draft.valid_until <= today + timedelta(days=LONGEST_VALID_DAYS):
        raise Invalid("Choose a day from today to a year from now.", param="valid_until")
    if (draft.payment is PaymentTerms.INVOICE) != (draft.net_days is not None):
        raise Invalid("Payment by invoice needs a number of days, payment by card has none.", param="net_days")
    if draft.net_days is not None and not 1 <= draft.net_days <= 180:
        raise Invalid("Between 1 and 180 days.", param="net_days")
    if not draft.contact_name.strip() or "@" not in draft.contact_email:
        raise Invalid("Say who gets the quote: a name and an e-mail address.", param="contact_email")
    return start_of(draft.valid_until + timedelta(days=1), account.time_zone)


def _wanted(tx: Tx, basis: Basis, draft: Draft) -> PreviewRequest:
    """The draft as something to be priced, for the buyer of its basis."""
    quote = quotes.get(tx, basis.quote_id) if basis.quote_id else None
    known = tx.get_one(Preview, quote.figures_id) if quote else None
    if known is not None and quote is not None:
        before = previews.request_of(known)
        buyer, tax_ids, kind, subscription = before.buyer, before.tax_ids, before.kind, before.subscription_id
        account_id = quote.account_id
    else:
        account = accounts.get(tx, basis.account_id or "")
        buyer, tax_ids = _buyer_of(account), _tax_ids_of(tx, account.id)
        kind, subscription, account_id = OrderKind.PURCHASE, None, account.id
    buyer = replace(buyer, name=draft.contact_name.strip(), email=draft.contact_email.strip())
    return PreviewRequest(
        lines=draft.lines, interval=draft.interval, currency=draft.currency, buyer=buyer, tax_ids=tax_ids, kind=kind,
        account_id=account_id, subscription_id=subscription, source=OfferSource.QUOTE, term_months=draft.term_months,
        billing=draft.billing,
    )  # fmt: skip


def _buyer_of(account: Account) -> BuyerDetails:
    return BuyerDetails(
        email=account.email, name="", company=account.name, type=account.type, country=account.country,
        region=account.region, postcode=account.postcode, city=account.city, line1=account.line1, line2=account.line2,
        locale=account.locale,
    )  # fmt: skip


def _tax_ids_of(tx: Tx, account_id: str) -> tuple[TaxIdGiven, ...]:
    rows = tx.execute(select(AccountTaxId).where(col(AccountTaxId.account_id) == account_id)).scalars()
    return tuple(TaxIdGiven(each.type, each.value, str(each.status)) for each in rows)


# --- Sending, revising, withdrawing, ending ------------------------------------------------------------------------


def send(ports: Ports, quote_id: str, *, by: str) -> Quote:
    """Fix a draft as it is and mail it to its contact.

    Raises NotFound, MoveRefused, DiscountNeedsApproval, QuoteNotReady (the tax is not known, or prices changed
    since it was saved).
    """
    now = ports.clock.now()

    def story(tx: Tx) -> Quote:
        quote = quotes.lock(tx, quote_id)
        if quote.state is not QuoteState.DRAFT:
            raise MoveRefused(f"A quote that is {quote.state} is not sent.", state=str(quote.state))
        offer = tx.get_one(Preview, quote.figures_id)
        _require_ready(tx, quote, offer, now)
        steep = quote_discounts.steepness(tx, quote, now)
        if steep.needs_approval:
            raise DiscountNeedsApproval(
                f"A line is {percent(steep.points)} below the list, and its author may give {percent(steep.limit)}: "
                "somebody else approves it first."
            )
        quote.sent_at, quote.sent_by = now, by
        quotes.move(tx, quote, QuoteState.SENT, by=by, now=now,
                    total={"amount": offer.total_minor, "currency": offer.currency})  # fmt: skip
        jobs.defer(tx, "notify.quote_sent", quote_id=quote.id, once=f"quote-sent:{quote.id}")
        return quote

    return asking_tax.answered(ports, story)


def _require_ready(tx: Tx, quote: Quote, offer: Preview, now: datetime) -> None:
    if quote.expires_at is None or quote.expires_at <= now:
        raise QuoteNotReady("Its last day has passed; choose another.", param="valid_until")
    found = tax.stored(tx, offer.tax_determination_id)
    if found.treatment is Treatment.NEEDS_REVIEW:
        raise QuoteNotReady(f"The tax is not known: {found.reason} Add what is missing and save the draft again.")
    wanted = previews.request_of(offer)
    if not previews.compute(tx, wanted, wanted.tax_ids, now).equals(offer):
        raise QuoteNotReady("Prices or taxes have changed since it was saved; save it again and look at the figures.")


def revise(ports: Ports, quote_id: str, *, by: str, reason: str) -> Quote:
    """Begin the next revision as a copy; the one before can no longer be accepted.

    Raises NotFound, MoveRefused: only the latest revision is revised, and an accepted one only when its order died.
    """
    now = ports.clock.now()

    def story(tx: Tx) -> Quote:
        old = quotes.lock(tx, quote_id)
        if old.offer_id is None or old.state in {QuoteState.REQUESTED, QuoteState.DRAFT, QuoteState.SUPERSEDED}:
            raise MoveRefused(f"A quote that is {old.state} is not revised.", state=str(old.state))
        if quotes.revisions(tx, old)[-1].id != old.id:
            raise MoveRefused("There is a later revision; revise that one.", state=str(old.state))
        _require_order_dead(tx, old)
        draft = draft_of(tx, old, now)
        if old.state in OPEN or old.state is QuoteState.ACCEPTED:
            quotes.move(tx, old, QuoteState.SUPERSEDED, by=by, now=now, reason=reason)
        wanted = _wanted(tx, Basis(quote_id=old.id), draft)
        fresh = quotes.new_draft(
            account_id=old.account_id, reasons=old.reasons, contact_name=old.contact_name,
            contact_email=old.contact_email, now=now, revises=old,
        )  # fmt: skip
        _write(tx, fresh, draft, previews.compute(tx, wanted, wanted.tax_ids, now), by=by, now=now)
        return fresh

    return asking_tax.answered(ports, story)


def _require_order_dead(tx: Tx, old: Quote) -> None:
    order = tx.get(Order, old.order_id) if old.order_id else None
    if order is not None and order.state not in {OrderState.CANCELED, OrderState.EXPIRED}:
        raise MoveRefused("It was accepted, and its order stands; cancel the order first.", state=str(old.state))


def draft_of(tx: Tx, old: Quote, now: datetime) -> Draft:
    """What stands now, or what was asked for, as a draft to change.

    It holds as long as before, or as long as a new one does where that time is over.
    """
    offered = previews.request_of(tx.get_one(Preview, old.figures_id))
    today = local_date(now, accounts.get(tx, old.account_id).time_zone)
    until = old.valid_until if old.valid_until and old.valid_until >= today else None
    return Draft(
        lines=offered.lines, interval=offered.interval, currency=offered.currency,
        valid_until=until or today + timedelta(days=policy.get(tx, VALID_DAYS, now)), contact_name=old.contact_name,
        contact_email=old.contact_email, message=old.message, internal_note=old.internal_note, payment=old.payment,
        net_days=old.net_days, term_months=offered.months, billing=offered.billing,
    )  # fmt: skip


def close(ports: Ports, quote_id: str, *, state: QuoteState, reason: str, by: str) -> Quote:
    """Decline a request, or withdraw what is not accepted yet. Raises NotFound, MoveRefused."""
    with ports.db.transaction() as tx:
        quote = quotes.lock(tx, quote_id)
        if quote.state not in {QuoteState.REQUESTED, QuoteState.DRAFT, *OPEN}:
            raise MoveRefused(f"A quote that is {quote.state} is closed.", state=str(quote.state))
        if state is QuoteState.DECLINED and quote.state is not QuoteState.REQUESTED:
            raise MoveRefused("Only a request is declined by us; withdraw the quote.", state=str(quote.state))
        quotes.move(tx, quote, state, by=by, now=ports.clock.now(), reason=reason)
    return quote


def seen(ports: Ports, quote_id: str) -> None:
    """Note that a person looked at the offer; told twice, or about a closed one, it changes nothing."""
    with ports.db.transaction() as tx:
        quote = quotes.lock(tx, quote_id)
        if quote.state is QuoteState.SENT:
            now = ports.clock.now()
            quote.viewed_at = now
            quotes.move(tx, quote, QuoteState.VIEWED, by="customer", now=now)


def expire_due(ports: Ports) -> int:
    """Close offers whose last day has passed."""
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        ids = quotes.overdue(tx, now)
        for quote_id in ids:
            quote = quotes.lock(tx, quote_id)
            if quote.state in OPEN:
                quotes.move(tx, quote, QuoteState.EXPIRED, by="clock", now=now)
    return len(ids)


def total_of(tx: Tx, quote: Quote) -> Money:
    offer = tx.get_one(Preview, quote.figures_id)
    return Money(offer.total_minor, offer.currency)


def _count(tx: Tx, ports: Ports, email: str) -> None:
    tries, seconds = _PER_CONTACT
    now = transport_now()
    who = ports.secrets.fingerprint("rate", f"email/{email.strip().lower()}")
    if not allow(tx, "quote", who, limit=tries, seconds=seconds, now=now):
        raise TooManyTries(retry_after=seconds - int(now.timestamp()) % seconds)
