"""Screening: names that are like listed ones and wait for a person, the lists, and a search in them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.catalog import export_classes
from app.catalog import service as catalog
from app.catalog.models import ExportClass
from app.core import ids, policy
from app.core.db import Tx as Session
from app.flows import rescreening, screening_decisions
from app.flows.ports import Ports
from app.flows.screening_decisions import Reversal
from app.screening import lists, matching, service
from app.screening.matching import Party
from app.screening.models import CaseState, Decision, Role, ScreeningCase, ScreeningVersion
from app.web import auth
from app.web.console import cells
from app.web.console.lists import day
from app.web.console.render import Note, Reader, actor_name, attempt, can, form_for, page, reason
from app.web.console.screening_views import ScreeningView
from app.web.console.views import Action, Cell, DetailView, Related
from app.web.deps import Now, Tx, Wired
from app.web.views import Fact, Form, Link

router = APIRouter()
Reviewer = Annotated[SignedInStaff, Depends(auth.staff(May.ORDERS_REVIEW))]
Overturner = Annotated[SignedInStaff, Depends(auth.staff(May.SCREENING_OVERTURN))]
_PROCEDURE: Final = "screening"
_OVERTURN: Final = "overturn-screening"
_MOST: Final = 200
_LATELY: Final = 20
_LOWEST: Final = 70  # a search shows more than what waits for a person
_SAID: Final[Mapping[Decision, str]] = {
    Decision.CLEAR: "case-cleared", Decision.CONFIRM: "case-confirmed", Decision.OVERTURN: "case-overturned",
    Decision.REOPEN: "case-reopened",
}  # fmt: skip
_DID: Final[Mapping[Decision, str]] = {
    Decision.CLEAR: "Cleared", Decision.CONFIRM: "Confirmed", Decision.OVERTURN: "Overturned",
    Decision.REOPEN: "Opened again",
}  # fmt: skip


@router.get("/console/screening")
def board(
    request: Request, ports: Wired, tx: Tx, now: Now, who: Reader, q: Annotated[str, Query(max_length=200)] = "",
    country: Annotated[str, Query(max_length=2)] = "",
) -> Response:  # fmt: skip
    progress = rescreening.progress(tx)
    days = policy.get(tx, lists.STALE_DAYS, now)
    current = lists.current(tx)
    view = ScreeningView(
        cases=_cases(tx), lists=_lists(tx, current, days, now), decided=_decided(tx), classes=_classes(tx, now),
        progress=f"{progress.done:,} of {progress.total:,} accounts are compared with the newest lists.",
        warnings=_warnings(tx, current, days, now, test=ports.test_mode),
        form=Form(values={"q": q.strip(), "country": country.upper()}),
        found=_found(tx, q.strip(), country.upper(), now) if q.strip() else None,
    )  # fmt: skip
    return page(request, tx, view, who)


def _cases(tx: Session) -> Related:
    found = service.open_cases(tx, _MOST)
    names = _names(tx, found)
    rows = tuple(
        (
            cells.named("screening", each.id, names[each.account_id]), Cell(text=each.party_name),
            Cell(text=each.entry["name"], note=each.entry["source"]), Cell(text=str(each.score), number=True),
            Cell(text="refused at once" if each.exact else "held"), Cell(text=f"{each.due_at:%Y-%m-%d %H:%M} UTC"),
        )
        for each in found
    )  # fmt: skip
    return Related(title="Waiting for a person", columns=("Account", "Name", "Listed", "Likeness", "Orders", "By"),
                   rows=rows)  # fmt: skip


def _names(tx: Session, found: list[ScreeningCase]) -> dict[str, str]:
    query = select(col(Account.id), col(Account.name)).where(col(Account.id).in_([each.account_id for each in found]))
    return dict(tx.execute(query).all())


def _lists(tx: Session, current: list[ScreeningVersion], days: int, now: datetime) -> Related:
    rows = tuple(
        (
            Cell(text=each.list_code.upper(), note=f"{each.sha256[:16]}…"), Cell(text=each.version),
            Cell(state="overdue" if lists.is_stale(each, days, now) else "valid",
                 note=f"{(now - each.imported_at).days} days old"),
            day(each.imported_at), Cell(text=actor_name(tx, each.imported_by)),
            Cell(text=f"{each.entries:,}", number=True,
                 note=f"{each.added:,} added, {each.changed:,} changed, {each.removed:,} removed"),
        )
        for each in current
    )  # fmt: skip
    return Related(title="Lists", columns=("List", "Version", "State", "Imported", "By", "Entries"), rows=rows)


def _warnings(tx: Session, current: list[ScreeningVersion], days: int, now: datetime, *, test: bool) -> tuple[str, ...]:
    found = [
        f"The list {each.list_code.upper()} is {(now - each.imported_at).days} days old: import it again."
        for each in current
        if lists.is_stale(each, days, now)
    ]
    found += [f"The list {each.upper()} is required and missing or too old: every order is held."
              for each in lists.missing(tx, now, test=test)]  # fmt: skip
    return tuple(found or (["No list was ever imported: nobody is screened."] if not current else []))


def _decided(tx: Session) -> Related:
    query = select(ScreeningCase).where(col(ScreeningCase.state) != CaseState.OPEN)
    found = list(tx.execute(query.order_by(col(ScreeningCase.decided_at).desc()).limit(_LATELY)).scalars())
    names = _names(tx, found)
    rows = tuple(
        (
            cells.named("screening", each.id, names[each.account_id]), Cell(state=str(each.state)),
            Cell(text=each.entry["name"], note=each.entry["source"]), day(each.decided_at),
            Cell(text=actor_name(tx, each.decided_by), note=each.reason),
        )
        for each in found
    )  # fmt: skip
    return Related(title="Decided lately", columns=("Account", "State", "Listed", "On", "By"), rows=rows)


def _classes(tx: Session, now: datetime) -> Related:
    """What is on sale, with its classification of today; it comes from the catalog file."""
    plans = catalog.plans_on_sale(tx)
    found = export_classes.of_skus(tx, [plan.sku for plan in plans], on=now.date(), known_at=now)
    rows = tuple(
        (Cell(text=plan.name, note=plan.sku), *_class_cells(found.get(plan.sku)))
        for plan in plans
    )  # fmt: skip
    columns = ("Plan", "ECCN", "Authorisation", "CCATS", "Since")
    return Related(title="Export classification", columns=columns, rows=rows)


def _class_cells(row: ExportClass | None) -> tuple[Cell, ...]:
    if row is None:
        return (Cell(text="not classified"), Cell(text=""), Cell(text=""), Cell(text=""))
    return (
        Cell(text=row.eccn, mono=True), Cell(text=row.authorisation), Cell(text=row.ccats, mono=True),
        Cell(text=str(row.valid_from)),
    )  # fmt: skip


def _found(tx: Session, asked: str, country: str, now: datetime) -> Related:
    """What the lists have for a name. Nothing is recorded: this is a look, and no screening."""
    party = Party(Role.COMPANY, asked, country)
    review = policy.get(tx, matching.REVIEW_SCORE, now)
    rows = tuple(
        (
            Cell(text=hit.entry.name, note="; ".join(hit.entry.alt_names[:5])),
            Cell(text=hit.entry.list_code.upper(), note=hit.entry.source),
            Cell(text=hit.entry.type, note=", ".join(hit.entry.programs)), Cell(text=", ".join(hit.entry.countries)),
            Cell(text=str(hit.score), number=True),
            Cell(text="refused" if hit.exact else "held" if hit.score >= review else "goes on"),
        )
        for hit in matching.find(tx, [party], at_least=min(_LOWEST, review), on=now.date())[:_MOST]
    )  # fmt: skip
    return Related(title=f"Listed names like “{asked}”", rows=rows,
                   columns=("Listed", "List", "Kind", "Countries", "Likeness", "An order"))  # fmt: skip


@router.get("/console/screening/{case_id}")
def one(request: Request, tx: Tx, who: Reader, case_id: str) -> Response:
    return _show(request, tx, who, case_id, Form(), 200)


@router.post("/console/screening/{case_id}/clear")
def clear(request: Request, ports: Wired, who: Reviewer, case_id: str, note: Note = "") -> Response:
    """Another party than the listed one, or one that may be sold to: its orders go on."""
    return _decide(request, ports, who, case_id, Decision.CLEAR, note)


@router.post("/console/screening/{case_id}/confirm")
def confirm(request: Request, ports: Wired, who: Reviewer, case_id: str, note: Note = "") -> Response:
    """The listed party: nothing is sold or delivered to it any more."""
    return _decide(request, ports, who, case_id, Decision.CONFIRM, note)


@router.post("/console/screening/{case_id}/overturn")
def overturn(request: Request, ports: Wired, who: Overturner, case_id: str, note: Note = "") -> Response:
    """Confirmed, and somebody else after all: what was suspended because of it is given back."""
    return _decide(request, ports, who, case_id, Decision.OVERTURN, note)


@router.post("/console/screening/{case_id}/reopen")
def reopen(request: Request, ports: Wired, who: Reviewer, case_id: str, note: Note = "") -> Response:
    """Cleared, and in doubt again: what is ordered from now on waits."""
    return _decide(request, ports, who, case_id, Decision.REOPEN, note)


def _decide(
    request: Request, ports: Ports, who: SignedInStaff, case_id: str, decision: Decision, note: str
) -> Response:  # fmt: skip
    ids.require_form("scr", case_id)

    def deed() -> None:
        screening_decisions.decide(ports, case_id, decision, by=who.staff_id, reason=reason(note))

    return attempt(ports, decision, {"note": note}, deed, _again(request, who, case_id),
                   to=f"/console/screening/{case_id}", done=_SAID[decision])  # fmt: skip


def _again(request: Request, who: SignedInStaff, case_id: str) -> Callable[[Session, Form, int], Response]:
    def show(tx: Session, form: Form, status: int) -> Response:
        return _show(request, tx, who, case_id, form, status)

    return show


def _show(request: Request, tx: Session, who: SignedInStaff, case_id: str, form: Form, status: int) -> Response:
    case = service.get(tx, ids.require_form("scr", case_id))
    account = tx.get_one(Account, case.account_id)
    view = DetailView(
        kind="screening", id=case.id, title=f"{case.party_name} and {case.entry['name']}", state=str(case.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"), facts=_facts(tx, case, account),
        actions=_actions(tx, case, who, form), procedure=_PROCEDURE, form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _facts(tx: Session, case: ScreeningCase, account: Account) -> tuple[Fact, ...]:
    listed, version = case.entry, tx.get_one(ScreeningVersion, case.version_id)
    where = ", ".join(part for part in (account.line1, account.postcode, account.city, account.country) if part)
    exact = ", the same name in a listed country" if case.exact else ""
    facts = [
        Fact(name="Likeness", value=f"{case.score} of 100{exact}"),
        Fact(name="The customer's", value=f"{case.party_name} ({case.role}, {case.country})"),
        Fact(name="Address", value=where),
        Fact(name="Compared as", value=case.normalized, mono=True),
        Fact(name="Listed as", value=listed["name"]),
        Fact(name="Also", value="; ".join(listed["alt_names"]) or "no other name"),
        Fact(name="Kind", value=listed["type"] or "not said"),
        Fact(name="Countries", value=", ".join(listed["countries"]) or "none"),
        Fact(name="Programs", value=", ".join(listed["programs"]) or "none"),
        Fact(name="List", value=f"{listed['list'].upper()}, {listed['source']} {listed['entity_number']}".rstrip()),
        Fact(name="Version", value=f"{version.version}, imported {version.imported_at:%Y-%m-%d %H:%M} UTC"),
        Fact(name="Read more", value=listed["url"] or "no address given"),
        Fact(name="Waiting since", value=f"{case.opened_at:%Y-%m-%d %H:%M} UTC, until {case.due_at:%Y-%m-%d %H:%M}"),
    ]  # fmt: skip
    facts += [
        Fact(name=_DID[each.decision],
             value=f"{each.decided_at:%Y-%m-%d %H:%M} UTC by {actor_name(tx, each.decided_by)}: {each.reason}")
        for each in service.decisions_of(tx, case.id)
    ]  # fmt: skip
    return tuple(facts)


def _actions(tx: Session, case: ScreeningCase, who: SignedInStaff, form: Form) -> tuple[Action, ...]:
    here = f"/console/screening/{case.id}"
    match case.state:
        case CaseState.OPEN if can(who, May.ORDERS_REVIEW):
            return _decisions(here, form)
        case CaseState.CONFIRMED if can(who, May.SCREENING_OVERTURN):
            return (
                Action(
                    name="overturn", title="It is somebody else after all", button="Overturn it", tone="danger",
                    href=f"{here}/overturn", procedure=_OVERTURN, form=form_for("overturn", form),
                    hint=f"Say what was found out since. {foretold(screening_decisions.reversal_of(tx, case))}",
                ),
            )  # fmt: skip
        case CaseState.CLEARED if can(who, May.ORDERS_REVIEW):
            return (
                Action(
                    name="reopen", title="It is in doubt again", button="Open it again", href=f"{here}/reopen",
                    procedure=_OVERTURN, form=form_for("reopen", form),
                    hint="Say what was found out since. New orders wait until it is decided; what is paid, delivered"
                    " or waits for its payment goes on.",
                ),
            )  # fmt: skip
        case _:
            return ()


def foretold(found: Reversal) -> str:
    """What overturning does and does not do, before anybody presses the button."""
    if found.also_confirmed:
        return (f"Nothing is given back yet: {_many(found.also_confirmed, 'other case')} of this account"
                " stands confirmed.")  # fmt: skip
    living = found.subscriptions - found.over
    gives = [
        f"{_many(living, 'subscription')} to the billing run, which bills the terms that ended meanwhile",
        "downloads and workspaces at once", _many(found.licenses, "withheld full license"),
    ]  # fmt: skip
    stays = [
        f"{_many(found.orders, 'order')} given up since the decision: the customer orders anew",
        f"{_many(found.over, 'subscription')} that ended",
        f"{_many(found.payments, 'payment')} set aside, for finance to give back or to match",
        "what was refunded or revoked",
    ]  # fmt: skip
    return f"It gives back {_listed(gives)}. It does not bring back {_listed(stays)}."


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count or 'no'} {noun}s"


def _listed(parts: list[str]) -> str:
    said = [each for each in parts if not each.startswith("no ")]
    return said[0] if len(said) == 1 else f"{'; '.join(said[:-1])}; and {said[-1]}"


def _decisions(here: str, form: Form) -> tuple[Action, ...]:
    return (
        Action(
            name="clear", title="It is somebody else", button="Clear it", tone="primary", href=f"{here}/clear",
            procedure=_PROCEDURE, form=form_for("clear", form),
            hint="What tells them apart: address, birth date, register. It is remembered until the entry changes.",
        ),
        Action(
            name="confirm", title="It is the listed party", button="Confirm it", tone="danger", href=f"{here}/confirm",
            procedure=_PROCEDURE, form=form_for("confirm", form),
            hint="Its orders are given up for good, nothing more is delivered, and its subscriptions wait. Overturned"
            " later, the subscriptions go on; the orders do not.",
        ),
    )  # fmt: skip
