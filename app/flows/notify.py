"""Mails about orders: each a job that the fact itself put on the queue, each sent once."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from app.accounts import service as accounts
from app.accounts.models import LegalEntity
from app.catalog import service as catalog
from app.core import jobs, policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import Unavailable
from app.core.money import Money
from app.documents.mail_shapes import (
    Bought,
    ChangeReceipt,
    MailData,
    MailName,
    OrderHeld,
    OrderReleased,
    PurchaseReceipt,
    QuoteRequestReceived,
    QuoteRequestStaff,
    Reason,
    RenewalReceipt,
    Vendor,
)
from app.documents.render_mail import render_mail
from app.documents.shapes import Span
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.orders import service as orders
from app.orders.models import Order, OrderKind, OrderState, Preview
from app.payments import service as payments
from app.quotes import service as quotes
from app.screening import service as screening
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription

ANSWER_DAYS: Final = policy.declare(
    policy.Policy("answer_days", 2, policy.whole_number(minimum=1), "Days within which staff promise an answer.")
)


def vendor(ports: Ports, entity: LegalEntity) -> Vendor:
    """The sender of every mail."""
    address = f"{entity.line1}, {entity.city} {entity.postcode}, {entity.country}"
    return Vendor(
        name=ports.vendor_name, legal_lines=(entity.name, address), support_email=entity.email,
        test_mode=ports.test_mode,
    )  # fmt: skip


def sender(tx: Tx, ports: Ports) -> Vendor:
    """The seller; people come in before a catalog says who that is, and then the vendor's name has to do."""
    try:
        return vendor(ports, accounts.seller(tx))
    except Unavailable:
        return Vendor(name=ports.vendor_name, legal_lines=(), support_email="", test_mode=ports.test_mode)


def send(ports: Ports, name: MailName, data: MailData, *, to: str, locale: str, message_id: str) -> None:
    """Render and hand over one mail; the same `message_id` twice is one mail."""
    mail = render_mail(name, data, locale)
    headers = {}
    if mail.unsubscribe_url is not None:
        headers["List-Unsubscribe"] = f"<{mail.unsubscribe_url}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    ports.mailer.send(
        to=to, subject=mail.subject, text=mail.text, html=mail.html, message_id=message_id, headers=headers
    )


def bought(tx: Tx, order: Order) -> tuple[Bought, ...]:
    return tuple(
        Bought(line.description, line.quantity, Money(line.net_minor, order.currency))
        for line in orders.lines(tx, order.id)
    )


@jobs.job("notify.order_completed", retry=jobs.Retry(attempts=10, first=5))
def order_completed(ports: Ports, *, order_id: str) -> None:
    """The receipt, with the way to the license and the invoice."""
    with ports.db.transaction() as tx:
        order = orders.get(tx, order_id)
        locale = str(tx.get_one(Preview, order.preview_id).inputs["buyer"]["locale"])
        name, tell = _RECEIPTS[order.kind]
        data = tell(tx, ports, order)
    send(ports, name, data, to=order.buyer_email, locale=locale, message_id=f"receipt-{order.id}")


def order_page(ports: Ports, order: Order) -> str:
    """The address of an order's page, which needs no sign-in."""
    return ports.link(f"/orders/{ports.secrets.sign_token(orders.TOKEN, order.id)}")


def _receipt(tx: Tx, ports: Ports, order: Order) -> PurchaseReceipt:
    invoice, payment = invoices.of_order(tx, order.id), payments.of_order(tx, order.id)
    page = order_page(ports, order)
    return PurchaseReceipt(
        vendor=vendor(ports, tx.get_one(LegalEntity, order.legal_entity_id)), person_name=order.buyer_name,
        items=bought(tx, order), total=Money(order.total_minor, order.currency),
        invoice_number=invoice.number or "" if invoice else "", license_url=f"{page}/license",
        invoice_url=f"{page}/invoice.pdf", order_url=page,
        card_last4=payment.method_label[-4:] if payment and payment.method_label else None,
        due_on=invoice.due_on if invoice and invoice.state is InvoiceState.OPEN else None,
    )  # fmt: skip


def _renewal_receipt(tx: Tx, ports: Ports, order: Order) -> RenewalReceipt:
    invoice = invoices.of_order(tx, order.id)
    subscription = subscriptions.get(tx, order.subscription_id or "")
    line = orders.lines(tx, order.id)[0]
    page = order_page(ports, order)
    return RenewalReceipt(
        vendor=vendor(ports, tx.get_one(LegalEntity, order.legal_entity_id)), person_name=order.buyer_name,
        plan=line.description, seats=line.quantity, term=_paid_term(order, invoice, subscription),
        total=Money(order.total_minor, order.currency), invoice_number=invoice.number or "" if invoice else "",
        license_url=f"{page}/license", invoice_url=f"{page}/invoice.pdf",
        subscription_url=ports.link("/account"),
    )  # fmt: skip


def _change_receipt(tx: Tx, ports: Ports, order: Order) -> ChangeReceipt:
    invoice, held = invoices.of_order(tx, order.id), subscriptions.get(tx, order.subscription_id or "")
    line = next(each for each in subscriptions.lines(tx, held.id) if each.plan_id == held.plan_id)
    given, page = int((order.change or {})["credit"]), order_page(ports, order)
    return ChangeReceipt(
        vendor=vendor(ports, tx.get_one(LegalEntity, order.legal_entity_id)), person_name=order.buyer_name,
        plan=line.description, seats=line.quantity, last=held.ends_on - timedelta(days=1), items=bought(tx, order),
        total=Money(order.total_minor, order.currency), credit=Money(given, order.currency) if given else None,
        invoice_number=invoice.number or "" if invoice else "", license_url=f"{page}/license",
        invoice_url=f"{page}/invoice.pdf", subscription_url=ports.link(f"/account/subscriptions/{held.id}"),
        due_on=invoice.due_on if invoice and invoice.state is InvoiceState.OPEN else None,
    )  # fmt: skip


