"""A renewal as a page shows it: what is, what would be, what it costs. The same for a mailed link and an account."""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.agreements import service as agreements
from app.agreements.models import TermsVersion
from app.catalog.models import Plan
from app.core.db import Tx
from app.core.errors import DomainError, Invalid
from app.core.money import Money
from app.flows import renewal, true_up
from app.flows.ports import Ports
from app.flows.purchase import ORDER_TOKEN
from app.flows.renewal import LinkUsed, RenewalNotOpen, Review
from app.orders.errors import AlreadyRenewed, SeatsOutOfRange
from app.orders.models import Order, OrderKind, OrderState, Preview, Route
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionLine
from app.subscriptions.periods import Period, term
from app.tax import service as tax
from app.web import pages
from app.web.portal import figures
from app.web.portal.entry_views import RenewalRow, RenewView
from app.web.portal.pricing import parse_seats
from app.web.views import Form, Link

_ENGLISH = pages.English()


@dataclass(frozen=True, slots=True)
class Wish:
    """Seats as typed; empty for as many as now."""

    seats: str = ""

    @property
    def number(self) -> int | None:
        return parse_seats(self.seats) if self.seats else None

    @property
    def error(self) -> str:
        return "Write the seats as a whole number, such as 25." if self.seats and self.number is None else ""


def look(ports: Ports, subscription_id: str, wish: Wish, *, action: str, refused: str = "") -> RenewView:
    """The review with everything that can stand in the way told as a state.

    Seats that are not sold are refused at their field, beside the figures for as many as now.
    """
    if not wish.seats:
        wish = _as_used(ports, subscription_id)
    errors = {"seats": wish.error} if wish.error else {}
    try:
        found = renewal.review(ports, subscription_id, seats=wish.number)
    except SeatsOutOfRange as out_of_range:
        errors["seats"] = out_of_range.detail
        found = renewal.review(ports, subscription_id)
    except DomainError as shut:
        with ports.db.transaction() as tx:
            return closed(tx, ports, shut, subscription_id)
    if refused:
        errors[""] = refused
    with ports.db.transaction() as tx:
        return _ready(tx, found, action, Form(values={"seats": wish.seats}, errors=errors))


def _as_used(ports: Ports, subscription_id: str) -> Wish:
    """As many seats as were last reported in use, where these are more; fewer are a person's wish (R-ORD-4)."""
    with ports.db.transaction() as tx:
        found = true_up.standing(tx, subscriptions.get(tx, subscription_id))
    return Wish(str(found.seats + found.missing)) if found.missing else Wish()


def closed(tx: Tx, ports: Ports, shut: DomainError, subscription_id: str) -> RenewView:
    """The page of a renewal that cannot be done now. Raises what is none of its states again."""
    if isinstance(shut, LinkUsed | AlreadyRenewed):
        unpaid = _unpaid(tx, subscription_id)
        href = f"/orders/{ports.secrets.sign_token(ORDER_TOKEN, unpaid.id)}" if unpaid else ""
        return RenewView(state="expired" if shut.extra.get("expired") else "used", order_href=href)
    if isinstance(shut, RenewalNotOpen):
        opens_on = shut.extra.get("opens_on")
        if opens_on is None:
            return RenewView(state="gone")
        return RenewView(state="early", opens_on=date.fromisoformat(str(opens_on)))
    raise shut


def _unpaid(tx: Tx, subscription_id: str) -> Order | None:
    """A renewal that was ordered and waits for its payment: whoever clicked twice still finds the way to pay."""
    return tx.execute(
        select(Order).where(
            col(Order.subscription_id) == subscription_id,
            col(Order.kind) == OrderKind.RENEWAL,
            col(Order.state) == OrderState.AWAITING_PAYMENT,
        )
    ).scalar_one_or_none()


def terms_to_accept(tx: Tx, found: Subscription, today: date) -> TermsVersion | None:
    """The terms in force, if they are others than those accepted last (R-ACC-2)."""
    current = agreements.terms_in_force(tx, today)
    last = tx.execute(
        select(Order)
        .where(col(Order.subscription_id) == found.id, col(Order.state) == OrderState.COMPLETED)
        .order_by(col(Order.completed_at).desc())
        .limit(1)
    ).scalar_one_or_none()
    acceptance = agreements.of_order(tx, last.id) if last is not None else None
    return None if acceptance is not None and acceptance.terms_id == current.id else current


