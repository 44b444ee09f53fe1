"""What the page of an order tells: where it stands, its license, its papers, and what is still to be done."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlencode

from app.accounts import service as accounts
from app.agreements import service as agreements
from app.agreements.models import Acceptance
from app.catalog.models import Family, Interval, Plan
from app.core.clock import local_date
from app.core.db import Tx
from app.core.money import Money
from app.flows import notify, paying_invoices, purchase
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.licenses import service as licenses
from app.licenses.models import License
from app.orders import service as orders
from app.orders.models import Order, OrderKind, OrderState, Preview
from app.payments import service as payments
from app.payments.models import AttemptState, PaymentAttempt
from app.subscriptions.models import Subscription
from app.surveys import service as surveys
from app.tax import service as tax
from app.web import pages
from app.web.portal import basket, figures, license_files
from app.web.portal import views as v
from app.web.portal.survey import question
from app.web.portal.workspace_progress import progress_of
from app.web.views import Fact, Link, Step, SurveyForm
from app.workspaces import service as workspaces
from app.workspaces.models import Workspace, WorkspaceState

_FAILURES: Final = {
    "insufficient_funds": "Your bank says that the card has insufficient funds.",
    "expired_card": "The card has expired.",
    "lost_card": "The card was reported lost.",
    "authentication_required": "The payment was not confirmed with your bank.",
}
_STATES: Final[dict[OrderState, v.OrderState]] = {
    OrderState.AWAITING_PAYMENT: "awaiting_payment", OrderState.HELD: "review", OrderState.COMPLETED: "paid",
    OrderState.EXPIRED: "expired", OrderState.CANCELED: "canceled",
}  # fmt: skip
_ENGLISH: Final = pages.English()


@dataclass(frozen=True, slots=True)
class Told:
    """Everything the page tells about one order, read in one transaction."""

    token: str
    order: Order
    preview: Preview
    plan: Plan
    attempt: PaymentAttempt | None
    acceptance: Acceptance | None
    invoice: Invoice | None
    license: License | None
    subscription: Subscription | None
    workspace: Workspace | None

    @property
    def path(self) -> str:
        return f"/orders/{self.token}"

    @property
    def company(self) -> str:
        return str(self.preview.inputs["buyer"]["company"])

    @property
    def state(self) -> v.OrderState:
        failed = self.attempt is not None and self.attempt.state is AttemptState.FAILED
        if self.order.state is OrderState.AWAITING_PAYMENT and failed:
            return "payment_failed"
        return "open_invoice" if self.owes else _STATES[self.order.state]

    @property
    def owes(self) -> bool:
        """Whether the invoice of a delivered order is still to be paid."""
        return self.invoice is not None and self.invoice.state is InvoiceState.OPEN

    @property
    def building(self) -> bool:
        """Whether a workspace is on its way."""
        return self.workspace is not None and self.workspace.state in {
            WorkspaceState.REQUESTED, WorkspaceState.CREATING, WorkspaceState.CREATION_FAILED,
        }  # fmt: skip


def read(tx: Tx, ports: Ports, token: str) -> Told:
    """Raises NotFound for a token that was not made here."""
    order = purchase.order_by_token(tx, ports, token)
    line = orders.lines(tx, order.id)[0]
    return Told(
        token=token, order=order, preview=tx.get_one(Preview, order.preview_id),
        plan=tx.get_one(Plan, line.plan_id), attempt=payments.latest_attempt(tx, order.id),
        acceptance=agreements.of_order(tx, order.id), invoice=invoices.of_order(tx, order.id),
        license=licenses.of_order(tx, order.id),
        subscription=tx.get(Subscription, order.subscription_id) if order.subscription_id else None,
        workspace=workspaces.of_subscription(tx, order.subscription_id) if order.subscription_id else None,
    )  # fmt: skip


def order_view(tx: Tx, ports: Ports, told: Told) -> v.OrderView:
    order_row, state = told.order, told.state
    determination = tax.stored(tx, order_row.tax_determination_id)
    interval = str(told.preview.inputs["interval"])
    survey = survey_form(tx, ports, told)
    payable = state in {"awaiting_payment", "payment_failed"}
    return v.OrderView(
        order_id=order_row.id, state=state, plan=told.plan.name, email=order_row.buyer_email,
        rows=(
            *figures.order_rows(orders.lines(tx, order_row.id), determination, interval, order_row.discount),
            *figures.settled_rows(
                order_row.change, Money(order_row.total_minor, order_row.currency),
                orders.end_of_carried(tx, order_row.id),
            ),
            *figures.own_credit_rows(order_row),
        ),
        total=str(order_row.due), progress=progress_view(tx, told),
        failure=_failure(told), review_by=notify.review_by(tx, order_row).date() if state == "review" else None,
        pay_href=f"{told.path}/pay" if payable else "",
        invoice_due=told.invoice.due_on if told.invoice is not None and told.owes else None,
        invoice_href=paying_invoices.link(ports, told.invoice.id) if told.invoice is not None and told.owes else "",
        restart_href=_restart(told) if state in {"expired", "canceled"} else "",
        license=_license(tx, told, ports.clock.now()), workspace=_workspace_link(told), documents=_documents(told),
        facts=_facts(tx, told, ports), survey=survey, survey_thanks=survey is None and _answered(tx, ports, told),
    )  # fmt: skip


def survey_form(tx: Tx, ports: Ports, told: Told, error: str = "") -> SurveyForm | None:
    """The question, until it is answered or dead; never to somebody who asked not to be asked."""
    invitation = surveys.find(tx, ports.secrets, surveys.OURS, told.order.id)
    if invitation is None or invitation.answered_at is not None or not surveys.may_ask_on_page(invitation):
        return None
    if ports.clock.now() >= invitation.expires_at:
        return None
    return SurveyForm(
        action=f"{told.path}/survey", question=question(ports, invitation), invitation_id=invitation.id, error=error
    )


def _answered(tx: Tx, ports: Ports, told: Told) -> bool:
    invitation = surveys.find(tx, ports.secrets, surveys.OURS, told.order.id)
    return invitation is not None and invitation.answered_at is not None


def _failure(told: Told) -> str:
    code = told.attempt.failure_code if told.attempt else None
    return decline_in_words(code)


def decline_in_words(code: str | None) -> str:
    """Why a card was refused, for its owner."""
    return _FAILURES.get(code or "", "Your card was declined.")


def _restart(told: Told) -> str:
    """The checkout with the same choices; anything else begins again from the account."""
    if told.order.kind is not OrderKind.PURCHASE:
        return f"/account/subscriptions/{told.order.subscription_id}"
    inputs = told.preview.inputs
    first, *others = inputs["lines"]
    query = [("sku", first["sku"]), ("seats", first["quantity"]), ("interval", basket.term_of(told.preview)),
             ("currency", inputs["currency"]), *(("addon", each["sku"]) for each in others),
             *([("coupon", inputs["coupon"])] if inputs.get("coupon") else [])]  # fmt: skip
    return f"/checkout?{urlencode(query)}"


def _license(tx: Tx, told: Told, now: datetime) -> v.LicenseReady | None:
    if told.license is None or told.plan.family is Family.CLOUD:
        return None  # a workspace gets its license by itself
    zone = accounts.get(tx, told.order.account_id).time_zone
    return license_files.ready(tx, told.license, told.company, zone, f"{told.path}/license", now)


def _workspace_link(told: Told) -> Link | None:
    if told.workspace is None or not told.workspace.url or told.building:
        return None
    return Link(label=told.workspace.hostname, href=told.workspace.url)


def _documents(told: Told) -> tuple[Link, ...]:
    found = []
    if told.invoice is not None and told.invoice.number is not None:
        found.append(Link(label=f"Invoice {told.invoice.number} (PDF)", href=f"{told.path}/invoice.pdf"))
    if told.acceptance is not None:
        found.append(Link(label="Certificate of acceptance (PDF)", href=f"{told.path}/certificate.pdf"))
        found.append(Link(label="The same to be verified (JSON)", href=f"{told.path}/certificate.json"))
    return tuple(found)


def _facts(tx: Tx, told: Told, ports: Ports) -> tuple[Fact, ...]:
    facts = []
    payment = payments.of_order(tx, told.order.id)
    if payment is not None and payment.method_label:
        facts.append(Fact(name="Paid with", value=payment.method_label))
    if told.order.po_number:
        facts.append(Fact(name="PO number", value=told.order.po_number))
    if told.subscription is not None and told.order.state is OrderState.COMPLETED:
        last = _ENGLISH.day(told.subscription.ends_on - timedelta(days=1))
        facts.append(Fact(name="Term", value=f"{_ENGLISH.day(told.subscription.starts_on)} to {last}"))
        if told.preview.inputs["interval"] == Interval.MONTH:
            again = local_date(ports.clock.now(), told.subscription.time_zone)
            facts.append(Fact(name="Renews", value=_ENGLISH.day(max(told.subscription.ends_on, again))))
    return tuple(facts)


def progress_view(tx: Tx, told: Told, *, reload: bool = False) -> v.ProgressView:
    """The chain from the click to what can be run; `reload` tells a waiting page that more has changed."""
    if told.building and told.workspace is not None:
        return progress_of(told.workspace, before=_steps(tx, told), poll_href=f"{told.path}/progress", reload=reload)
    waits = told.state == "awaiting_payment"
    return v.ProgressView(
        steps=_steps(tx, told), reload=reload,
        sentence="You have paid? The payment provider tells us within seconds." if waits else "",
        poll_href=f"{told.path}/progress" if waits else "", ask_href=f"{told.path}/refresh" if waits else "",
    )  # fmt: skip


def _steps(tx: Tx, told: Told) -> tuple[Step, ...]:
    steps = [_accepted(told)]
    payment = payments.of_order(tx, told.order.id)
    settled = told.invoice.paid_at if told.invoice is not None else None
    if told.order.state is OrderState.HELD or told.preview.route == "review":
        held = told.order.state is OrderState.HELD
        steps.append(Step(label="Looked at by a person", state="now" if held else "done"))
    if payment is not None:
        steps.append(Step(label="Paid", state="done", detail=payment.method_label, at=_at(payment.received_at)))
    elif settled is not None:
        steps.append(Step(label="Paid", state="done", at=_at(settled)))
    else:
        steps.append(_unpaid(told))
    number = told.invoice.number if told.invoice and told.invoice.number else ""
    steps.append(Step(label=f"Invoice {number}" if number else "Invoice", state="done" if number else "todo"))
    if told.plan.family is Family.CLOUD:
        opened = told.workspace is not None and not told.building
        steps.append(Step(label="Workspace opened", state="done" if opened else "todo"))
    else:
        issued = told.license.issued_at if told.license else None
        at = _at(issued) if issued else ""
        steps.append(Step(label="License signed", state="done" if issued else "todo", at=at))
    return tuple(steps)


def _accepted(told: Told) -> Step:
    if told.acceptance is None:
        return Step(label="Terms accepted", state="todo")
    by = f"{told.acceptance.person_name}, version {told.acceptance.terms_version}"
    return Step(label="Terms accepted", state="done", detail=by, at=_at(told.acceptance.accepted_at))


def _unpaid(told: Told) -> Step:
    if told.state == "payment_failed":
        return Step(label="Payment", state="failed", detail=_failure(told))
    if told.owes and told.invoice is not None and told.invoice.due_on is not None:
        return Step(label="Payment", state="todo", detail=f"On invoice, due on {_ENGLISH.day(told.invoice.due_on)}")
    waiting: Literal["now", "todo"] = "now" if told.state == "awaiting_payment" else "todo"
    return Step(label="Payment", state=waiting)


def _at(instant: datetime) -> str:
    return _ENGLISH.moment(instant)
