"""The page of one subscription, put together for the doors that answer with it."""

from datetime import date, datetime, timedelta
from typing import Final

from fastapi import Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.catalog import service as catalog
from app.core import policy
from app.core.clock import local_date, start_of
from app.core.db import Tx as Unit
from app.core.money import Money, total
from app.flows import dunning
from app.flows.dunning import Standing
from app.flows.ports import Ports
from app.flows.renewal import OPENS_DAYS, OPENS_DAYS_SHORT
from app.licenses import service as licenses
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState, TermKind
from app.web import pages
from app.web.portal import changing_view, figures
from app.web.portal.render import account_page
from app.web.portal.subscription_views import SeatChangeView, SubscriptionRow, SubscriptionView
from app.web.views import Fact, Step

RUNNING: Final = frozenset({SubscriptionState.TRIALING, SubscriptionState.ACTIVE})
OVER: Final = frozenset({SubscriptionState.CANCELED, SubscriptionState.EXPIRED})
_ENGLISH: Final = pages.English()
_PER: Final = {1: "a month", 12: "a year", 24: "for two years", 36: "for three years"}  # by months of the term
_TERMS: Final = {TermKind.PURCHASE: "Bought", TermKind.RENEWAL: "Renewed", TermKind.INSTALMENT: "Next year"}


def opens_on(tx: Unit, held: Subscription, today: date) -> date:
    """The first day on which a term can be renewed by hand (R-SUB-2)."""
    kind = OPENS_DAYS if held.term_months >= 12 else OPENS_DAYS_SHORT
    return held.ends_on - timedelta(days=policy.get(tx, kind, start_of(today, held.time_zone)))


def renewal_words(tx: Unit, held: Subscription, today: date) -> str:
    """How a term goes on."""
    if held.state in OVER:
        return "It has ended."
    if held.not_renewing_at is not None:
        return f"Ends with {_last(held.ends_on)}, as you wished"
    if held.state is SubscriptionState.PAST_DUE:
        return "The payment of the next term is being collected"
    if held.auto_renew:
        return f"Renews by itself on {_ENGLISH.day(held.ends_on)}"
    opening = opens_on(tx, held, today)
    return "The renewal is open" if today >= opening else f"Renewal opens on {_ENGLISH.day(opening)}"


def shown(
    request: Request, ports: Ports, who: SignedInCustomer, held: Subscription, *,
    seat_change: SeatChangeView | None = None, said: str = "", status: int = 200,
) -> Response:  # fmt: skip
    """The page; `seat_change` with what was asked for, where something was."""
    with ports.db.transaction() as tx:
        today = today_of(tx, who, ports.clock.now())
        issued = licenses.of_subscription(tx, held.id)
        renewable = held.state not in OVER and today >= opens_on(tx, held, today)
        path, writes = f"/account/subscriptions/{held.id}", may(who.role, Permission.SUBSCRIPTIONS_WRITE)
        owed = dunning.standing_of_subscription(tx, held.id)
        running = held.state in RUNNING
        waits, withdraw_href = changing_view.scheduled_words(tx, held)
        change = seat_change
        if change is None and running and writes:
            change = changing_view.section(tx, ports, held)
        view = SubscriptionView(
            subscription=row(tx, held, today), facts=_facts(tx, held, today), seat_change=change,
            history=tuple(
                Step(
                    label=f"{_TERMS[each.kind]}: {_ENGLISH.day(each.starts_on)} to {_last(each.ends_on)}", state="done"
                )
                for each in reversed(subscriptions.terms(tx, held.id))
            ),
            renew_href=f"{path}/renew" if renewable and writes and owed is None else "",
            warning=_warning(tx, owed, today) if owed is not None else "",
            pay_href=dunning.card_link(ports, owed.run.id) if owed is not None else "",
            auto_renew=held.auto_renew, auto_renew_href=f"{path}/auto-renew" if running and writes else "",
            cancel_href=f"{path}/cancel" if held.state not in OVER and held.not_renewing_at is None and writes else "",
            cancel_note=_cancel_note(held), said=held.not_renewing_reason or "",
            resume_href=f"{path}/resume" if running and held.not_renewing_at is not None and writes else "",
            scheduled=waits, withdraw_href=withdraw_href if writes else "",
            pending=changing_view.pending(tx, ports, held) if writes else None,
            license_href=f"/account/licenses/{issued[0].id}" if issued else "",
        )  # fmt: skip
        return account_page(request, tx, view, who, status=status, said=said)


def _warning(tx: Unit, owed: Standing, today: date) -> str:
    """What failed, and what happens when."""
    zone = subscriptions.get(tx, owed.owing[0].subscription_id).time_zone
    told = [f"The payment of {owed.total} did not go through. Nothing is switched off while we collect it."]
    if owed.run.needs_card:
        told.append("The bank will not accept this card again; please pay with another one.")
    elif owed.next_try_at is not None:
        told.append(f"We try again on {_ENGLISH.day(max(local_date(owed.next_try_at, zone), today))}.")
    if owed.last_try_at is not None:
        told.append(f"Without a payment it ends on {_ENGLISH.day(local_date(owed.last_try_at, zone))}.")
    return " ".join(told)


def _cancel_note(held: Subscription) -> str:
    if held.not_renewing_at is not None:
        return f"It ends with {_last(held.ends_on)}. Until then everything works and this can be taken back."
    if held.state in RUNNING:
        return f"It keeps running until {_last(held.ends_on)}. You can take this back until then."
    return "Its term is over, so it would end at once. Nothing is owed."


def today_of(tx: Unit, who: SignedInCustomer, now: datetime) -> date:
    return local_date(now, accounts.get(tx, who.account_id).time_zone)


def _last(ends_on: date) -> str:
    return _ENGLISH.day(ends_on - timedelta(days=1))


def row(tx: Unit, held: Subscription, today: date) -> SubscriptionRow:
    lines = sorted(subscriptions.lines(tx, held.id), key=lambda line: line.plan_id != held.plan_id)
    net = total([Money(line.net_minor, held.currency) for line in lines], held.currency)
    return SubscriptionRow(
        subscription_id=held.id, plan=catalog.plans_by_id(tx, [held.plan_id])[held.plan_id].name,
        state=held.state.value, seats=lines[0].quantity, starts=held.starts_on,
        until=held.ends_on - timedelta(days=1), renewal=renewal_words(tx, held, today),
        price=f"{net} {_PER[held.billed_months]}", href=f"/account/subscriptions/{held.id}",
    )  # fmt: skip


def _billed(held: Subscription) -> tuple[Fact, ...]:
    """When the next year of a term is billed."""
    if held.billed_until is None or held.billed_until >= held.ends_on:
        return ()
    return (Fact(name="Billed yearly", value=f"next on {_ENGLISH.day(held.billed_until)}"),)


def _facts(tx: Unit, held: Subscription, today: date) -> tuple[Fact, ...]:
    facts = [
        Fact(
            name=line.description,
            value=figures.how(line, held.currency, held.interval) + ", before tax",
        )
        for line in subscriptions.lines(tx, held.id)
    ]
    grace = figures.counted(held.grace_days, "day", "days")
    return (
        *facts,
        *_billed(held),
        Fact(name="Renewal", value=renewal_words(tx, held, today)),
        Fact(name="After the end", value=f"It keeps working for {grace}."),
        Fact(name="Contact", value=f"{held.contact_name}, {held.contact_email}"),
        Fact(name="Subscription", value=held.id, mono=True),
    )