_RECEIPTS: Final[Mapping[OrderKind, tuple[MailName, Callable[[Tx, Ports, Order], MailData]]]] = {
    OrderKind.PURCHASE: (MailName.PURCHASE_RECEIPT, _receipt),
    OrderKind.RENEWAL: (MailName.RENEWAL_RECEIPT, _renewal_receipt),
    OrderKind.EXPANSION: (MailName.CHANGE_RECEIPT, _change_receipt),
    OrderKind.INSTALMENT: (MailName.RENEWAL_RECEIPT, _renewal_receipt),
}


def _paid_term(order: Order, invoice: Invoice | None, subscription: Subscription) -> Span:
    """The renewed term; of an instalment the year that it is for."""
    if order.kind is OrderKind.INSTALMENT and invoice is not None:
        return Span(invoice.supply_from, invoice.supply_to)
    return Span(subscription.starts_on, subscription.ends_on)


@jobs.job("notify.order_held", retry=jobs.Retry(attempts=10, first=5))
def order_held(ports: Ports, *, order_id: str) -> None:
    """In review, and by when; why is not said (a screening match is not the buyer's to know)."""
    with ports.db.transaction() as tx:
        order = orders.get(tx, order_id)
        locale = str(tx.get_one(Preview, order.preview_id).inputs["buyer"]["locale"])
        data = OrderHeld(
            vendor=vendor(ports, tx.get_one(LegalEntity, order.legal_entity_id)), person_name=order.buyer_name,
            order_number=order.id, answer_by=review_by(tx, order).date(),
            order_url=order_page(ports, order),
        )  # fmt: skip
    send(ports, MailName.ORDER_HELD, data, to=order.buyer_email, locale=locale, message_id=f"held-{order.id}")


@jobs.job("notify.order_released", retry=jobs.Retry(attempts=10, first=5))
def order_released(ports: Ports, *, order_id: str) -> None:
    """Asks for the payment of an order that a person let go on; nothing where it was canceled meanwhile."""
    with ports.db.transaction() as tx:
        order = orders.get(tx, order_id)
        if order.state is not OrderState.AWAITING_PAYMENT or order.expires_at is None:
            return
        locale = str(tx.get_one(Preview, order.preview_id).inputs["buyer"]["locale"])
        zone = accounts.get(tx, order.account_id).time_zone
        data = OrderReleased(
            vendor=vendor(ports, tx.get_one(LegalEntity, order.legal_entity_id)), person_name=order.buyer_name,
            order_number=order.id, total=order.due,
            pay_until=local_date(order.expires_at, zone), order_url=order_page(ports, order),
        )  # fmt: skip
    send(ports, MailName.ORDER_RELEASED, data, to=order.buyer_email, locale=locale, message_id=f"released-{order.id}")


@jobs.job("notify.quote_requested", retry=jobs.Retry(attempts=10, first=5))
def quote_requested(ports: Ports, *, quote_id: str) -> None:
    """One mail to the buyer, one to sales with every reason."""
    with ports.db.transaction() as tx:
        quote = quotes.get(tx, quote_id)
        preview = tx.get_one(Preview, quote.preview_id)
        entity = tx.get_one(LegalEntity, preview.legal_entity_id)
        names = catalog.plans_by_id(tx, [line["plan_id"] for line in preview.lines])
        items = tuple(
            Bought(names[line["plan_id"]].name, line["quantity"], Money(line["net_minor"], preview.currency))
            for line in preview.lines
        )
        answer_by = _answer_by(tx, quote.created_at).date()
    sender = vendor(ports, entity)
    token = ports.secrets.sign_token(quotes.TOKEN, quote.id)
    received = QuoteRequestReceived(
        vendor=sender, person_name=quote.contact_name, items=items, answer_by=answer_by,
        reasons=tuple(each["sentence"] for each in quote.reasons), quote_url=ports.link(f"/q/{token}"),
    )  # fmt: skip
    locale = str(preview.inputs["buyer"]["locale"])
    send(ports, MailName.QUOTE_REQUEST_RECEIVED, received, to=quote.contact_email, locale=locale,
         message_id=f"quote-{quote.id}")  # fmt: skip
    staff = QuoteRequestStaff(
        vendor=sender, company=preview.inputs["buyer"]["company"], contact_name=quote.contact_name,
        contact_email=quote.contact_email, items=items, net=Money(preview.net_minor, preview.currency),
        reasons=tuple(Reason(each["code"], each["sentence"]) for each in quote.reasons), answer_by=answer_by,
        console_url=ports.link(f"/console/quotes/{quote.id}"), message=quote.note or None,
    )  # fmt: skip
    send(ports, MailName.QUOTE_REQUEST_STAFF, staff, to=entity.email, locale="en", message_id=f"quote-staff-{quote.id}")


def review_by(tx: Tx, order: Order) -> datetime:
    """When the buyer of a held order is answered at the latest: in business days where a name is looked at."""
    by = _answer_by(tx, order.created_at)
    if not screening.in_question(tx, [order.account_id]):
        return by
    days = policy.get(tx, screening.REVIEW_DAYS, order.created_at)
    return max(by, screening.after_business_days(order.created_at, days))


def _answer_by(tx: Tx, since: datetime) -> datetime:
    return since + timedelta(days=policy.get(tx, ANSWER_DAYS, since))
