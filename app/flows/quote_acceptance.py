"""A quote is accepted or declined by whoever holds its link: once, in its last revision, while it holds.

Accepting writes down the order at the price of the quote, the evidence and the quote's state in one transaction, then
leads to payment as any order does. Where sales agreed to payment by invoice it is delivered at once, whatever the
account's limit, and the invoice is due after the days of the quote.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from app.accounts import service as accounts
from app.accounts.models import BuyerType
from app.agreements import papers
from app.agreements import service as agreements
from app.agreements.models import Paper, PaperKind, TermsVersion
from app.agreements.papers import Upload
from app.agreements.service import Evidence, TermsNotAccepted
from app.core import jobs, policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.money import Money
from app.flows import attesting, changing, ordering, party_screening, purchase, renewal
from app.flows import preview as previews
from app.flows.ordering import Agreed
from app.flows.ports import Ports
from app.flows.purchase import Started
from app.orders import service as orders
from app.orders.errors import AlreadyRenewed, ChangeRefused
from app.orders.models import Order, OrderKind, PayBy, Preview
from app.quotes import service as quotes
from app.quotes.errors import QuoteClosed, SignatureNeeded
from app.quotes.models import OPEN, Quote, QuoteState
from app.screening import attestations, destinations
from app.screening.attestations import OwnershipNotAttested
from app.screening.models import CheckOutcome
from app.screening.service import PartyRefused
from app.subscriptions import service as subscriptions

ESIGNATURE: Final = policy.declare(
    policy.Policy(
        "esignature_threshold", {"USD": 2_500_000}, policy.minor_by_currency,
        "Quotes whose total before tax is strictly below this are accepted by a click, by currency; others are signed.",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signing:
    """What the signatory did. `terms_id` is the version that was shown; `paper` what they signed, where needed."""

    name: str
    email: str
    terms_id: str
    evidence: Evidence
    po_number: str = ""
    paper: Upload | None = None
    paper_kind: PaperKind = PaperKind.SIGNED_QUOTE
    ownership: bool = False  # the statement about the ownership was ticked


def by_click(tx: Tx, offer: Preview, now: datetime) -> bool:
    """Whether a click is enough for an offer, measured as the threshold measures it (R-THR-1, R-THR-5)."""
    return enough(tx, orders.commitment(offer), now)


def enough(tx: Tx, net: Money, now: datetime) -> bool:
    """Whether a click is enough for a total before tax; in a currency without a figure it is not."""
    limit = policy.get(tx, ESIGNATURE, now).get(net.currency)
    return limit is not None and net.minor < limit


def terms(tx: Tx, now: datetime) -> TermsVersion:
    """The terms that are accepted with a quote today (R-ACC-2: the version in force, whatever it was when sent)."""
    return agreements.terms_in_force(tx, now.date())


def accept(ports: Ports, quote_id: str, signing: Signing) -> Started:
    """Order what the quote offers, at its price, and lead to payment.

    Raises NotFound, QuoteClosed (with its state), TermsNotAccepted, SignatureNeeded, PaperRefused, Invalid,
    DestinationRefused, PartyRefused, OwnershipNotAttested, AlreadyRenewed; PaymentUnavailable where the order
    stands and can be paid later.
    """
    with ports.db.transaction() as tx:
        order = _accept(tx, ports, quotes.lock(tx, quote_id), signing)
    if isinstance(order, PartyRefused):  # raised here, so that the case and its record are kept
        raise order
    return purchase.resume(ports, order.id)


def _accept(tx: Tx, ports: Ports, quote: Quote, signing: Signing) -> Order | PartyRefused:
    now = ports.clock.now()
    require_open(quote, now)
    _require_person(signing)
    offer = orders.lock_preview(tx, quote.figures_id)
    if quote.net_days is not None and not signing.po_number.strip():
        raise Invalid("Give the number of your purchase order; it goes on the invoice.", param="po_number")
    in_force = terms(tx, now)
    if in_force.id != signing.terms_id:
        raise TermsNotAccepted(f"Version {in_force.version} of the terms is in force; accept it.", param="terms")
    asked = asks_ownership(tx, offer, now)
    if asked and not signing.ownership:
        raise OwnershipNotAttested
    destination_held = _held(tx, offer, now)
    screened = party_screening.of_order(tx, accounts.get(tx, quote.account_id), offer, now, test=ports.test_mode)
    if screened.outcome is CheckOutcome.BLOCKED:
        return PartyRefused()
    paper = _paper(tx, quote, offer, signing, now)
    order = ordering.enter(
        tx, ports, offer, _agreed(offer, quote, in_force, signing, paper, asked=asked), account_id=quote.account_id,
        po_number=signing.po_number.strip(), term_starts_on=_term(tx, offer, now),
        held=destination_held or screened.outcome is CheckOutcome.REVIEW,
        # A signed offer does not lapse because nobody paid within a day (ADR 0028).
        expires_at=None, pay_by=PayBy(str(quote.payment)), net_days=quote.net_days, now=now,
    )  # fmt: skip
    quote.order_id, quote.paper_id = order.id, paper.id if paper else None
    quotes.move(tx, quote, QuoteState.ACCEPTED, by="customer", now=now, order=order.id,
                total={"amount": order.total_minor, "currency": order.currency})  # fmt: skip
    jobs.defer(tx, "notify.quote_accepted", quote_id=quote.id, once=f"quote-accepted:{quote.id}")
    return order


def require_open(quote: Quote, now: datetime) -> None:
    """Raises QuoteClosed for a quote that is not sent, or whose last day has passed although no tick has said so."""
    late = quote.expires_at is not None and quote.expires_at <= now
    if quote.state in OPEN and not late:
        return
    state = QuoteState.EXPIRED if quote.state in OPEN else quote.state
    said = {
        QuoteState.ACCEPTED: "It was accepted already; its order is on this page.",
        QuoteState.DECLINED: "It was declined; ask us for a new one.",
        QuoteState.EXPIRED: f"It held until {quote.valid_until}; ask us and we renew it.",
        QuoteState.SUPERSEDED: "A newer revision has taken its place.",
        QuoteState.WITHDRAWN: "It was withdrawn.",
    }
    raise QuoteClosed(said.get(state, "It is not sent yet."), state=str(state))


def _require_person(signing: Signing) -> None:
    if not signing.name.strip():
        raise Invalid("Say who accepts; the name goes on the certificate.", param="full_name")
    if "@" not in signing.email:
        raise Invalid("An e-mail address looks like name@company.example.", param="email")


def _paper(tx: Tx, quote: Quote, offer: Preview, signing: Signing, now: datetime) -> Paper | None:
    """Keep what was sent; where a click is not enough, something has to be."""
    if signing.paper is None or not signing.paper.content:
        if by_click(tx, offer, now):
            return None
        amount = orders.commitment(offer)
        raise SignatureNeeded(f"{amount} before tax needs a signed paper: send the quote back signed, or your"
                              " purchase order.", param="file")  # fmt: skip
    if signing.paper_kind is PaperKind.PURCHASE_ORDER and not signing.po_number.strip():
        raise Invalid("Give the number of the purchase order; it goes on the invoice.", param="po_number")
    return papers.keep(tx, signing.paper, account_id=quote.account_id, kind=signing.paper_kind, by=signing.email,
                       now=now)  # fmt: skip


def asks_ownership(tx: Tx, offer: Preview, now: datetime) -> bool:
    """Whether whoever accepts has to say who does not own the company."""
    return attestations.asked(tx, business=offer.inputs["buyer"]["type"] == BuyerType.BUSINESS, now=now)


def _agreed(
    offer: Preview, quote: Quote, terms: TermsVersion, signing: Signing, paper: Paper | None, *, asked: bool
) -> Agreed:  # fmt: skip
    signed: dict[str, Any] = {"quote": quote.shown_number, "payment": str(quote.payment), "net_days": quote.net_days}
    if paper is not None:
        signed |= {"paper": paper.id, "paper_kind": str(paper.kind), "paper_sha256": paper.sha256}
    buyer = offer.inputs["buyer"]
    name, email, company = signing.name.strip(), signing.email.strip(), buyer["company"] or buyer["name"]
    return Agreed(
        terms=terms, name=name, email=email, company=company, evidence=signing.evidence, more=signed,
        ownership=attesting.Said(name, email, company, signing.evidence) if asked else None,
    )  # fmt: skip


def _term(tx: Tx, offer: Preview, now: datetime) -> date | None:
    """For a renewal the first day of the term it buys. Raises AlreadyRenewed."""
    if offer.kind is OrderKind.PURCHASE or offer.subscription_id is None:
        return None
    subscription = subscriptions.lock(tx, offer.subscription_id)
    if offer.kind is OrderKind.EXPANSION:
        changing.require_changeable(tx, subscription, now)
        changing.require_turn(tx, subscription, offer)
        if not changing.fits(tx, offer):
            raise ChangeRefused("The subscription was changed since this was offered; ask us for a new quote.",
                                reason="state")  # fmt: skip
        return None
    starts_on = renewal.next_start(subscription, local_date(now, subscription.time_zone))
    if orders.renewal_of_term(tx, subscription.id, starts_on) is not None:
        raise AlreadyRenewed("A renewal of this term is paid or waiting for payment.")
    return starts_on


def _held(tx: Tx, offer: Preview, now: datetime) -> bool:
    """Whether a person looks at the destination first: rules may have changed since the offer.

    Raises DestinationRefused where they forbid it.
    """
    place = previews.place_of(previews.request_of(offer).buyer)
    return destinations.require_allowed(place, local_date(now, accounts.seller(tx).time_zone)) is not None


def decline(ports: Ports, quote_id: str, *, reason: str, by: str = "customer") -> Quote:
    """Say no to an offer, with a reason if one is given. Raises NotFound, QuoteClosed."""
    with ports.db.transaction() as tx:
        quote = quotes.lock(tx, quote_id)
        now = ports.clock.now()
        require_open(quote, now)
        quotes.move(tx, quote, QuoteState.DECLINED, by=by, now=now, reason=reason)
    return quote