def _ready(tx: Tx, found: Review, action: str, form: Form) -> RenewView:
    subscription, preview = found.subscription, found.preview
    plan = tx.get_one(Plan, subscription.plan_id)
    company = accounts.get(tx, subscription.account_id).name
    new_terms = terms_to_accept(tx, subscription, preview.created_at.date())
    determination = tax.stored(tx, preview.tax_determination_id)
    full = str(preview.due)
    seats = str(preview.lines[0]["quantity"])
    card = found.saved_card
    return RenewView(
        state="quote" if preview.route is Route.SALES else "ready", action=action, preview_id=preview.id,
        plan=plan.name, company=company, compared=_compared(tx, found),
        rows=(*figures.rows(preview.lines, determination, subscription.interval, preview.discount),
              *figures.own_credit_rows(preview)),
        total=full,
        treatment=figures.treatment(determination),
        button=f"Renew and pay {full}" if card else f"Renew for {full}",
        payment=_payment(preview, card),
        form=Form(errors={"": form.error("")} if form.error("") else {}),
        seats_form=Form(
            values={"seats": form.value("seats") or seats},
            errors={"seats": form.error("seats")} if form.error("seats") else {},
        ),
        min_seats=plan.min_seats,
        terms=Link(label=new_terms.title.lower(), href=f"/terms/{new_terms.key}/{new_terms.version}")
        if new_terms
        else None,
        stop_href=_stop_href(subscription, action), price_note=_price_note(tx, found),
        terms_version=new_terms.version if new_terms else "", authority=agreements.AUTHORITY if new_terms else "",
    )  # fmt: skip


def _payment(preview: Preview, card: str | None) -> str:
    if not preview.due:
        return "Nothing is charged: your credit pays it."
    return f"Charged to {card}." if card else "The card is typed on the provider's own page, which comes next."


def _stop_href(subscription: Subscription, action: str) -> str:
    """Where not renewing is said; nothing once it was."""
    if subscription.not_renewing_at is not None:
        return ""
    by_link = action.startswith("/renew/")
    return f"{action}/stop" if by_link else f"/account/subscriptions/{subscription.id}#ending"


def _price_note(tx: Tx, found: Review) -> str:
    """Why a seat costs something else than now."""
    changes = renewal.price_changes(tx, found.subscription, found.preview)
    return " ".join(
        f"{each.description}: {each.now} a seat instead of {each.before}, the list price since "
        f"{_ENGLISH.day(each.since)}."
        for each in changes
    )


def _compared(tx: Tx, found: Review) -> tuple[RenewalRow, ...]:
    subscription, preview = found.subscription, found.preview
    old = {line.plan_id: line for line in subscriptions.lines(tx, subscription.id)}
    new = {line["plan_id"]: line for line in preview.lines}
    rows = []
    for plan_id, line in new.items():
        before = old.get(plan_id)
        rows.append(_row(f"{line['description']}, seats", _seats(before), f"{line['quantity']:,}"))
        was = str(Money(before.unit_minor, subscription.currency)) if before else ""
        rows.append(_row(f"{line['description']}, a seat", was, str(Money(line["unit_minor"], preview.currency))))
    anchor = subscription.anchor_day if found.starts_on == subscription.ends_on else None
    coming = term(found.starts_on, subscription.term_months, anchor)
    rows.append(_row("Term", _span(Period(subscription.starts_on, subscription.ends_on)), _span(coming)))
    return tuple(rows)


def _row(label: str, old: str, new: str) -> RenewalRow:
    return RenewalRow(label=label, old=old, new=new, changed=old != new)


def _seats(line: SubscriptionLine | None) -> str:
    return f"{line.quantity:,}" if line else ""


def _span(period: Period) -> str:
    return f"{_ENGLISH.short_day(period.start)} to {_ENGLISH.short_day(period.end - timedelta(days=1))}"


def preview_of(tx: Tx, preview_id: str, subscription_id: str) -> Preview:
    """The posted offer, if it is for this subscription. Raises Invalid."""
    preview = tx.get(Preview, preview_id)
    if preview is None or preview.subscription_id != subscription_id:
        raise Invalid("That offer was not for this subscription; here are its own figures.", param="preview")
    return preview
