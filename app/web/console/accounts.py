"""Customers: the list, and one with everything that belongs to it and everything that happened."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import Select, func, or_, select, union
from sqlmodel import col
from starlette.responses import Response

from app.accounts import service
from app.accounts.models import Account, AccountTaxId, Member
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.agreements import contracts
from app.core import ids
from app.core.db import Tx as Session
from app.core.i18n import locale_of
from app.invoices.models import Invoice
from app.licenses.models import License, LicenseState
from app.licenses.usage_models import UsageReport
from app.orders.models import Order
from app.subscriptions.models import Subscription, SubscriptionState
from app.web import together, usage_shown
from app.web.console import attestation, cells, lists, standing, subscriptions, tax_ids, timeline
from app.web.console.render import Reader, can, page
from app.web.console.views import AccountView, Cell, Figure, ListView, Related, UsageOf
from app.web.deps import Tx, ports_of
from app.web.views import Fact, Form, Link, Pages
from app.workspaces.models import Workspace

router = APIRouter()
_SHOWN = 5
_PLOTTED = 3


def found_by(q: str) -> Select[Any]:
    """Accounts by id, name, address, domain of an address, or by what belongs to them; all of them without `q`.

    Each place to look is asked through its own index, and a union puts the answers together: one condition over all of
    them would read every account. One or two letters are looked for at the beginning, where an index still helps.
    """
    if not q:
        return select(Account)
    literal = q.replace("/", "//").replace("%", "/%").replace("_", "/_")
    pattern = f"%{literal}%" if len(q) > 2 else f"{literal}%"
    places: tuple[tuple[Any, Any], ...] = (
        (Account.id, col(Account.id) == q),
        (Account.id, or_(*(col(each).ilike(pattern, escape="/") for each in (Account.name, Account.email)))),
        (Member.account_id, or_(*(col(each).ilike(pattern, escape="/") for each in (Member.name, Member.email)))),
        (Invoice.account_id, col(Invoice.number) == q),
        (Order.account_id, or_(col(Order.id) == q, col(Order.po_number) == q)),
        (License.account_id, or_(col(License.id) == q, col(License.file_id) == q)),
        (AccountTaxId.account_id, col(AccountTaxId.value) == q),
    )
    return select(Account).where(col(Account.id).in_(union(*(select(whose).where(which) for whose, which in places))))


@router.get("/console/accounts")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    found = lists.window(tx, found_by(wanted.q), col(Account.id), wanted, "accounts")
    view = ListView(
        kind="accounts", columns=("Account", "E-mail", "Country", "Since"),
        rows=tuple(account_row(each) for (each,) in found.rows), form=wanted.form, pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


def account_row(account: Account) -> cells.Row:
    return (
        Cell(text=account.name, href=f"/console/accounts/{account.id}"), Cell(text=account.email),
        Cell(text=_country(account.country)), lists.day(account.created_at),
    )  # fmt: skip


def _country(code: str) -> str:
    return str(locale_of("en").territories.get(code, code))


@router.get("/console/accounts/{account_id}")
def one(
    request: Request, tx: Tx, who: Reader, account_id: str, events: Annotated[int, Query(ge=0, le=10_000)] = 0
) -> Response:
    """`events` is the page of the timeline, from 0."""
    return show(request, tx, who, account_id, Form(), 200, events)


def show(
    request: Request, tx: Session, who: SignedInStaff, account_id: str, form: Form, status: int, events: int = 0
) -> Response:
    ports = ports_of(request)
    account = service.get(tx, ids.require_form("acc", account_id))
    here = f"/console/accounts/{account.id}"
    happened, numbers = timeline.of_account(tx, account.id, events), tax_ids.of(tx, account.id)
    view = AccountView(
        account_id=account.id, name=account.name, state=_state(tx, account.id),
        facts=(*_facts(account), *standing.facts(tx, ports, account),
               *attestation.facts(tx, account, ports.clock.now())),
        actions=(*standing.actions(tx, account, who, form), *tax_ids.actions(numbers, account.id, who, form),
                 *attestation.actions(account, who, form)),
        form=form, figures=_figures(tx, account.id), related=_related(tx, account, numbers), timeline=happened.events,
        agreement=_agreement(tx, account.id, ports.clock.now()), agreements_href=f"{here}/agreements",
        together=together.panel(tx, account.id, account.time_zone, ports.clock.now(),
                                license_href="/console/licenses/", who="the account"),
        usage=_usage(tx, account.id), merged_href=f"/console/merged-licenses?q={account.id}",
        quote_href=f"/console/quotes/new?account={account.id}" if can(who, May.QUOTES_WRITE) else "",
        pages=Pages(
            newer=f"{here}?events={events - 1}#timeline" if events else "",
            older=f"{here}?events={events + 1}#timeline" if happened.further else "",
        ),
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _usage(tx: Session, account_id: str) -> tuple[UsageOf, ...]:
    """Seats used against seats bought, of the subscriptions that were reported on last."""
    last = func.max(col(UsageReport.id))
    of = col(UsageReport.subscription_id)
    newest = select(of).where(col(UsageReport.account_id) == account_id).group_by(of).order_by(last.desc())
    plans = cells.plan_names(tx)
    held = [tx.get_one(Subscription, each) for each in tx.execute(newest.limit(_PLOTTED)).scalars()]
    return tuple(
        UsageOf(
            subscription=Link(label=plans[each.plan_id], href=f"/console/subscriptions/{each.id}"),
            shown=usage_shown.of_subscription(tx, each.id),
        )
        for each in held
    )  # fmt: skip


def _agreement(tx: Session, account_id: str, now: datetime) -> str:
    """What applies apart from the terms of sale, until when."""
    found = contracts.in_force(tx, account_id, now)
    if found is None:
        return ""
    until = f" until {found.effective_to - timedelta(days=1)}" if found.effective_to else ""
    return f"“{found.title}” applies{until}: orders of this account come to sales."


def _state(tx: Session, account_id: str) -> str:
    """The best that its subscriptions are in; empty for an account without any."""
    states = set(
        tx.execute(select(col(Subscription.state)).where(col(Subscription.account_id) == account_id)).scalars()
    )
    order = ("active", "trialing", "past_due", "lapsed", "canceled", "expired")
    return next((name for name in order if SubscriptionState(name) in states), "")


def _facts(account: Account) -> tuple[Fact, ...]:
    place = ", ".join(
        part for part in (account.line1, account.line2, f"{account.postcode} {account.city}", account.region) if part
    )
    return (
        Fact(name="Kind", value=str(account.type).capitalize()),
        Fact(name="E-mail", value=account.email),
        Fact(name="Address", value=f"{place}, {_country(account.country)}"),
        Fact(name="Language, time zone", value=f"{account.locale}, {account.time_zone}"),
        Fact(name="Customer since", value=f"{account.created_at:%Y-%m-%d}"),
    )


def _count(tx: Session, table: Any, account_id: str, *where: Any) -> int:
    query = select(func.count()).select_from(table).where(col(table.account_id) == account_id, *where)
    return tx.execute(query).scalar_one()


def _figures(tx: Session, account_id: str) -> tuple[Figure, ...]:
    recurring = subscriptions.annual(tx, account_id)
    seats = tx.execute(
        select(func.coalesce(func.sum(col(License.seats)), 0)).where(
            col(License.account_id) == account_id, col(License.state) == LicenseState.ACTIVE
        )
    ).scalar_one()
    return (
        Figure(name="A year", value=", ".join(str(each) for each in recurring.values()) or "0",
               why="from what runs now, before tax"),
        Figure(name="Seats", value=f"{seats:,}", why="on active licenses"),
        Figure(name="Orders", value=str(_count(tx, Order, account_id)), href=f"/console/orders?q={account_id}"),
        Figure(name="Invoices", value=str(_count(tx, Invoice, account_id)), href=f"/console/invoices?q={account_id}"),
    )  # fmt: skip


def _newest(tx: Session, table: Any, account_id: str) -> list[Any]:
    query = select(table).where(col(table.account_id) == account_id).order_by(col(table.id).desc()).limit(_SHOWN)
    return list(tx.execute(query).scalars())


def _related(tx: Session, account: Account, numbers: list[AccountTaxId]) -> tuple[Related, ...]:
    plans, these = cells.plan_names(tx), account.id
    workspaces = _newest(tx, Workspace, these)
    return (
        _people(tx, these),
        *((tax_ids.table(tx, numbers),) if numbers else ()),
        cells.subscriptions(_newest(tx, Subscription, these), plans, f"/console/subscriptions?q={these}"),
        cells.licenses(_newest(tx, License, these), plans, f"/console/licenses?q={these}"),
        cells.invoices(_newest(tx, Invoice, these), f"/console/invoices?q={these}"),
        cells.orders(_newest(tx, Order, these), f"/console/orders?q={these}"),
        *((cells.workspaces(workspaces, f"/console/workspaces?q={these}"),) if workspaces else ()),
    )


def _people(tx: Session, account_id: str) -> Related:
    query = select(Member).where(col(Member.account_id) == account_id).order_by(col(Member.created_at))
    rows = tuple(
        (
            Cell(text=each.name), Cell(text=each.email), Cell(text=str(each.role).replace("_", " ").capitalize()),
            Cell(text=f"removed {each.removed_at:%Y-%m-%d}" if each.removed_at else ""), lists.day(each.created_at),
        )
        for each in tx.execute(query).scalars()
    )  # fmt: skip
    return Related(title="People", columns=("Name", "E-mail", "Role", "", "Since"), rows=rows)
