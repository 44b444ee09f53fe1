"""The slip beside the checkout's form: what is known of the price so far, then what a stored preview says."""

from datetime import date
from typing import Final, Literal

from app.catalog import service as catalog
from app.catalog.models import Interval
from app.core import policy
from app.core.db import Tx
from app.core.money import Money, total
from app.flows.notify import ANSWER_DAYS
from app.flows.ports import Ports
from app.flows.preview_request import TERM_MONTHS
from app.orders.models import Preview, Route
from app.subscriptions.models import YEAR_MONTHS, Billing
from app.tax import service as tax
from app.web.portal import basket, figures
from app.web.portal.basket import Basket
from app.web.portal.views import PreviewView
from app.web.views import MoneyRow

Notice = Literal["", "changed", "expired"]
_RENEWAL: Final = {
    Interval.YEAR: "It ends after one year. Renewing is your decision; nothing is charged by itself.",
    Interval.MONTH: "It renews every month with the card you pay with, until you say otherwise.",
}
_ROUTES: Final[dict[Route, Literal["automatic", "quote", "review"]]] = {
    Route.AUTOMATIC: "automatic", Route.SALES: "quote", Route.REVIEW: "review",
}  # fmt: skip


def of_preview(tx: Tx, ports: Ports, found: Preview, notice: Notice = "") -> PreviewView:
    """A stored preview as the slip beside the form."""
    interval = Interval(found.inputs["interval"])
    determination = tax.stored(tx, found.tax_determination_id)
    full = str(found.due)
    days = figures.counted(policy.get(tx, ANSWER_DAYS, ports.clock.now()), "day", "days")
    said = {
        Route.AUTOMATIC: "Runs by itself: the license is ready seconds after the payment.",
        Route.SALES: f"Above what runs by itself. The same button asks for a quote; a person answers within {days}.",
        Route.REVIEW: f"A person looks at this order before anything is charged, within {days}.",
    }
    button = {
        Route.AUTOMATIC: f"Pay {full}" if found.due else "Order, paid from your credit",
        Route.SALES: "Request a quote", Route.REVIEW: f"Order for {full}",
    }  # fmt: skip
    return PreviewView(
        preview_id=found.id,
        rows=(*figures.rows(found.lines, determination, interval, found.discount), *figures.own_credit_rows(found)),
        total=full,
        treatment=figures.treatment(determination), route=_ROUTES[found.route], route_sentence=said[found.route],
        reasons=figures.reasons(found), renewal=_renewal(found, interval), expires_at=found.expires_at,
        button=button[found.route], notice=notice,
    )  # fmt: skip


def _renewal(found: Preview, interval: Interval) -> str:
    years = (found.inputs.get("term_months") or 12) // 12
    words = _RENEWAL[interval] if years < 2 else _RENEWAL[interval].replace("one year", f"{years} years")
    if found.committed_minor is None:
        return words
    whole = Money(found.committed_minor, found.currency)
    return (
        f"You are billed at the start of each of {years} years; the whole term comes to {whole} before tax."
        f" {words.replace('nothing is charged by itself', 'no further term is charged by itself')}"
    )


def estimate(tx: Tx, filled: Basket, today: date) -> PreviewView:
    """What is known before the country is: the lines without tax, and what is missing."""
    unknown = (
        "The total with tax appears here." if filled.wanted else "Choose the country; the total with tax appears here."
    )
    missing = next(iter(filled.errors.values()), unknown)
    rows: list[MoneyRow] = []
    if "seats" not in filled.errors and "term" not in filled.errors:
        rows = _net_rows(tx, filled, today)
    return PreviewView(missing=missing, rows=tuple(rows))


def _net_rows(tx: Tx, filled: Basket, today: date) -> list[MoneyRow]:
    seats = int(filled.value("seats").replace(",", "").replace(" ", ""))
    (interval, months, billing), currency = basket.TERMS[filled.value("term")], filled.value("currency")
    billed = YEAR_MONTHS if billing is Billing.YEARLY else months
    plans = [catalog.plan_by_sku(tx, sku) for sku in (filled.value("sku"), *filled.addons)]
    rows, nets = [], []
    for plan in plans:
        row = catalog.price_on(tx, plan, currency, interval, today)
        line = figures.unsaved(row.pricing, seats, billed // TERM_MONTHS[interval][0])
        nets.append(Money(line.net_minor, currency))
        note = figures.how(line, currency, interval.value)
        rows.append(MoneyRow(label=plan.name, amount=str(nets[-1]), note=note))
    net = total(nets, currency)
    return [*rows, MoneyRow(label="Before tax", amount=str(net), kind="subtotal")]
