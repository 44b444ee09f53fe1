"""`/checkout`: one form from a plan to a paid order, or above the threshold to a quote.

A price is shown before it can be accepted: the order goes through only for a stored preview that answers exactly
what was posted. Anything else brings the page back with the new figures and everything that was typed (R-PRO-7).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.models import Account, BuyerType
from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.agreements import service as agreements
from app.agreements.service import Evidence, TermsNotAccepted
from app.catalog import service as catalog
from app.catalog.errors import NoPrice
from app.catalog.models import Interval, Plan, PlanKind
from app.core import policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError, NotAllowed
from app.core.ids import has_form
from app.core.money import Money
from app.flows import preview as previews
from app.flows import purchase, quoting, trade_credit
from app.flows import trial as trying
from app.flows.ports import Ports
from app.flows.preview_request import PreviewRequest
from app.flows.purchase import ORDER_TOKEN, Placing
from app.orders import service as orders
from app.orders.errors import NeedsQuote, PreviewChanged, PreviewExpired
from app.orders.models import PayBy, Preview, Route
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.quotes import service as quotes
from app.screening import attestations
from app.web import csrf, show, whereabouts
from app.web.auth import CustomerIfAny
from app.web.deps import Wired, client_ip, count_try
from app.web.portal import basket, figures, slip
from app.web.portal.basket import Basket
from app.web.portal.pricing import DELIVERIES
from app.web.portal.render import Form, Posted, locale_of, see_other
from app.web.portal.views import AddOn, CheckoutView, PreviewView
from app.web.views import Link, Option

# A preview may ask a tax registry: enough for a person who tries every seat count, too few for a program.
_PREVIEWS: Final = (300, 600)
# Each request mails two people, one of them at an address that was only typed. Offices share a network address.
_QUOTES: Final = (20, 3600)
_TERMS: Final = {
    "year": "1 year", "2years": "2 years, paid in advance", "3years": "3 years, paid in advance",
    "2years-yearly": "2 years, billed yearly", "3years-yearly": "3 years, billed yearly", "month": "1 month",
}  # fmt: skip

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])


@dataclass(frozen=True, slots=True)
class Scene:
    """What every answer of this page needs."""

    request: Request
    ports: Ports
    who: SignedInCustomer | None
    account: Account | None
    locale: str
    consumers: bool  # whether they are served

    def read(self, form: Posted, *, complete: bool) -> Basket:
        return basket.read(
            form, locale=self.locale, account=self.account, complete=complete, consumers=self.consumers,
            seen=whereabouts.seen(self.request),
        )  # fmt: skip


def _scene(request: Request, ports: Ports, who: SignedInCustomer | None) -> Scene:
    with ports.db.transaction() as tx:
        account = accounts.get(tx, who.account_id) if who is not None else None
        consumers = accounts.seller(tx).sells_to_consumers
    return Scene(request, ports, who, account, locale_of(request), consumers)


# --- Doors --------------------------------------------------------------------------------------------------------


@router.get("/checkout")
def checkout(
    request: Request, ports: Wired, who: CustomerIfAny, sku: str = "", seats: str = "", interval: str = "",
    currency: str = "", coupon: str = "", trial: str = "",
) -> Response:  # fmt: skip
    """The empty form for a plan; a stranger to the catalog is led to the prices. `interval` may name years."""
    if not sku:
        return see_other("/")
    scene = _scene(request, ports, who)
    addons = tuple(request.query_params.getlist("addon"))
    with ports.db.transaction() as tx:
        plan = catalog.plan_by_sku(tx, sku)
        if plan.kind is not PlanKind.PLAN:
            return see_other("/")
        asked = basket.TERMS.get(interval, basket.TERMS["year"])[0].value
        term, currency = _sold_as(tx, plan, asked, currency, _today(tx, ports))
        term = interval if interval in basket.TERMS and term == asked else term
    chosen = {
        "sku": (plan.sku,), "seats": (seats or str(plan.min_seats),), "term": (term,), "currency": (currency,),
        "addon": addons, "payment": ("card",), "coupon": (coupon[:40],),
        "trial": (trial[:64],),
    }  # fmt: skip
    form = basket.prefilled(Posted(chosen), scene.account, who)
    return _page(scene, scene.read(form, complete=False), None)


@router.post("/checkout/preview")
def preview_fragment(request: Request, ports: Wired, who: CustomerIfAny, form: Form) -> Response:
    """The figures for what is in the form now, as a fragment; what stands in the way is said in their place."""
    scene = _scene(request, ports, who)
    filled = scene.read(form, complete=False)
    try:
        found = _price(scene, filled.wanted) if filled.wanted else None
    except DomainError as refused:
        return show.portal(request, PreviewView(missing=refused.detail), who=who)
    with ports.db.transaction() as tx:
        view = _slip(tx, scene, filled, found)
    return show.portal(request, view, who=who)


@router.post("/checkout")
def submit(request: Request, ports: Wired, who: CustomerIfAny, form: Form) -> Response:
    """Recalculate, or order: to the payment page, to the quote, or back with what has to change."""
    scene = _scene(request, ports, who)
    placing = form.text("intent") == "place"
    filled = scene.read(form, complete=placing)
    if not placing or filled.wanted is None:
        return _shown_again(scene, scene.read(form, complete=False), errors=filled.errors)
    stored = _stored(scene, form.text("preview_id"), filled.wanted)
    if stored is None:
        return _shown_again(scene, filled, notice="changed" if form.text("preview_id") else "")
    if stored.route is not Route.SALES and not form.text("accept"):
        return _page(scene, filled, stored, {"accept": "Accept the terms to go on."}, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        return _go_on(scene, filled, stored)
    except (PaymentUnavailable, PaymentRefused):
        return see_other(_order_path(scene, stored))
    except DomainError as refused:
        return _refused(scene, filled, stored, refused)


def _refused(scene: Scene, filled: Basket, stored: Preview, refused: DomainError) -> Response:
    """Back with new figures where these no longer hold, with the refusal at its input otherwise."""
    if isinstance(refused, PreviewExpired):
        return _shown_again(scene, filled, notice="expired")
    if isinstance(refused, PreviewChanged | NeedsQuote):
        return _shown_again(scene, filled, notice="changed")
    if isinstance(refused, TermsNotAccepted):
        filled = replace(filled, values={**filled.values, "accept": ""})
    return show.later(_page(scene, filled, stored, {basket.input_of(refused): refused.detail}, refused.status), refused)


# --- Ordering -----------------------------------------------------------------------------------------------------


def _stored(scene: Scene, preview_id: str, wanted: PreviewRequest) -> Preview | None:
    """The preview the buyer looked at, if it is about exactly what was posted."""
    if not has_form("prv", preview_id):
        return None
    with scene.ports.db.transaction() as tx:
        preview = tx.get(Preview, preview_id)
    if preview is None or not basket.answers(preview, previews.request_of(preview), wanted):
        return None
    return preview


def _go_on(scene: Scene, filled: Basket, stored: Preview) -> Response:
    """Order, or ask for a quote. Raises what `purchase.start` and `quoting.request` raise, NotAllowed, TooManyTries."""
    who, ports = scene.who, scene.ports
    if who is not None and not may(who.role, Permission.ORDERS_WRITE):
        raise NotAllowed(f"Your role in this account is {who.role.value}; ask an owner or a buyer to order.")
    account_id = who.account_id if who is not None else None
    if stored.route is Route.SALES:
        count_try(scene.request, "quote", *_QUOTES)
        note = f"PO number {filled.value('po_number')}" if filled.value("po_number") else ""
        quote = quoting.request(ports, stored.id, note=note, account_id=account_id)
        return see_other(f"/q/{ports.secrets.sign_token(quotes.TOKEN, quote.id)}")
    evidence = Evidence(client_ip(scene.request), scene.request.headers.get("user-agent", ""))
    started = purchase.start(
        ports,
        Placing(
            stored.id, filled.value("terms_id"), evidence, po_number=filled.value("po_number"), account_id=account_id,
            pay_by=PayBy.INVOICE if filled.value("payment") == PayBy.INVOICE else PayBy.CARD,
            ownership=bool(filled.value("ownership")),
        ),
    )  # fmt: skip
    if filled.value("trial"):
        trying.name_for_order(ports, started.order_id, filled.value("trial"))
    return see_other(started.payment_url or f"/orders/{started.token}")


def _order_path(scene: Scene, stored: Preview) -> str:
    """The page of the order that stands although the payment provider did not answer; it offers to try again."""
    with scene.ports.db.transaction() as tx:
        order = orders.order_of_preview(tx, stored.id)
    return f"/orders/{scene.ports.secrets.sign_token(ORDER_TOKEN, order.id)}" if order else "/"


# --- Showing ------------------------------------------------------------------------------------------------------


def _price(scene: Scene, wanted: PreviewRequest) -> Preview:
    """A new stored preview. Raises what `preview.price` raises, and TooManyTries."""
    count_try(scene.request, "checkout-preview", *_PREVIEWS)
    return previews.price(scene.ports, wanted)


def _shown_again(
    scene: Scene, filled: Basket, *, notice: slip.Notice = "", errors: dict[str, str] | None = None
) -> Response:
    """The page with fresh figures; what cannot be priced is said at its input."""
    wrong = {**(errors or {})}
    found, status = None, HTTPStatus.UNPROCESSABLE_ENTITY if wrong or filled.errors else HTTPStatus.OK
    refusal: DomainError | None = None
    if filled.wanted is not None:
        try:
            found = _price(scene, filled.wanted)
        except DomainError as refused:
            wrong.setdefault(basket.input_of(refused), refused.detail)
            status, refusal = refused.status, refused
    if notice and found is not None:
        status = HTTPStatus.CONFLICT
    shown = _page(scene, filled, found, wrong, status, notice=notice)
    return show.later(shown, refusal) if refusal else shown


def _page(
    scene: Scene, filled: Basket, found: Preview | None, errors: dict[str, str] | None = None,
    status: HTTPStatus = HTTPStatus.OK, *, notice: slip.Notice = "",
) -> Response:  # fmt: skip
    with scene.ports.db.transaction() as tx:
        view = _view(tx, scene, filled, found, errors or {}, notice)
    return show.portal(scene.request, view, who=scene.who, status=int(status))


def _view(
    tx: Tx, scene: Scene, filled: Basket, found: Preview | None, errors: dict[str, str], notice: slip.Notice
) -> CheckoutView:
    ports = scene.ports
    plan = catalog.plan_by_sku(tx, filled.value("sku"))
    today = _today(tx, ports)
    terms = agreements.terms_in_force(tx, ports.clock.now().date())
    payments, hint = _payments(tx, scene, found)
    offered = {each.value for each in payments}
    chosen = filled.value("payment") if filled.value("payment") in offered else PayBy.CARD.value
    values = {**filled.values, "terms_id": terms.id, "payment": chosen}
    shown = Basket(values, filled.addons, filled.errors, filled.wanted)
    query = {"seats": filled.value("seats"), "currency": filled.value("currency"), "family": plan.family.value}
    return CheckoutView(
        form=shown.form(**errors),
        preview=_slip(tx, scene, filled, found, notice),
        preview_href="/checkout/preview", plan=plan.name, delivery=DELIVERIES[plan.family],
        pricing_href=f"/?{urlencode(query)}", min_seats=plan.min_seats,
        term_options=_terms_sold(tx, plan, filled.value("currency"), today),
        addons=_addons(tx, plan, filled, today), countries=basket.countries(), us_states=basket.regions("US"),
        ca_provinces=basket.regions("CA"), payments=payments, payment_hint=hint,
        terms=Link(label=terms.title.lower(), href=f"/terms/{terms.key}/{terms.version}"),
        terms_version=terms.version, authority=agreements.AUTHORITY, known_person=scene.who is not None,
        ownership=attestations.TEXT if attestations.asked(tx, business=True, now=ports.clock.now()) else "",
        consumers=scene.consumers, asks_residence="residence" in errors or bool(filled.value("residence")),
        price_at_once=filled.wanted is not None and found is None and not errors,
    )  # fmt: skip


def _slip(tx: Tx, scene: Scene, filled: Basket, found: Preview | None, notice: slip.Notice = "") -> PreviewView:
    """The figures beside the form; where there is a choice of how to pay, the button speaks of ordering."""
    if found is None:
        return slip.estimate(tx, filled, _today(tx, scene.ports))
    view = slip.of_preview(tx, scene.ports, found, notice)
    if found.route is Route.AUTOMATIC and len(_payments(tx, scene, found)[0]) > 1:
        view = replace(view, button=f"Order for {view.total}")
    return view


def _payments(tx: Tx, scene: Scene, found: Preview | None) -> tuple[tuple[Option, ...], str]:
    """How this buyer can pay this offer, and what to know about it."""
    by_card = Option(value=PayBy.CARD.value, label="By card")
    hint = "The card is typed on the payment provider's own page, which comes next; it never reaches us."
    if scene.account is None or scene.account.type is not BuyerType.BUSINESS or found is None:
        return (by_card,), hint
    now = scene.ports.clock.now()
    standing = trade_credit.standing(tx, scene.account, _today(tx, scene.ports), now)
    refusal = standing.refusal(Money(found.total_minor, found.currency))
    if refusal is not None:
        return (by_card,), f"{hint} On invoice is not offered: {refusal.detail}"
    days = policy.get(tx, trade_credit.NET_DAYS, now)
    on_invoice = Option(value=PayBy.INVOICE.value, label=f"On invoice, due in {figures.counted(days, 'day', 'days')}")
    return (by_card, on_invoice), f"{hint} An order on invoice needs your PO number and is delivered at once."


def _today(tx: Tx, ports: Ports) -> date:
    return local_date(ports.clock.now(), accounts.seller(tx).time_zone)


def _sold_as(tx: Tx, plan: Plan, interval: str, currency: str, today: date) -> tuple[str, str]:
    """The term and currency asked for, or the nearest in which the plan is sold. Raises NoPrice if there is none."""
    sold = [(row.interval, row.currency) for row in catalog.prices_on(tx, today) if row.plan_id == plan.id]
    if not sold:
        raise NoPrice(f"{plan.name} has no price at present.", param="currency")
    best = min(
        sold,
        key=lambda each: (each[1] != currency, each[0] != interval, each[0] is not Interval.YEAR, each[1] != "USD"),
    )
    return best[0].value, best[1]


def _terms_sold(tx: Tx, plan: Plan, currency: str, today: date) -> tuple[Option, ...]:
    sold = {row.interval for row in catalog.prices_on(tx, today) if (row.plan_id, row.currency) == (plan.id, currency)}
    return tuple(Option(value=name, label=label) for name, label in _TERMS.items() if basket.TERMS[name][0] in sold)


def _addons(tx: Tx, plan: Plan, filled: Basket, today: date) -> tuple[AddOn, ...]:
    offered: Sequence[Plan] = catalog.add_ons_for(catalog.plans_on_sale(tx), plan.sku)
    shown = []
    for each in offered:
        try:
            interval = basket.TERMS.get(filled.value("term"), basket.TERMS["year"])[0]
            row = catalog.price_on(tx, each, filled.value("currency"), interval, today)
        except NoPrice:
            continue  # not sold in this combination
        price = figures.per(row)
        shown.append(AddOn(sku=each.sku, name=each.name, price=price, checked=each.sku in filled.addons))
    return tuple(shown)
