"""A quote as a document and in mails: what it says is what was frozen when it was written."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from app.accounts import service as accounts
from app.agreements import contracts
from app.agreements import service as agreements
from app.core import jobs
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.money import Money
from app.documents.mail_shapes import Bought, MailName, QuoteAccepted, QuoteSent
from app.documents.shapes import Party, QuoteDocument, QuoteLineView, TaxGroupView, TaxId, YearDue
from app.flows import notify, papers, quote_acceptance, quote_payments
from app.flows import preview as previews
from app.flows.ports import Ports
from app.orders import service as orders
from app.orders.models import Preview
from app.quotes import service as quotes
from app.quotes.models import OPEN, Quote, QuoteLine, QuoteState
from app.tax import service as tax
from app.tax.determination import Determination, Treatment

_CLOSED: Final = frozenset(QuoteState) - OPEN - {QuoteState.DRAFT, QuoteState.ACCEPTED}


def locale_of(tx: Tx, quote: Quote) -> str:
    """The language of whoever is offered something."""
    return str(tx.get_one(Preview, quote.figures_id).inputs["buyer"]["locale"])


def link_to(ports: Ports, quote: Quote) -> str:
    """The page that opens without signing in, for this revision."""
    return ports.link(f"/q/{ports.secrets.sign_token(quotes.TOKEN, quote.id)}")


def quote_document(tx: Tx, ports: Ports, quote: Quote) -> QuoteDocument:
    """What the offer says, ready for `render_pdf`. Raises NotFound for a request, which offers nothing yet."""
    if quote.offer_id is None or quote.valid_until is None or quote.seller is None:
        raise NotFound("Nothing is offered yet, so there is no paper.")
    offer = tx.get_one(Preview, quote.offer_id)
    found, currency, seller = tax.stored(tx, offer.tax_determination_id), offer.currency, quote.seller
    at = quote.sent_at or ports.clock.now()
    terms = agreements.terms_in_force(tx, at.date())
    special = contracts.in_force(tx, quote.account_id, at)
    locale, lines = str(offer.inputs["buyer"]["locale"]), quotes.lines(tx, quote.id)
    return QuoteDocument(
        number=quote.shown_number, issued_on=_issued_on(tx, at), valid_until=quote.valid_until,
        seller=papers.party(seller, papers.seller_tax_ids(seller, found), locale), buyer=_buyer(offer, locale),
        lines=tuple(
            _line(line, found, currency, priced)
            for line, priced in zip(lines, offer.lines, strict=True)
        ),
        tax_groups=_groups(found), subtotal=Money(offer.net_minor, currency),
        tax_total=Money(offer.tax_minor, currency), total=Money(offer.total_minor, currency),
        months=None if offer.change else previews.request_of(offer).months, accept_url=link_to(ports, quote),
        needs_signature=not quote_acceptance.by_click(tx, offer, at), terms_title=terms.title,
        terms_version=terms.version, legal_footer=papers.footer(seller, locale), net_days=quote.net_days,
        message=quote.message or None, agreement=special.title if special else None,
        tax_notes=(found.note,) if found.note else (),
        export_classes=papers.export_classes(
            tx, [(line.sku, line.description) for line in lines], on=_issued_on(tx, at), known_at=at
        ),
        draft=quote.state is QuoteState.DRAFT,
        closed=quote.state in _CLOSED, test_mode=ports.test_mode,
        payments=tuple(YearDue(each.year, each.net, each.tax) for each in quote_payments.schedule(offer)),
        due=quote_payments.due(offer) if offer.change else None,
        credit=Money(offer.change["credit"], currency) if offer.change and offer.change["credit"] else None,
    )  # fmt: skip


def _issued_on(tx: Tx, at: datetime) -> date:
    return local_date(at, accounts.seller(tx).time_zone)


def _buyer(offer: Preview, locale: str) -> Party:
    buyer = offer.inputs["buyer"]
    ids = tuple(TaxId(each["type"], each["value"]) for each in offer.inputs["tax_ids"] if each["status"] != "invalid")
    named = {**buyer, "name": buyer["company"] or buyer["name"]}
    return papers.party(named, ids, locale, contact=buyer["name"] if buyer["company"] else None)


def _line(line: QuoteLine, found: Determination, currency: str, priced: Mapping[str, Any]) -> QuoteLineView:
    by_line = {position: each.treatment for position, each in enumerate(found.lines, start=1)}
    taxed = by_line.get(line.position, found.treatment) in {Treatment.STANDARD, Treatment.REDUCED}
    points, change = line.discount_points, priced.get("change")
    return QuoteLineView(
        description=line.description, quantity=Decimal(line.quantity),
        unit_price=Money(line.unit_minor, currency) if line.unit_minor * line.quantity == line.list_minor else None,
        net=Money(line.net_minor, currency),
        discount=Money(line.discount_minor, currency) if line.discount_minor else None,
        discount_percent=Decimal(points) / 100 if points is not None else None,
        tax_rates=papers.rates(found) if taxed else (),
        days=(change["numerator"], change["denominator"]) if change else None,
    )  # fmt: skip


def _groups(found: Determination) -> tuple[TaxGroupView, ...]:
    return tuple(
        TaxGroupView(
            jurisdiction=part.jurisdiction, name=part.name, rate=part.rate.normalize(), taxable=part.taxable,
            amount=part.amount,
        )
        for part in found.components
    )  # fmt: skip


@jobs.job("notify.quote_sent", retry=jobs.Retry(attempts=10, first=5))
def quote_sent(ports: Ports, *, quote_id: str) -> None:
    """The mail with the link; nothing where the quote was closed or replaced meanwhile."""
    with ports.db.transaction() as tx:
        quote = quotes.get(tx, quote_id)
        if quote.state not in OPEN or quote.valid_until is None:
            return
        offer = tx.get_one(Preview, quote.figures_id)
        items = tuple(
            Bought(line.description, line.quantity, Money(line.net_minor, offer.currency))
            for line in quotes.lines(tx, quote.id)
        )
        data = QuoteSent(
            vendor=notify.vendor(ports, accounts.seller(tx)), person_name=quote.contact_name,
            number=quote.shown_number, items=items, total=Money(offer.total_minor, offer.currency),
            due=quote_payments.due(offer) if offer.change else None, years=len(quote_payments.schedule(offer)),
            valid_until=quote.valid_until, quote_url=link_to(ports, quote), revised=quote.revises_id is not None,
            message=quote.message or None,
        )  # fmt: skip
        locale = previews.request_of(offer).buyer.locale
    notify.send(ports, MailName.QUOTE_SENT, data, to=quote.contact_email, locale=locale,
                message_id=f"quote-sent-{quote.id}")  # fmt: skip


@jobs.job("notify.quote_accepted", retry=jobs.Retry(attempts=10, first=5))
def quote_accepted(ports: Ports, *, quote_id: str) -> None:
    """To the contact, and to whoever accepted where that is somebody else: the way to the order."""
    with ports.db.transaction() as tx:
        quote = quotes.get(tx, quote_id)
        acceptance = agreements.of_order(tx, quote.order_id or "")
        if quote.order_id is None or acceptance is None:
            return
        order = orders.get(tx, quote.order_id)
        sender = notify.vendor(ports, accounts.seller(tx))
        locale = locale_of(tx, quote)
    people = {quote.contact_email.lower(): quote.contact_name}
    people.setdefault(acceptance.person_email.lower(), acceptance.person_name)
    for position, (email, name) in enumerate(people.items()):
        data = QuoteAccepted(
            vendor=sender, person_name=name, number=quote.shown_number, accepted_by=acceptance.person_name,
            total=Money(order.total_minor, order.currency),
            order_url=ports.link(f"/orders/{ports.secrets.sign_token(orders.TOKEN, order.id)}"),
        )  # fmt: skip
        notify.send(ports, MailName.QUOTE_ACCEPTED, data, to=email, locale=locale,
                    message_id=f"quote-accepted-{quote.id}-{position}")  # fmt: skip
