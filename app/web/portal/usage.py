"""`/account/subscriptions/{id}/usage`: how many use it against the seats, reports of people and of servers without a
network, and what the missing seats cost now.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, ClassVar, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.catalog import service as catalog
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.errors import DomainError, Invalid, NotFound
from app.flows import true_up
from app.flows.ports import Ports
from app.licenses import service as licenses
from app.licenses import usage
from app.licenses.models import License
from app.licenses.usage_models import ReportedBy
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription
from app.web import csrf, usage_shown
from app.web.auth import customer
from app.web.deps import Now, Wired
from app.web.portal import owned, renewing
from app.web.portal.render import Form, Posted, account_page, see_other
from app.web.portal.subscription_page import RUNNING
from app.web.usage_shown import UsageShown
from app.web.views import Form as FormView

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.ACCOUNT_READ))]
Writer = Annotated[SignedInCustomer, Depends(customer(Permission.SUBSCRIPTIONS_WRITE))]
router = APIRouter(
    include_in_schema=False, prefix="/account/subscriptions/{subscription_id}/usage",
    dependencies=[Depends(csrf.protect)],
)  # fmt: skip
ATTESTED: Final = "This is the highest number of people who used it in that time, and I may say so for the company."
_INPUTS: Final = ("active_users", "period_from", "period_to", "attest", "text")


@dataclass(frozen=True, kw_only=True)
class TrueUp:
    """The missing seats as an order: the hidden inputs of the change's own form. `cost` is what is due now."""

    missing: int
    seats: int
    plan: str
    addons: tuple[str, ...]
    preview_id: str
    cost: str
    at_once: bool  # else the page of the change asks for something first


@dataclass(frozen=True, kw_only=True)
class UsageView:
    """Inputs of `action`: active_users, period_from, period_to, attest; or text and file, a report that was carried."""

    template: ClassVar[str] = "portal/usage.html"
    section: ClassVar[str] = "subscriptions"
    plan: str
    path: str
    seats: int
    used: int | None
    until: date | None
    shown: UsageShown
    true_up: TrueUp | None
    blocked: str
    statement: str
    writes: bool
    form: FormView


@router.get("")
def shown(request: Request, ports: Wired, who: Reader, subscription_id: str, said: str = "") -> Response:
    return _page(request, ports, who, subscription_id, FormView(), said=said)


@router.post("")
def report(request: Request, ports: Wired, now: Now, who: Writer, subscription_id: str, form: Form) -> Response:
    """Keep a count that a person stands for, or a report that was carried here; then show what it would cost."""
    with ports.db.transaction() as tx:
        held = owned.one(tx, who, Subscription, "sub", subscription_id)
    typed = {name: form.text(name) for name in _INPUTS if name != "text"}
    typed["text"] = form.prose("text", usage.LONGEST + 1)
    text = form.upload.decode("utf-8", "replace").strip() or typed["text"].strip()
    try:
        with ports.db.transaction() as tx:
            if text:
                _carry(tx, held, text, who, now)
            else:
                _attest(tx, held, form, who, now)
    except DomainError as refused:
        param = "text" if text else refused.param if refused.param in _INPUTS else ""
        bad = FormView(values=typed, errors={param or "": refused.detail})
        return _page(request, ports, who, subscription_id, bad, status=int(refused.status))
    return see_other(f"/account/subscriptions/{held.id}/usage?said=usage_reported")


def _current(tx: Unit, held: Subscription) -> License:
    found = licenses.current(tx, held.id)
    if found is None:
        raise Invalid("No license of this subscription is in force, so there is nothing to report.")
    return found


def _carry(tx: Unit, held: Subscription, text: str, who: SignedInCustomer, now: datetime) -> None:
    """A report of any license of the subscription: a server may run an older file of it."""
    stated = usage.read(text)
    of = next((each for each in licenses.of_subscription(tx, held.id) if each.file_id == stated.license), None)
    if of is None:
        raise Invalid("The report is about a license of another subscription.", param="text")
    try:
        true_up.receive(tx, of, stated, source=ReportedBy.FILE, by=who.member_id, now=now)
    except NotFound as refused:
        raise Invalid(refused.detail, param="text") from None


def _attest(tx: Unit, held: Subscription, form: Posted, who: SignedInCustomer, now: datetime) -> None:
    users = form.text("active_users")
    if not (users.isascii() and users.isdigit() and len(users) <= 8):
        raise Invalid("Write how many used it as a whole number, such as 25.", param="active_users")
    if not form.text("attest"):
        raise Invalid("Tick the statement; the count rests on it.", param="attest")
    usage.attest(
        tx, _current(tx, held), active_users=int(users), period_from=_day(form, "period_from"),
        period_to=_day(form, "period_to") + timedelta(days=1), person=who.name or who.email, by=who.member_id,
        today=local_date(now, held.time_zone), now=now,
    )  # fmt: skip


def _day(form: Posted, name: str) -> date:
    try:
        return date.fromisoformat(form.text(name))
    except ValueError:
        raise Invalid("Give a date such as 2026-11-30.", param=name) from None


def _page(
    request: Request, ports: Ports, who: SignedInCustomer, subscription_id: str, form: FormView, *, said: str = "",
    status: int = 200,
) -> Response:  # fmt: skip
    with ports.db.transaction() as tx:
        held = owned.one(tx, who, Subscription, "sub", subscription_id)
    writes = may(who.role, Permission.SUBSCRIPTIONS_WRITE)
    offer, blocked = None, ""
    if held.state in RUNNING and writes:
        try:
            offer = true_up.price(ports, held.id)
        except DomainError as refused:
            blocked = refused.detail
    with ports.db.transaction() as tx:
        held = subscriptions.get(tx, held.id)
        found, plan = true_up.standing(tx, held), catalog.plans_by_id(tx, [held.plan_id])[held.plan_id]
        order = None
        if offer is not None:
            order = TrueUp(
                missing=found.missing, seats=found.seats + found.missing, plan=plan.sku,
                addons=tuple(each["sku"] for each in offer.inputs["lines"] if each["sku"] != plan.sku),
                preview_id=offer.id, cost=str(offer.due),
                at_once=renewing.terms_to_accept(tx, held, ports.clock.now().date()) is None,
            )  # fmt: skip
        view = UsageView(
            plan=plan.name, path=f"/account/subscriptions/{held.id}", seats=found.seats,
            used=found.report.active_users if found.report else None,
            until=found.report.period_to - timedelta(days=1) if found.report else None,
            shown=usage_shown.of_subscription(tx, held.id), true_up=order, blocked=blocked, statement=ATTESTED,
            writes=writes, form=form,
        )  # fmt: skip
        return account_page(request, tx, view, who, status=status, said=said)
