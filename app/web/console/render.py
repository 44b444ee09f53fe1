"""From a view model to a page of the console: its frame, what waits in it, what was just done, what went wrong."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, cast

from fastapi import Depends, Form, Request
from sqlalchemy import func, select
from sqlmodel import col
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from app.accounts.models import Staff
from app.accounts.permissions import StaffPermission as May
from app.accounts.permissions import may
from app.accounts.sessions import SignedInStaff
from app.core import job_watch
from app.core.db import Tx
from app.core.errors import DomainError, Invalid, NotFound
from app.core.money import Money
from app.flows import nexus_alerts, unmatched
from app.flows.ports import Ports
from app.orders.models import Order, OrderState
from app.payments.models import Dispute, DisputeState, Refund, RefundState
from app.quotes.models import Quote, QuoteState
from app.screening import service as screening
from app.subscriptions.models import Subscription
from app.tax import certificates
from app.web import auth, csrf, show
from app.web.console.views import ConsoleErrorView, ConsoleShell
from app.web.deps import ports_of
from app.web.views import Flash, Page
from app.web.views import Form as FormView

LONGEST_NOTE: Final = 1000
# What a redirect after an action says; anything else in `done` says nothing.
_DONE: Final = {
    "case-cleared": "The case is cleared. Orders that waited for nothing else go on by themselves.",
    "ownership-recorded": "Recorded. What waited for it goes on within a minute.",
    "case-overturned": "Overturned. What was suspended because of the case is given back within a minute.",
    "case-reopened": "Open again. What is ordered from now on waits until it is decided.",
    "case-confirmed": "Confirmed. Orders are given up, nothing more is delivered, subscriptions wait for a person.",
    "order-canceled": "The order is canceled.",
    "order-released": "The order is released, and the buyer is asked by mail to pay.",
    "payment-resolved": "Recorded. The payment no longer waits for a person.",
    "payment-recorded": "The payment is booked.",
    "reminders-put-off": "The reminders to come were put off.",
    "tax-id-confirmed": "The number counts as confirmed for this account from now on.",
    "tax-id-asked": "The registry is being asked; its answer stands here in a moment.",
    "invoice-replaced": "It was credited in full and issued again without the tax.",
    "credit-frozen": "This account pays by card from now on.",
    "credit-unfrozen": "This account may order on invoice again.",
    "credit-limited": "The limit is recorded.",
    "refund-asked": "Written down. It is sent once a second person has let it go.",
    "refund-begun": "The credit note is issued, and the money is on its way.",
    "refund-rejected": "The refund is rejected.",
    "quote-declined": "The request is declined.",
    "quote-withdrawn": "It is withdrawn.",
    "quote-drafted": "The draft is saved.",
    "quote-sent": "The quote is sent.",
    "quote-revised": "This is the next revision; the one before can no longer be accepted.",
    "quote-approved": "The discount is approved.",
    "agreement-recorded": "The agreement is kept; from its first day on, orders of this account come to sales.",
    "agreement-ended": "The agreement has ended.",
    "dunning-paused": "It is paused, and the license is bridged for as long.",
    "dunning-resumed": "It goes on.",
    "subscription-released": "The billing run takes it up again.",
    "change-withdrawn": "The scheduled change is withdrawn, and the account's people hear of it.",
    "server-released": "The server is deactivated; its place is free.",
    "activations-limited": "The limit is recorded and counts from now on.",
    "license-revoked": "The license is revoked.",
    "workspace-retried": "It is being tried again.",
    "deletion-canceled": "The workspace stays.",
    "job-retried": "The job is on the queue again.",
    "jobs-retried": "The failed jobs are on the queue again.",
    "person-added": "A mail tells them where to sign in; the first time they set up a second factor.",
    "role-changed": "The role is changed; their sessions are ended.",
    "person-removed": "The person is out of the console, and every session of theirs is ended.",
    "second-factor-reset": "Their sessions are ended; the next sign-in sets up a new authenticator.",
    "key-revoked": "The key is revoked; nothing signed with it is answered any more.",
    "signing-key-rotated": "The successor is published; it signs once the overlap is over.",
    "signing-key-retired": "The key is retired, and no longer published.",
    "policy-changed": "The new value is recorded.",
    "nexus-seen": "It is noted, and no longer waits.",
    "certificate-accepted": "The certificate counts from now on, and the customer hears of it.",
    "certificate-rejected": "It is rejected, and the customer hears why.",
    "certificate-revoked": "It no longer counts, and the customer hears why.",
    "override-recorded": "The override is recorded.",
    "override-ended": "The override has its last day.",
    "clock-advanced": "Business time has moved.",
}

Reader = Annotated[SignedInStaff, Depends(auth.staff(May.CONSOLE_READ))]
Note = Annotated[str, Form()]
# The console's own form helpers guard every router that includes this dependency.
GUARDED: Final = [Depends(csrf.protect)]


def page(
    request: Request, tx: Tx, view: Page, who: SignedInStaff, *, status: int = 200, search: str = ""
) -> HTMLResponse:  # fmt: skip
    """A page for a signed-in staff member, with the counts of what waits beside the navigation."""
    ports = ports_of(request)
    done = _DONE.get(request.query_params.get("done", ""))
    shell = ConsoleShell(
        vendor=ports.vendor_name, csrf_token=csrf.token(request), person=who.email, role=who.role.value,
        sandbox=ports.test_mode, flashes=(Flash(text=done),) if done else (), todo=_todo(tx),
        closed=_closed(request, who), business_time=ports.clock.now() if ports.test_mode else None, search=search,
    )  # fmt: skip
    return show.answer(request, view, shell, status)


def _todo(tx: Tx) -> dict[str, int]:
    held = select(func.count()).select_from(Order).where(col(Order.state) == OrderState.HELD)
    asked = select(func.count()).select_from(Quote).where(col(Quote.state) == QuoteState.REQUESTED)
    refunds = select(func.count()).select_from(Refund).where(col(Refund.state) == RefundState.REQUESTED)
    disputes = select(func.count()).select_from(Dispute).where(col(Dispute.state) == DisputeState.OPENED)
    parked = select(func.count()).select_from(Subscription).where(col(Subscription.parked_at).is_not(None))
    return {
        "orders": tx.execute(held).scalar_one() + len(unmatched.waiting(tx)),
        "dunning": tx.execute(parked).scalar_one(),
        "quotes": tx.execute(asked).scalar_one(),
        "refunds": tx.execute(refunds).scalar_one(),
        "disputes": tx.execute(disputes).scalar_one(),
        "screening": screening.open_count(tx),
        "tax": len(nexus_alerts.waiting(tx)) + certificates.count_waiting(tx),
        "jobs": job_watch.failed_count(tx),
    }


def clock_of(request: Request) -> Callable[[datetime], int] | None:
    """What walks business time forward; None where business time is real."""
    return cast("Callable[[datetime], int] | None", request.app.state.advance_clock)


def _closed(request: Request, who: SignedInStaff) -> frozenset[str]:
    """Sections that this role, or this installation, does not have."""
    closed = set()
    if not may(who.role, May.REPORTS_READ):
        closed.add("exports")
    if clock_of(request) is None or not may(who.role, May.CLOCK_WRITE):
        closed.add("clock")
    if not may(who.role, May.STAFF_WRITE):
        closed.add("staff")
    if not may(who.role, May.KEYS_WRITE):
        closed.add("api-keys")
    return frozenset(closed)


def problem(request: Request, answer: JSONResponse) -> HTMLResponse:
    """A refusal in the frame of the console: with the navigation for staff, without it for anybody else."""
    told = json.loads(bytes(answer.body))
    who: SignedInStaff | None = getattr(request.state, "staff", None)
    view = ConsoleErrorView(
        status=told["status"], title=told["title"], detail=told["detail"], code=told["code"],
        request_id=told["request_id"] or "",
    )  # fmt: skip
    ports = ports_of(request)
    shell = ConsoleShell(
        vendor=ports.vendor_name, csrf_token=csrf.token(request), sandbox=ports.test_mode,
        person=who.email if who else "", role=who.role.value if who else "",
        closed=_closed(request, who) if who else frozenset(),
    )  # fmt: skip
    shown = show.answer(request, view, shell, answer.status_code)
    if "retry-after" in answer.headers:
        shown.headers["Retry-After"] = answer.headers["retry-after"]
    return shown


def back(to: str, done: str) -> RedirectResponse:
    """After a POST: to the page it was about, which then says what was done."""
    if done not in _DONE:
        raise ValueError(f"nothing is said for {done!r}")
    return RedirectResponse(f"{to}?done={done}", 303)


def reason(note: str) -> str:
    """The reason of an action, which is never empty. Raises Invalid."""
    plain = note.strip()
    if not plain:
        raise Invalid("Say why; it goes into the audit log.", param="note")
    if len(plain) > LONGEST_NOTE:
        raise Invalid(f"At most {LONGEST_NOTE} characters.", param="note")
    return plain


def refused(name: str, values: dict[str, str], error: str, param: str | None = None) -> FormView:
    """The form `name` with what was typed and why it was refused."""
    known = param if param in values else ""
    return FormView(values={"_form": name, **values}, errors={known or "": error})


def attempt(
    ports: Ports, name: str, values: dict[str, str], deed: Callable[[], object],
    again: Callable[[Tx, FormView, int], Response], *, to: str, done: str,
) -> Response:  # fmt: skip
    """Do what the form `name` asks, then on to `to`, which says so; refused, `again` shows it with what was typed.

    `deed` opens its own transactions. What does not exist stays not found.
    """
    try:
        deed()
    except NotFound:
        raise
    except DomainError as exc:
        with ports.db.session() as tx:
            return again(tx, refused(name, values, exc.detail, exc.param), exc.status)
    return back(to, done)


def form_for(name: str, form: FormView) -> FormView:
    """What belongs to the form `name` of a page with several."""
    return form if form.value("_form") == name else FormView()


def can(who: SignedInStaff, permission: May) -> bool:
    return may(who.role, permission)


def actor_name(tx: Tx, actor: str) -> str:
    """Who an audit row names: the address of a staff member, else the word that was recorded."""
    person = tx.get(Staff, actor) if actor.startswith("stf_") else None
    return person.email if person is not None else actor


def money(minor: int, currency: str) -> str:
    return str(Money(minor, currency))


def shown(amount: Any) -> str:
    """Money as events and reasons keep it, `{"amount", "currency"}`; nothing for anything else."""
    return money(amount["amount"], amount["currency"]) if isinstance(amount, dict) else ""
