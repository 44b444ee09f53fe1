"""Merged licenses: every file that states several licenses of an account in sum, and of what it was made (R-LIC-3)."""

from datetime import datetime

from fastapi import APIRouter, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import NotFound
from app.licenses.models import LicenseState, MergedLicense
from app.web.console import cells, lists
from app.web.console.render import Reader, page
from app.web.console.views import Cell, DetailView, ListView, Related
from app.web.deps import Tx
from app.web.views import Fact, Link

router = APIRouter()
_KIND = "merged-licenses"


@router.get("/console/merged-licenses")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = select(MergedLicense, col(Account.name)).join(Account, col(Account.id) == col(MergedLicense.account_id))
    if wanted.q:
        query = query.where(
            or_(
                col(MergedLicense.id) == wanted.q, col(MergedLicense.file_id) == wanted.q,
                col(MergedLicense.account_id) == wanted.q, col(MergedLicense.server) == wanted.q,
                col(Account.name).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if state := lists.one_of(LicenseState, wanted.state):
        query = query.where(col(MergedLicense.state) == state)
    found = lists.window(tx, query, col(MergedLicense.id), wanted, _KIND)
    view = ListView(
        kind="merged-licenses", columns=("Merged license", "Server", "Plan", "Licenses", "Seats", "State", "Ends"),
        rows=tuple(_row(each, name) for each, name in found.rows), form=wanted.form,
        states=tuple(each for each in lists.options(LicenseState) if each.value != LicenseState.SUSPENDED),
        pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


def _row(each: MergedLicense, account: str) -> cells.Row:
    return (
        cells.named(_KIND, each.id, account), Cell(text=each.server or "any"), Cell(text=each.plan),
        Cell(text=f"{len(each.sources):,}", number=True), Cell(text=f"{each.seats:,}", number=True),
        Cell(state=str(each.state)), lists.day(each.expires_at),
    )  # fmt: skip


@router.get("/console/merged-licenses/{merged_id}")
def one(request: Request, tx: Tx, who: Reader, merged_id: str) -> Response:
    """What it states, its licenses, and the files for the same server before and after it."""
    found = tx.get(MergedLicense, ids.require_form("mrg", merged_id))
    if found is None:
        raise NotFound("There is no such merged license.")
    account = tx.get_one(Account, found.account_id)
    view = DetailView(
        kind="merged-licenses", id=found.id, title=f"{found.plan} of {account.name}, together", state=str(found.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"), facts=_facts(found),
        related=(_sources(found), _others(tx, found)),
    )  # fmt: skip
    return page(request, tx, view, who)


def _facts(found: MergedLicense) -> tuple[Fact, ...]:
    names = ", ".join(name.replace("_", " ") for name, value in found.entitlements.items() if value is True)
    facts = [
        Fact(name="Server", value=found.server or "any"),
        Fact(name="Seats", value=f"{found.seats:,}"),
        Fact(name="From", value=_written(found.starts_at)),
        Fact(name="Until", value=_written(found.expires_at)),
        Fact(name="Switched on", value=names or "nothing beyond the plan's basics"),
        Fact(name="Id inside the file", value=found.file_id, mono=True),
        Fact(name="SHA-256 of the file", value=found.file_sha256, mono=True),
        Fact(name="Signed", value=f"{_written(found.issued_at)} with key {found.kid}"),
    ]
    if found.replaces_id:
        facts.append(Fact(name="Takes the place of", value=found.replaces_id,
                          href=f"/console/merged-licenses/{found.replaces_id}", mono=True))  # fmt: skip
    if found.revoked_at is not None:
        facts.append(Fact(name="Revoked", value=f"{_written(found.revoked_at)}, as nothing was left of it"))
    return tuple(facts)


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _sources(found: MergedLicense) -> Related:
    """The licenses as the file states them; above a number the rest is one sum without an id."""
    rows = tuple(
        (
            Cell(text=each["license"], href=f"/console/licenses/{each['license']}", mono=True)
            if ids.has_form("lic", each["license"]) else Cell(text=each["license"]),
            Cell(text=f"{each['users']:,}", number=True),
            Cell(text=_written(datetime.fromisoformat(each["expires_at"]))),
        )
        for each in found.sources
    )  # fmt: skip
    return Related(title="Made of", columns=("License", "Seats", "Ends"), rows=rows)


def _others(tx: Session, found: MergedLicense) -> Related:
    query = select(MergedLicense).where(
        col(MergedLicense.account_id) == found.account_id, col(MergedLicense.server) == found.server,
        col(MergedLicense.id) != found.id,
    )  # fmt: skip
    rows = tuple(
        (
            Cell(text=each.id, href=f"/console/merged-licenses/{each.id}", mono=True), lists.day(each.issued_at),
            Cell(text=f"{each.seats:,}", number=True), Cell(state=str(each.state)), lists.day(each.expires_at),
        )
        for each in tx.execute(query.order_by(col(MergedLicense.id).desc()).limit(50)).scalars()
    )  # fmt: skip
    columns = ("Merged license", "Issued", "Seats", "State", "Ends")
    return Related(title="Other files for this server", columns=columns, rows=rows)
