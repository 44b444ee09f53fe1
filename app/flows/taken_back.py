"""What a higher plan gives back of the lower one: the days that are left of what was charged for it (R-PRO-5)."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlmodel import col

from app.catalog import service as catalog
from app.core.db import Tx
from app.core.money import Money
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.crediting import Basis
from app.invoices.models import Invoice, InvoiceState
from app.orders.changes import TakenBack
from app.subscriptions.models import Subscription
from app.subscriptions.periods import Period
from app.subscriptions.proration import credit_for_rest

# https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, read 2026-11-22; no figure, no minimum.


def rest_of(
    tx: Tx, subscription: Subscription, plan_ids: Sequence[str], on: date
) -> tuple[tuple[TakenBack, ...], Money, Money]:
    """What was charged for days from `on` on of lines that end: by invoice line, then its net and with its tax of then.

    Of what was charged, less what was credited of it before: by a goodwill credit, or by a refund.
    """
    none = Money.zero(subscription.currency)
    if not plan_ids:
        return (), none, none
    skus = {each.sku for each in catalog.plans_by_id(tx, plan_ids).values()}
    query = select(Invoice).where(
        col(Invoice.subscription_id) == subscription.id, col(Invoice.supply_to) > on,
        col(Invoice.state).in_([InvoiceState.OPEN, InvoiceState.PAID]),
    ).order_by(col(Invoice.id))  # fmt: skip
    found: list[TakenBack] = []
    credit = none
    for invoice in tx.execute(query).scalars():
        parts = _parts(tx, invoice, credit_notes.basis(tx, invoice), skus, on)
        if parts:
            found += parts
            total = credit_notes.work_out(tx, invoice, [credit_part(each, invoice.currency) for each in parts]).total
            credit += Money(total, invoice.currency)
    return tuple(found), Money(sum(each.net for each in found), subscription.currency), credit


def credit_part(taken: TakenBack, currency: str) -> credit_notes.Part:
    return credit_notes.Part(
        taken.line_id, Money(taken.net, currency), taken.period.start, taken.period.end, taken.share.numerator,
        taken.share.denominator, taken.share.rule,
    )  # fmt: skip


def _parts(tx: Tx, invoice: Invoice, basis: Basis, skus: set[str], on: date) -> list[TakenBack]:
    left = {each.line_id: basis.left_net(each) for each in basis.lines}
    parts = []
    for line in invoices.lines(tx, invoice.id):
        charged = left.get(line.id or 0, 0)
        if line.sku not in skus or line.period_to <= on or not charged:
            continue
        period = Period(line.period_from, line.period_to)
        rest = credit_for_rest(Money(charged, invoice.currency), period, max(on, period.start))
        if rest.amount:
            days = Period(max(on, period.start), period.end)
            parts.append(TakenBack(invoice.id, line.id or 0, -rest.amount.minor, rest.share, days))
    return parts
