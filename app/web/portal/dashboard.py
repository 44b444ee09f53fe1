"""`/account`: what do I have, when does it end, what will it cost, what must I do."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlmodel import col
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.permissions import Permission
from app.accounts.sessions import SignedInCustomer
from app.catalog import service as catalog
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.money import Money, total
from app.dunning import service as collecting
from app.flows import dunning
from app.flows.ports import Ports
from app.flows.purchase import ORDER_TOKEN
from app.invoices.models import Invoice
from app.licenses import service as licenses
from app.licenses import usage
from app.licenses.models import LicenseState
from app.orders.models import Order, OrderState
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState
from app.web import csrf, pages
from app.web.auth import customer
from app.web.deps import Now, Tx, Wired
from app.web.portal import figures, owned
from app.web.portal.account_views import DashboardView, Holding, Todo
from app.web.portal.render import account_page
from app.web.portal.subscription_page import OVER, RUNNING, opens_on, renewal_words
from app.web.views import Fact, Link
from app.workspaces import service as workspaces

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])
_ENGLISH = pages.English()
_LATELY = 5
_SOON = timedelta(days=30)


@router.get("/account")
def dashboard(
    request: Request, ports: Wired, tx: Tx, now: Now,
    who: Annotated[SignedInCustomer, Depends(customer(Permission.ACCOUNT_READ))],
) -> Response:  # fmt: skip
    """Everything on one page; the first thing to do is its one primary action."""
    running = [each for each in owned.all_of(tx, who, Subscription) if each.state not in OVER]
    today = local_date(now, accounts.get(tx, who.account_id).time_zone)
    todos = [todo for each in running if (todo := _todo(tx, ports, each, today)) is not None]
    todos.sort(key=lambda todo: {"bad": 0, "warn": 1, "info": 2}[todo.tone])
    view = DashboardView(
        company=accounts.get(tx, who.account_id).name, holdings=tuple(_holding(tx, each, today) for each in running),
        todos=(*todos, *_unpaid(tx, ports, who)), recent=_recent(tx, who), pricing_href="/",
    )  # fmt: skip
    return account_page(request, tx, view, who)


def _todo(tx: Unit, ports: Ports, held: Subscription, today: date) -> Todo | None:
    """What a subscription asks of its people now."""
    plan = catalog.plans_by_id(tx, [held.plan_id])[held.plan_id].name
    href = f"/account/subscriptions/{held.id}/renew"
    last = _ENGLISH.day(held.ends_on - timedelta(days=1))
    if held.state is SubscriptionState.LAPSED:
        until = _ENGLISH.day(held.ends_on + timedelta(days=held.grace_days))
        sentence = f"{plan} ended on {last}. It keeps working until {until}."
        return Todo(sentence=sentence, label="Review the renewal", href=href, tone="bad")
    if held.state is SubscriptionState.PAST_DUE:
        owed = dunning.standing_of_subscription(tx, held.id)
        sentence = f"The last payment for {plan} did not go through."
        if owed is None:
            return Todo(sentence=sentence, label="Pay now", href=href, tone="bad")
        sentence += " Nothing is switched off while we collect it."
        pay_href = dunning.card_link(ports, owed.run.id)
        return Todo(sentence=sentence, label="Pay with another card", href=pay_href, tone="bad")
    by_hand = not held.auto_renew and held.not_renewing_at is None
    if held.state is SubscriptionState.ACTIVE and by_hand and today >= opens_on(tx, held, today):
        tone = "warn" if held.ends_on - today <= _SOON else "info"
        sentence = f"{plan} ends on {last}; the renewal is open."
        return Todo(sentence=sentence, label="Review the renewal", href=href, tone=tone)  # type: ignore[arg-type]
    return None


def _unpaid(tx: Unit, ports: Ports, who: SignedInCustomer) -> list[Todo]:
    waiting = owned.all_of(tx, who, Order, col(Order.state) == OrderState.AWAITING_PAYMENT, limit=_LATELY)
    return [
        Todo(
            sentence=f"An order for {Money(each.total_minor, each.currency)} waits for its payment.",
            label="See the order", href=f"/orders/{ports.secrets.sign_token(ORDER_TOKEN, each.id)}",
        )
        for each in waiting
        if not collecting.collects(tx, each.id)
    ]  # fmt: skip


def _holding(tx: Unit, held: Subscription, today: date) -> Holding:
    lines = sorted(subscriptions.lines(tx, held.id), key=lambda line: line.plan_id != held.plan_id)
    plan = catalog.plans_by_id(tx, [held.plan_id])[held.plan_id]
    net = total([Money(line.net_minor, held.currency) for line in lines], held.currency)
    equations = [figures.how(line, held.currency, held.interval) for line in lines]
    in_force = (
        each
        for each in licenses.of_subscription(tx, held.id)
        if each.state is LicenseState.ACTIVE and local_date(each.starts_at, held.time_zone) <= today
    )
    license_ = next(in_force, None)
    workspace = workspaces.of_subscription(tx, held.id)
    by_itself = held.renews_itself
    return Holding(
        plan=plan.name, state=held.state.value, seats=lines[0].quantity,
        seats_used=reported.active_users if (reported := usage.newest(tx, held.id)) is not None else None,
        until=held.ends_on - timedelta(days=1), until_note=renewal_words(tx, held, today),
        next_charge=str(net), equation=f"{' + '.join(equations)}, before tax",
        next_charge_on=held.ends_on if by_itself else None, href=f"/account/subscriptions/{held.id}",
        seats_href=f"/account/subscriptions/{held.id}#seats" if held.state in RUNNING else "",
        license_href=f"/account/licenses/{license_.id}/file" if license_ and workspace is None else "",
        workspace=Link(label=workspace.hostname, href=f"/account/workspaces/{workspace.id}") if workspace else None,
    )  # fmt: skip


def _recent(tx: Unit, who: SignedInCustomer) -> tuple[Fact, ...]:
    issued = owned.all_of(tx, who, Invoice, col(Invoice.number).is_not(None), limit=_LATELY)
    return tuple(
        Fact(
            name=_ENGLISH.short_day(each.issued_on) if each.issued_on else "",
            value=f"Invoice {each.number}, {Money(each.total_minor, each.currency)}",
            href=f"/account/invoices/{each.id}/pdf",
        )
        for each in issued
    )  # fmt: skip
