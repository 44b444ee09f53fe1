"""A change of a subscription as its page shows it: the form, what it costs, what waits."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from app.agreements import service as agreements
from app.catalog import service as catalog
from app.catalog.errors import NoPrice
from app.catalog.models import Interval, Plan, PlanKind
from app.core.db import Tx as Unit
from app.core.errors import DomainError, Invalid
from app.core.money import Money
from app.flows import changing, seat_change
from app.flows.ports import Ports
from app.flows.purchase import ORDER_TOKEN
from app.flows.seat_change import Wanted
from app.licenses import usage
from app.orders import service as orders
from app.orders.changes import AT_RENEWAL, Change
from app.orders.errors import ChangeRefused
from app.orders.models import Preview, Route
from app.payments import service as payments
from app.subscriptions import scheduled
from app.subscriptions import service as subscriptions
from app.subscriptions.models import ScheduledChange, Subscription
from app.tax import service as tax
from app.web import pages
from app.web.portal import figures, renewing
from app.web.portal.pricing import parse_seats
from app.web.portal.render import Posted
from app.web.portal.subscription_views import PendingView, SeatChangeView
from app.web.portal.views import AddOn, PreviewView
from app.web.views import Form as FormView
from app.web.views import Link, Option

_ENGLISH: Final = pages.English()
INPUTS: Final = {"seats": "seats", "plan": "plan", "add_ons": "seats", "sku": "plan", "po_number": "po_number"}


@dataclass(frozen=True, slots=True)
class Filled:
    """The form as it came; `wanted` is None where something cannot be read."""

    seats: str
    plan: str
    add_ons: tuple[str, ...]
    on_invoice: bool = False
    po_number: str = ""

    @classmethod
    def of(cls, form: Posted) -> "Filled":
        return cls(form.text("seats"), form.text("plan"), tuple(each[:100] for each in form.many("addon")[:20]),
                   bool(form.text("on_invoice")), form.text("po_number"))  # fmt: skip

    @property
    def wanted(self) -> Wanted | None:
        seats = parse_seats(self.seats)
        return Wanted(seats, self.plan or None, self.add_ons) if seats is not None else None

    def view(self, errors: dict[str, str]) -> FormView:
        values = {"seats": self.seats, "plan": self.plan, "po_number": self.po_number}
        return FormView(values=values | ({"on_invoice": "yes"} if self.on_invoice else {}), errors=errors)


def section(tx: Unit, ports: Ports, held: Subscription) -> SeatChangeView:
    """The form as it stands before anything was asked for; where nothing can be changed, why."""
    lines = {line.plan_id: line for line in subscriptions.lines(tx, held.id)}
    plans = catalog.plans_by_id(tx, list(lines))
    add_ons = tuple(plans[each].sku for each in lines if each != held.plan_id)
    filled = Filled(f"{lines[held.plan_id].quantity}", plans[held.plan_id].sku, add_ons)
    blocked = ""
    try:
        changing.require_changeable(tx, held, ports.clock.now())
    except ChangeRefused as refused:
        blocked = refused.detail
    return replace(_form(tx, ports, held, filled, {}), blocked=blocked)


def pending(tx: Unit, ports: Ports, held: Subscription) -> PendingView | None:
    """The change that was ordered and waits for its payment."""
    order = orders.expansion_under_way(tx, held.id)
    if order is None:
        return None
    sums = ", ".join(f"{line.description}: {line.quantity:,} more" for line in orders.lines(tx, order.id))
    return PendingView(
        sentence=f"{sums}, for {order.due}: it begins once it is paid.",
        pay_href=f"/orders/{ports.secrets.sign_token(ORDER_TOKEN, order.id)}",
        cancel_href=f"/account/subscriptions/{held.id}/change/cancel",
    )  # fmt: skip


def scheduled_words(tx: Unit, held: Subscription) -> tuple[str, str]:
    """What is scheduled, in a sentence, and where it is taken back; empty for nothing."""
    row = scheduled.scheduled(tx, held.id)
    if row is None:
        return "", ""
    return (
        f"From {_ENGLISH.day(held.ends_on)}: {wish_words(tx, row)}.",
        f"/account/subscriptions/{held.id}/changes/{row.id}/withdraw",
    )


def wish_words(tx: Unit, row: ScheduledChange) -> str:
    parts = []
    if row.plan_id is not None:
        parts.append(tx.get_one(Plan, row.plan_id).name)
    if row.seats is not None:
        parts.append(figures.counted(row.seats, "seat", "seats"))
    parts += [f"without {catalog.plan_by_sku(tx, sku).name}" for sku in row.dropped]
    return ", ".join(parts)


def _form(tx: Unit, ports: Ports, held: Subscription, filled: Filled, errors: dict[str, str]) -> SeatChangeView:
    path, day = f"/account/subscriptions/{held.id}", changing.list_day(tx, ports.clock.now())
    plan = tx.get_one(Plan, held.plan_id)
    terms = renewing.terms_to_accept(tx, held, ports.clock.now().date())
    used = {line.plan_id: line for line in subscriptions.lines(tx, held.id)}
    return SeatChangeView(
        form=filled.view(errors), action=f"{path}/change", preview_href=f"{path}/change/preview",
        current=used[held.plan_id].quantity, lowest=plan.min_seats,
        used=reported.active_users if (reported := usage.newest(tx, held.id)) is not None else None,
        plans=tuple(Option(value=each.sku, label=each.name) for each in _plans(tx, held, plan, day)),
        addons=_addons(tx, held, filled, day),
        terms=Link(label=terms.title.lower(), href=f"/terms/{terms.key}/{terms.version}") if terms else None,
        terms_version=terms.version if terms else "", authority=agreements.AUTHORITY if terms else "",
    )  # fmt: skip


def _plans(tx: Unit, held: Subscription, plan: Plan, day: date) -> list[Plan]:
    """The one that is held first, then what is sold in this currency and interval."""
    found = [plan]
    for each in catalog.plans_on_sale(tx):
        if each.kind is not PlanKind.PLAN or each.id == plan.id or each.family is not plan.family or each.sales_only:
            continue
        try:
            catalog.price_on(tx, each, held.currency, Interval(held.interval), day)
        except NoPrice:
            continue
        found.append(each)
    return found


def _addons(tx: Unit, held: Subscription, filled: Filled, day: date) -> tuple[AddOn, ...]:
    shown = []
    for each in catalog.add_ons_for(catalog.plans_on_sale(tx), filled.plan):
        try:
            row = catalog.price_on(tx, each, held.currency, Interval(held.interval), day)
        except NoPrice:
            continue
        shown.append(AddOn(sku=each.sku, name=each.name, price=figures.per(row), checked=each.sku in filled.add_ons))
    return tuple(shown)


def look(
    ports: Ports, held: Subscription, filled: Filled, notice: str = ""
) -> tuple[SeatChangeView, DomainError | None]:  # fmt: skip
    """The form with the figures of what is asked for; what cannot be done is said at its field."""
    errors: dict[str, str] = {}
    offer: Preview | None = None
    refused: DomainError | None = None
    wanted = filled.wanted
    if wanted is None:
        refused = Invalid("Write the seats as a whole number, such as 25.", param="seats")
    else:
        try:
            offer = seat_change.preview(ports, held.id, wanted)
        except DomainError as no:
            refused = no
    if refused is not None:
        errors[INPUTS.get(refused.param or "", "seats")] = refused.detail
    coming = seat_change.next_term(ports, offer) if offer is not None else None
    with ports.db.transaction() as tx:
        view = _form(tx, ports, held, filled, errors)
        if offer is None:
            said = refused.detail if refused is not None else ""
            return replace(view, preview=PreviewView(missing=said)), refused
        card = payments.saved_method(tx, held.account_id, ports.payments.name)
        slip = _slip(tx, held, offer, card.label if card else "")
    slip = replace(slip, notice="changed" if notice else "")
    if coming is None:
        return replace(view, preview=slip), None
    next_total = sum((line.net for line in coming.lines), Money.zero(held.currency)) + coming.answer.tax
    rows = figures.offer_rows(coming.lines, coming.answer, held.interval)
    return replace(view, preview=slip, next_rows=rows, next_total=str(next_total)), None


def _slip(tx: Unit, held: Subscription, offer: Preview, card: str) -> PreviewView:
    change, currency = Change.from_json(offer.change or {}), offer.currency
    if change.effective == AT_RENEWAL:
        day = _ENGLISH.day(held.ends_on)
        return PreviewView(
            preview_id=offer.id, total=str(Money.zero(currency)), button=f"Change it on {day}",
            route_sentence=f"Nothing is charged or given back now. It begins on {day}, and can be taken back before.",
            expires_at=offer.expires_at,
        )  # fmt: skip
    found = tax.stored(tx, offer.tax_determination_id)
    total, due = Money(offer.total_minor, currency), offer.due
    rows = list(figures.rows(offer.lines, found, held.interval, offer.discount))
    rows += (*figures.settled_rows(offer.change, total), *figures.own_credit_rows(offer))
    surplus = change.credit - offer.total_minor
    sentence = "The new license is ready at once."
    if surplus > 0:
        sentence += f" {Money(surplus, currency)} become credit for later invoices."
    elif due and card:
        sentence += f" Charged to {card}."
    buttons = {Route.AUTOMATIC: f"Pay {due}" if due else "Change it now", Route.SALES: "Request a quote",
               Route.REVIEW: f"Order for {due}"}  # fmt: skip
    if offer.route is not Route.AUTOMATIC:
        sentence = "Above what runs by itself; a person looks at it."
    return PreviewView(
        preview_id=offer.id, rows=tuple(rows), total=str(due), treatment=figures.treatment(found),
        route="quote" if offer.route is Route.SALES else "review" if offer.route is Route.REVIEW else "automatic",
        route_sentence=sentence, reasons=figures.reasons(offer), expires_at=offer.expires_at,
        button=buttons[offer.route],
    )  # fmt: skip
