"""Trials: how many run, how many were bought, and another one for a server that has had its own."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from fastapi import APIRouter, Form, Request
from sqlalchemy import Select, or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.catalog.models import Plan
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import Invalid
from app.flows import trial as flow
from app.licenses import service as licenses
from app.licenses import trials
from app.licenses.models import License
from app.licenses.trial_models import Trial, TrialDoor, TrialState
from app.licenses.trials import Month
from app.web.console import cells, lists
from app.web.console.licenses import Keeper
from app.web.console.render import Note, Reader, attempt, can, form_for, page, reason
from app.web.console.views import Action, Cell, DetailView, Figure, Input
from app.web.deps import Now, Tx, Wired
from app.web.views import Bar, Fact, Link, Option, Pages
from app.web.views import Form as FormView

router = APIRouter()
AT: Final = "/console/trials"
COLUMNS: Final = ("Trial", "Plan", "People", "State", "Started", "Ends")
_PLOTTED_DAYS: Final = 365
_DOORS: Final = {
    TrialDoor.SERVER: "The server asked", TrialDoor.PORTAL: "The portal's form", TrialDoor.STAFF: "Given by staff",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrialsView:
    """`/console/trials`. The filter (GET) sends q and state; `rates` are percent bought, by month of the start, where
    there are several to compare.
    """

    template: ClassVar[str] = "console/trials.html"
    section: ClassVar[str] = "trials"
    figures: tuple[Figure, ...]
    rates: tuple[Bar, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    form: FormView
    states: tuple[Option, ...]
    pages: Pages


def found_by(q: str) -> Select[Trial, str]:
    """Trials with their plans, by server, id, address, domain of an address, company or account; all without `q`."""
    query = select(Trial, col(License.plan_id)).join(License, col(License.id) == col(Trial.license_id))
    if not q:
        return query
    return query.where(
        or_(
            col(Trial.server_id) == q, col(Trial.id) == q, col(Trial.email) == q.lower(),
            col(Trial.email_domain) == q.lower(), col(Trial.company).icontains(q, autoescape=True),
            col(Trial.account_id) == q,
        )
    )  # fmt: skip


def row(each: Trial, plan: str) -> cells.Row:
    return (
        cells.named("trials", each.id, each.company), Cell(text=plan), Cell(text=f"{each.users:,}", number=True),
        Cell(state=each.state.value), lists.day(each.started_at), lists.day(each.ends_at),
    )  # fmt: skip


@router.get(AT)
def listed(request: Request, tx: Tx, now: Now, who: Reader, wanted: lists.Filter) -> Response:
    query = found_by(wanted.q)
    if state := lists.one_of(TrialState, wanted.state):
        query = query.where(col(Trial.state) == state)
    found, plans = lists.window(tx, query, col(Trial.id), wanted, "trials"), cells.plan_names(tx)
    months = trials.by_month(tx, now - timedelta(days=_PLOTTED_DAYS))
    view = TrialsView(
        figures=_figures(months), rates=tuple(_bar(each) for each in months) if len(months) > 1 else (),
        columns=COLUMNS, rows=tuple(row(each, plans[plan_id]) for each, plan_id in found.rows),
        form=wanted.form, states=lists.options(TrialState), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


def _figures(months: list[Month]) -> tuple[Figure, ...]:
    started, bought = sum(each.started for each in months), sum(each.converted for each in months)
    return (
        Figure(name="Started in a year", value=f"{started:,}"),
        Figure(name="Bought of these", value=f"{bought:,}", why=f"{_percent(started, bought)} %"),
    )


def _bar(month: Month) -> Bar:
    rate = _percent(month.started, month.converted)
    return Bar(label=month.name, value=rate, text=f"{rate} % of {month.started:,}")


def _percent(started: int, bought: int) -> int:
    return (200 * bought + started) // (2 * started) if started else 0


@router.get(AT + "/{trial_id}")
def one(request: Request, tx: Tx, who: Reader, trial_id: str) -> Response:
    return _show(request, tx, who, trial_id, FormView(), 200)


@router.post(AT + "/{trial_id}/again")
def again(
    request: Request, ports: Wired, who: Keeper, trial_id: str, days: Annotated[str, Form()] = "",
    note: Note = "",
) -> Response:  # fmt: skip
    """Another trial for the same server, mailed to the same person."""
    ids.require_form("trl", trial_id)
    with ports.db.session() as tx:
        trials.get(tx, trial_id)

    def deed() -> None:
        if not (days.isascii() and days.isdigit() and len(days) <= 3):
            raise Invalid("Give whole days, such as 14.", param="days")
        flow.give_another(ports, trial_id, days=int(days), reason=reason(note), by=who.staff_id)

    def shown(tx: Session, form: FormView, status: int) -> Response:
        return _show(request, tx, who, trial_id, form, status)

    return attempt(ports, "again", {"days": days, "note": note}, deed, shown, to=f"{AT}/{trial_id}", done="trial-given")


def _show(request: Request, tx: Session, who: SignedInStaff, trial_id: str, form: FormView, status: int) -> Response:
    found = trials.get(tx, ids.require_form("trl", trial_id))
    license_ = licenses.get(tx, found.license_id)
    plan, account = tx.get_one(Plan, license_.plan_id), tx.get_one(Account, found.account_id)
    actions = _actions(tx, found, who, form)
    view = DetailView(
        kind="trials", id=found.id, title=f"{plan.name} for {found.company}", state=found.state.value,
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"), facts=_facts(found, license_),
        actions=actions, procedure="" if actions else "trials",
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _facts(found: Trial, license_: License) -> tuple[Fact, ...]:
    facts = [
        Fact(name="License", value=license_.id, href=f"/console/licenses/{license_.id}", mono=True),
        Fact(name="Server", value=found.server_id, mono=True),
        Fact(name="Asked by", value=f"{found.person_name}, {found.email}, {found.country}"),
        Fact(name="People", value=f"{found.users:,} of {found.users_asked:,} asked for"),
        Fact(name="Runs", value=f"{found.started_at:%Y-%m-%d} to {found.ends_at:%Y-%m-%d}"),
        Fact(name="Came by", value=_DOORS[found.door]),
    ]
    if found.site_url or found.server_version:
        facts.append(Fact(name="Site", value=f"{found.site_name} {found.site_url} {found.server_version}".strip()))
    if found.reason:
        facts.append(Fact(name="Given because", value=found.reason))
    if found.order_id:
        facts.append(Fact(name="Order", value=found.order_id, href=f"/console/orders/{found.order_id}", mono=True))
    return tuple(facts)


def _actions(tx: Session, found: Trial, who: SignedInStaff, form: FormView) -> tuple[Action, ...]:
    newest = trials.newest_on(tx, found.server_id)
    if newest.state is not TrialState.EXPIRED or not can(who, May.LICENSES_WRITE):
        return ()
    return (
        Action(
            name="again", title="Give another trial", button="Give the trial", procedure="trials",
            href=f"{AT}/{found.id}/again",
            hint="The server takes another trial of up to 29 days, or of 32 and more. It is mailed at once.",
            inputs=(Input(name="days", label="Days", hint="1 to 29, or 32 to 180."),), form=form_for("again", form),
        ),
    )  # fmt: skip
