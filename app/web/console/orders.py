"""Orders: the list, and one with its route, figures and evidence; it can be canceled, and released where it is held."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Depends, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.agreements import service as agreements
from app.catalog import coupons
from app.core import ids
from app.core.db import Tx as Session
from app.flows import attesting, held_orders, purchase, unmatched
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.licenses import service as licenses
from app.orders import service
from app.orders.models import Order, OrderState, PayBy, Preview, Route
from app.payments.models import AttemptState, PaymentAttempt
from app.screening import service as screening
from app.subscriptions.replay import Replayed
from app.tax import service as tax
from app.tax.determination import Determination
from app.web import auth
from app.web.console import cells, lists
from app.web.console.render import Note, Reader, attempt, can, form_for, money, page, reason, shown
from app.web.console.views import Action, Cell, ConsoleOrderView, ListView, Related
from app.web.deps import Tx, Wired, ports_of
from app.web.views import Fact, Form, Link, MoneyRow, Reason, Step

router = APIRouter()
Reviewer = Annotated[SignedInStaff, Depends(auth.staff(May.ORDERS_REVIEW))]
Cashier = Annotated[SignedInStaff, Depends(auth.staff(May.PAYMENTS_WRITE))]

_WHY_UNMATCHED: Final = {
    "paid_twice": "This order was paid a second time.",
    "wrong_amount": "A payment for this order had another amount.",
    "credit_gone": "A payment for this order came after the credit that pays the rest of it was spent otherwise.",
    "changed_meanwhile": "A payment for this order came after the subscription had changed otherwise.",
    "too_late": "A payment for this order came after the term that it is a year of had ended without it.",
    "not_deliverable": "A payment for this order came after export rules forbade to deliver it: give the money back.",
}


@router.get("/console/orders")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = select(Order, col(Account.name)).join(Account, col(Account.id) == col(Order.account_id))
    if wanted.q:
        query = query.where(
            or_(
                col(Order.id) == wanted.q, col(Order.account_id) == wanted.q, col(Order.po_number) == wanted.q,
                col(Account.name).icontains(wanted.q, autoescape=True),
                col(Order.buyer_email).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if state := lists.one_of(OrderState, wanted.state):
        query = query.where(col(Order.state) == state)
    if route := lists.one_of(Route, wanted.route):
        query = query.where(col(Order.route) == route)
    found = lists.window(tx, query, col(Order.id), wanted, "orders")
    rows = []
    for each, name in found.rows:
        _, *rest = cells.order_row(each)
        rows.append((cells.named("orders", each.id, name), *rest))
    view = ListView(
        kind="orders", columns=("Order", "State", "Route", "Placed", "Total"), rows=tuple(rows),
        form=wanted.form, states=lists.options(OrderState), routes=lists.options(Route), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/orders/{order_id}")
def one(request: Request, tx: Tx, who: Reader, order_id: str) -> Response:
    return _show(request, tx, who, order_id, Form(), 200)


@router.post("/console/orders/{order_id}/cancel")
def cancel(request: Request, ports: Wired, who: Reviewer, order_id: str, note: Note = "") -> Response:
    """Give up an order that is not paid."""
    return _act(request, ports, who, order_id, "cancel", note, purchase.cancel, "order-canceled")


@router.post("/console/orders/{order_id}/release")
def release(request: Request, ports: Wired, who: Reviewer, order_id: str, note: Note = "") -> Response:
    """Let a held order go on to payment, if it still costs what the buyer accepted."""
    return _act(request, ports, who, order_id, "release", note, held_orders.recheck, "order-released")


@router.post("/console/orders/{order_id}/resolve")
def resolve(request: Request, ports: Wired, who: Cashier, order_id: str, note: Note = "") -> Response:
    """Write down that a payment that fits no open order was dealt with."""
    return _act(request, ports, who, order_id, "resolve", note, unmatched.resolve, "payment-resolved")


class _Act(Protocol):
    """What staff do to an order, and why."""

    def __call__(self, ports: Ports, order_id: str, *, by: str, note: str) -> object: ...


def _act(
    request: Request, ports: Ports, who: SignedInStaff, order_id: str, name: str, note: str, act: _Act, done: str
) -> Response:  # fmt: skip
    ids.require_form("ord", order_id)

    def again(tx: Session, form: Form, status: int) -> Response:
        return _show(request, tx, who, order_id, form, status)

    return attempt(
        ports, name, {"note": note}, lambda: act(ports, order_id, by=who.staff_id, note=reason(note)), again,
        to=f"/console/orders/{order_id}", done=done,
    )  # fmt: skip


def _show(request: Request, tx: Session, who: SignedInStaff, order_id: str, form: Form, status: int) -> Response:
    order = service.get(tx, ids.require_form("ord", order_id))
    account = tx.get_one(Account, order.account_id)
    determination = tax.stored(tx, order.tax_determination_id)
    loose = unmatched.waiting(tx, order.id)
    attempts = _attempts(tx, order.id)
    stored = service.lines(tx, order.id)
    lines = [
        (line.description, Replayed.of(line, order.currency).equation(), line.net_minor + line.discount_minor)
        for line in stored
    ]
    given = sum(line.discount_minor for line in stored)
    view = ConsoleOrderView(
        order_id=order.id, state=str(order.state), route=str(order.route),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        reasons=(*reasons(order.reasons), *_screened(tx, order, ports_of(request).clock.now()), *map(_loose, loose)),
        rows=rows_of(lines, determination, order.currency, order.discount, given),
        total=money(order.total_minor, order.currency), treatment=in_words(determination),
        facts=_facts(tx, order), steps=_steps(order, attempts), evidence=_evidence(tx, order),
        attempts=_attempt_table(attempts), actions=_actions(order, who, form, has_loose=bool(loose)), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _screened(tx: Session, order: Order, now: datetime) -> tuple[Reason, ...]:
    """Names of the account that are like listed ones, and what it has not said, while the order is not over."""
    if order.state not in {OrderState.HELD, OrderState.AWAITING_PAYMENT}:
        return ()
    unsaid = "Nobody has said of late that no listed party owns the company; record it on the page of the account."
    asks = order.state is OrderState.HELD and attesting.missing(tx, accounts.get(tx, order.account_id), now)
    return (*((Reason(code="ownership", sentence=unsaid),) if asks else ()), *(
        Reason(code="screening", sentence=f"The name {each.party_name} is {each.score} of 100 like {each.entry['name']}"
               f" ({each.entry['source']}): {each.state}. See Screening, case {each.id}.")
        for each in screening.standing_of(tx, order.account_id)
    ))  # fmt: skip


def _loose(found: unmatched.Unmatched) -> Reason:
    return Reason(code=found.why, sentence=_WHY_UNMATCHED[found.why])


def reasons(stored: list[dict[str, Any]]) -> tuple[Reason, ...]:
    """Every reason of a route, with its figure."""
    return tuple(
        Reason(code=each["code"], sentence=each["sentence"], figure=shown(each.get("figure"))) for each in stored
    )


def rows_of(
    lines: list[tuple[str, str, int]], determination: Determination, currency: str,
    kept: Mapping[str, Any] | None = None, given: int = 0,
) -> tuple[MoneyRow, ...]:  # fmt: skip
    """Lines as (description, equation, amount before discount), what the coupon `kept` gives, the taxes."""
    rows = [MoneyRow(label=name, note=equation, amount=money(before, currency)) for name, equation, before in lines]
    if kept is not None:
        words = coupons.words(dict(kept), currency)
        rows.append(MoneyRow(label=f"Code {kept['code']}", note=words, amount=money(-given, currency), kind="discount"))
    elif given:
        rows.append(MoneyRow(label="Discount", note="As quoted", amount=money(-given, currency), kind="discount"))
    rows += [
        MoneyRow(label=f"{part.name} {part.jurisdiction}", note=f"{part.rate.normalize():f} % of {part.taxable}",
                 amount=str(part.amount), kind="tax")
        for part in determination.components
    ]  # fmt: skip
    return tuple(rows)


def in_words(determination: Determination) -> str:
    """Why the tax is what it is, and what the invoice says about it."""
    return " ".join(part for part in (determination.reason, determination.note) if part)


def _facts(tx: Session, order: Order) -> tuple[Fact, ...]:
    inputs = tx.get_one(Preview, order.preview_id).inputs
    buyer = inputs["buyer"]
    place = ", ".join(part for part in (buyer["city"], buyer["region"], buyer["country"]) if part)
    facts = [
        Fact(name="Kind", value=str(order.kind).capitalize()),
        Fact(name="Buyer", value=f"{order.buyer_name}, {order.buyer_email}"),
        Fact(name="For", value=f"{buyer['company'] or buyer['name']}, {place}"),
        *(Fact(name="Tax number", value=f"{each['value']} ({each['status']})") for each in inputs["tax_ids"]),
        Fact(name="Placed", value=f"{order.created_at:%Y-%m-%d %H:%M} UTC"),
    ]
    if order.po_number:
        facts.append(Fact(name="PO number", value=order.po_number))
    if order.credit_minor:
        facts.append(Fact(name="Paid from credit", value=money(order.credit_minor, order.currency)))
        facts.append(Fact(name="By card", value=str(order.due)))
    if order.expires_at is not None and order.state is OrderState.AWAITING_PAYMENT:
        facts.append(Fact(name="To be paid until", value=f"{order.expires_at:%Y-%m-%d %H:%M} UTC"))
    if order.subscription_id:
        facts.append(Fact(name="Subscription", value=order.subscription_id,
                          href=f"/console/subscriptions/{order.subscription_id}", mono=True))  # fmt: skip
    invoice, license_ = invoices.of_order(tx, order.id), licenses.of_order(tx, order.id)
    if invoice is not None:
        facts.append(Fact(name="Invoice", value=invoice.number or "Draft", href=f"/console/invoices/{invoice.id}"))
    if license_ is not None:
        facts.append(Fact(name="License", value=license_.id, href=f"/console/licenses/{license_.id}", mono=True))
    return tuple(facts)


def _evidence(tx: Session, order: Order) -> tuple[Fact, ...]:
    """What R-ACC-1 keeps, for a dispute about who agreed to what."""
    kept = agreements.of_order(tx, order.id)
    if kept is None:
        return ()
    return (
        Fact(name="Accepted", value=f"{kept.accepted_at:%Y-%m-%d %H:%M:%S} UTC"),
        Fact(name="By", value=f"{kept.person_name}, {kept.person_email}, for {kept.company}"),
        Fact(name="They said", value=kept.authority_statement),
        Fact(name="Terms", value=f"Version {kept.terms_version}"),
        Fact(name="SHA-256 of the terms", value=kept.terms_sha256, mono=True),
        Fact(name="SHA-256 of the order", value=kept.snapshot_sha256, mono=True),
        Fact(name="From", value=f"{kept.ip}, {kept.user_agent}"),
        Fact(name="Certificate", value=f"{kept.id}, signed with {kept.kid}", mono=True),
    )


def _attempts(tx: Session, order_id: str) -> list[PaymentAttempt]:
    query = select(PaymentAttempt).where(col(PaymentAttempt.order_id) == order_id)
    return list(tx.execute(query.order_by(col(PaymentAttempt.id).desc())).scalars())


def _attempt_table(attempts: list[PaymentAttempt]) -> Related:
    rows = tuple(
        (
            Cell(text=each.id, mono=True, note=each.failure_code or ""), Cell(state=str(each.state)),
            Cell(text=each.provider, note=each.provider_ref or ""), lists.day(each.created_at),
            cells.amount(each.amount_minor, each.currency),
        )
        for each in attempts
    )  # fmt: skip
    return Related(
        title="Attempts to pay", columns=("Attempt", "State", "Provider", "Begun", "Amount"), rows=rows
    )  # fmt: skip


def _steps(order: Order, attempts: list[PaymentAttempt]) -> tuple[Step, ...]:
    """From the click to the license, as far as it came."""
    steps = [Step(label="Accepted", state="done", at=f"{order.created_at:%Y-%m-%d %H:%M}")]
    held = any(each["code"] in {"tax_unclear", "export_hold"} for each in order.reasons)
    if held:
        waits = order.state is OrderState.HELD
        steps.append(Step(label="Looked at by a person", state="now" if waits else "done"))
    last = attempts[0] if attempts else None
    if order.state is OrderState.COMPLETED:
        at = f"{order.completed_at:%Y-%m-%d %H:%M}" if order.completed_at else ""
        paid = Step(label="Paid", state="done", at=at)
        if order.pay_by is PayBy.INVOICE:
            paid = Step(label="Ordered on invoice", state="done", at=at, detail="The invoice says what is paid of it.")
        return (*steps, paid, Step(label="Invoice, license, postings", state="done", at=at))
    if order.state in {OrderState.CANCELED, OrderState.EXPIRED}:
        return (*steps, Step(label=str(order.state).capitalize(), state="failed"))
    declined = last is not None and last.state is AttemptState.FAILED
    waiting = order.state is OrderState.AWAITING_PAYMENT
    detail = f"The last attempt was declined: {last.failure_code or 'no reason given'}." if declined and last else ""
    return (
        *steps, Step(label="Paid", state="now" if waiting else "todo", detail=detail),
        Step(label="Invoice, license, postings", state="todo"),
    )  # fmt: skip


def _actions(order: Order, who: SignedInStaff, form: Form, *, has_loose: bool) -> tuple[Action, ...]:
    here, actions = f"/console/orders/{order.id}", []
    if order.state is OrderState.HELD and can(who, May.ORDERS_REVIEW):
        actions.append(Action(
            name="release", title="Release it", button="Release the order", tone="primary", href=f"{here}/release",
            procedure="release-held-order", form=form_for("release", form),
            hint="What you checked, and why the order may go on. Tax and price are computed again first: it goes on "
            "only if the buyer pays exactly what they accepted.",
        ))  # fmt: skip
    if order.state in {OrderState.HELD, OrderState.AWAITING_PAYMENT} and can(who, May.ORDERS_REVIEW):
        actions.append(Action(
            name="cancel", title="Cancel it", button="Cancel the order", tone="danger", href=f"{here}/cancel",
            procedure="cancel-order", form=form_for("cancel", form),
            hint="Goes into the audit log. The buyer sees on the order's page that it is canceled; no mail is sent.",
        ))  # fmt: skip
    if has_loose and can(who, May.PAYMENTS_WRITE):
        actions.append(Action(
            name="resolve", title="The payment is dealt with", button="Record it", href=f"{here}/resolve",
            procedure="unmatched-payment", form=form_for("resolve", form),
            hint="What you did with the money, with the provider's reference. Goes into the audit log.",
        ))  # fmt: skip
    return tuple(actions)
