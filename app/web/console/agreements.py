"""Agreements of one customer, apart from the terms of sale: listed on its account, recorded with their paper, ended."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.agreements import contracts, papers
from app.agreements.contracts import Terms
from app.agreements.models import CustomAgreement
from app.agreements.papers import Upload
from app.core import ids, policy
from app.core.db import Tx as Session
from app.core.errors import DomainError, Invalid
from app.flows.contract_reminders import REMIND_DAYS
from app.web import auth
from app.web.console.quote_views import AgreementRow, AgreementsView
from app.web.console.render import Note, Reader, back, can, form_for, page, reason, refused
from app.web.deps import Now, Tx, Wired
from app.web.portal.render import Form as Filled
from app.web.portal.render import Posted
from app.web.views import Fact, Form, Link

router = APIRouter()
Seller = Annotated[SignedInStaff, Depends(auth.staff(May.QUOTES_WRITE))]
_INPUTS = ("title", "effective_from", "last_day", "deviations", "approved_by", "renews_by_itself")


@router.get("/console/accounts/{account_id}/agreements")
def listed(request: Request, tx: Tx, now: Now, who: Reader, account_id: str) -> Response:
    """Every agreement of the account, and the form for another."""
    return _page(request, tx, now, who, ids.require_form("acc", account_id), Form(), 200)


@router.post("/console/accounts/{account_id}/agreements")
def record(request: Request, ports: Wired, now: Now, who: Seller, account_id: str, form: Filled) -> Response:
    """Keep an agreement with its paper."""
    ids.require_form("acc", account_id)
    with ports.db.session() as tx:
        account = accounts.get(tx, account_id)
    try:
        with ports.db.session() as tx:
            contracts.record(
                tx, account.id, _terms(form), Upload(form.upload), remind_days=policy.get(tx, REMIND_DAYS, now),
                time_zone=account.time_zone, by=who.staff_id, now=now,
            )  # fmt: skip
    except DomainError as exc:
        values = {name: form.prose(name, 4000) for name in _INPUTS} | {"file": ""}
        param = "last_day" if exc.param == "effective_to" else exc.param
        with ports.db.session() as tx:
            again = refused("record", values, exc.detail, param)
            return _page(request, tx, now, who, account_id, again, exc.status)
    return back(f"/console/accounts/{account_id}/agreements", "agreement-recorded")


@router.post("/console/agreements/{agreement_id}/end")
def end(request: Request, ports: Wired, now: Now, who: Seller, agreement_id: str, note: Note = "") -> Response:
    """Let it apply no longer."""
    ids.require_form("agr", agreement_id)
    with ports.db.session() as tx:
        account_id = contracts.get(tx, agreement_id).account_id
    try:
        with ports.db.session() as tx:
            contracts.end(tx, agreement_id, why=reason(note), by=who.staff_id, now=now)
    except DomainError as exc:
        with ports.db.session() as tx:
            again = refused(f"end-{agreement_id}", {"note": note}, exc.detail, exc.param)
            return _page(request, tx, now, who, account_id, again, exc.status)
    return back(f"/console/accounts/{account_id}/agreements", "agreement-ended")


@router.get("/console/agreements/{agreement_id}/paper")
def paper(tx: Tx, _who: Reader, agreement_id: str) -> Response:
    """The signed paper as it came: always as a download."""
    found = contracts.get(tx, ids.require_form("agr", agreement_id))
    kept = papers.get(tx, found.paper_id)
    ending = papers.kind_of(kept.content)[1]
    headers = {"Content-Disposition": f'attachment; filename="{found.id}.{ending}"'}
    return Response(kept.content, media_type=kept.media_type, headers=headers)


def _terms(form: Posted) -> Terms:
    last = form.text("last_day")
    return Terms(
        title=form.text("title"), deviations=form.prose("deviations", 4000),
        effective_from=_day(form.text("effective_from"), "effective_from"),
        effective_to=_day(last, "last_day") + timedelta(days=1) if last else None, approved_by=form.text("approved_by"),
        renews_by_itself=form.text("renews_by_itself") == "yes",
    )  # fmt: skip


def _day(text: str, param: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise Invalid("Write the day as 2026-12-31.", param=param) from exc


def _page(
    request: Request, tx: Session, now: Now, who: SignedInStaff, account_id: str, form: Form, status: int
) -> Response:  # fmt: skip
    account = accounts.get(tx, account_id)
    applying = contracts.in_force(tx, account_id, now)
    writes = can(who, May.QUOTES_WRITE)
    view = AgreementsView(
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        rows=tuple(
            _row(tx, each, applies=applying is not None and applying.id == each.id, writes=writes, form=form)
            for each in contracts.of_account(tx, account_id)
        ),
        action=f"/console/accounts/{account.id}/agreements" if writes else "", form=form_for("record", form),
        whole=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _row(tx: Session, found: CustomAgreement, *, applies: bool, writes: bool, form: Form) -> AgreementRow:
    kept = papers.get(tx, found.paper_id)
    last = found.effective_to - timedelta(days=1) if found.effective_to else None
    facts = [
        Fact(name="Applies", value=f"{found.effective_from} to {last or 'further notice'}"),
        Fact(name="Differs from the terms of sale", value=found.deviations),
        Fact(name="Renewals", value="run by themselves" if found.renews_by_itself else "come to sales"),
        Fact(name="Approved by", value=found.approved_by),
        Fact(name="Paper", value=f"{kept.name}, {kept.size:,} bytes", href=f"/console/agreements/{found.id}/paper"),
        Fact(name="SHA-256", value=kept.sha256, mono=True),
    ]
    if found.ended_at is not None:
        facts.append(Fact(name="Ended", value=f"{found.ended_at:%Y-%m-%d}: {found.ended_why}"))
    state = "active" if applies else "disabled" if found.ended_at is not None else "scheduled"
    open_still = writes and found.ended_at is None
    return AgreementRow(
        id=found.id, title=found.title, state=state, facts=tuple(facts),
        end_href=f"/console/agreements/{found.id}/end" if open_still else "", form=form_for(f"end-{found.id}", form),
    )  # fmt: skip
