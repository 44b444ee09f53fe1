"""API keys: which there are, whose, when they were last used; staff can revoke one. The API and the CLI make them."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from sqlalchemy import ColumnElement, or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts import api_keys
from app.accounts.models import Account, ApiKey
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core.clock import transport_now
from app.core.db import Tx as Session
from app.web import auth
from app.web.console import lists
from app.web.console.render import Note, attempt, form_for, page, reason
from app.web.console.views import Action, Cell, DetailView, ListView
from app.web.deps import Tx, Wired
from app.web.views import Fact, Link, Option
from app.web.views import Form as FormView

router = APIRouter()
Reader = Annotated[SignedInStaff, Depends(auth.staff(May.KEYS_WRITE))]
Keeper = Annotated[SignedInStaff, Depends(auth.staff(May.KEYS_WRITE, fresh=True))]
_STATES: Final = ("active", "expired", "revoked")


@router.get("/console/api-keys")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    now = transport_now()
    query = select(ApiKey, col(Account.name)).outerjoin(Account, col(Account.id) == col(ApiKey.account_id))
    if wanted.q:
        query = query.where(
            or_(
                col(ApiKey.id) == wanted.q, col(ApiKey.account_id) == wanted.q,
                col(ApiKey.name).icontains(wanted.q, autoescape=True),
                col(Account.name).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if wanted.state in _STATES:
        query = query.where(_is(wanted.state, now))
    found = lists.window(tx, query, col(ApiKey.id), wanted, "api-keys")
    rows = tuple(
        (
            Cell(text=key.name, href=f"/console/api-keys/{key.id}", note=key.id), Cell(text=account or "the vendor"),
            Cell(text=", ".join(key.scopes)), Cell(state=_state(key, now)), lists.day(key.last_used_at),
            lists.day(key.expires_at),
        )
        for key, account in found.rows
    )  # fmt: skip
    view = ListView(
        kind="api-keys", columns=("Key", "Of", "May", "State", "Last used", "Ends"), rows=rows, form=wanted.form,
        states=tuple(Option(value=state, label=state.capitalize()) for state in _STATES), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/api-keys/{key_id}")
def one(request: Request, tx: Tx, who: Keeper, key_id: str) -> Response:
    return _show(request, tx, who, key_id, FormView(), 200)


@router.post("/console/api-keys/{key_id}/revoke")
def revoke(request: Request, ports: Wired, who: Keeper, key_id: str, note: Note = "") -> Response:
    """Nothing signed with it is answered from now on."""

    def deed() -> None:
        with ports.db.session() as tx:
            api_keys.revoke_for_staff(tx, key_id, by=who.staff_id, why=reason(note), now=transport_now())

    def again(tx: Session, form: FormView, status: int) -> Response:
        return _show(request, tx, who, key_id, form, status)

    return attempt(
        ports, "revoke", {"note": note}, deed, again, to=f"/console/api-keys/{key_id}", done="key-revoked"
    )  # fmt: skip


def _is(state: str, now: datetime) -> ColumnElement[bool]:
    revoked, over = col(ApiKey.revoked_at).is_not(None), col(ApiKey.expires_at) <= now
    return {"revoked": revoked, "expired": ~revoked & over, "active": ~revoked & ~over}[state]


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at <= now else "active"


def _show(request: Request, tx: Session, who: SignedInStaff, key_id: str, form: FormView, status: int) -> Response:
    key = api_keys.find(tx, key_id)
    account = tx.get_one(Account, key.account_id) if key.account_id else None
    view = DetailView(
        kind="api-keys", id=key.id, title=key.name, state=_state(key, transport_now()), facts=_facts(key),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}") if account else None,
        actions=_actions(key, form), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _facts(key: ApiKey) -> tuple[Fact, ...]:
    used = "never"
    if key.last_used_at is not None:
        used = f"{key.last_used_at:%Y-%m-%d %H:%M} UTC" + (f" from {key.last_used_ip}" if key.last_used_ip else "")
    return (
        Fact(name="Sees", value="one account" if key.account_id else "every account: it is the vendor's own"),
        Fact(name="May", value=", ".join(key.scopes)),
        Fact(name="Made", value=f"{key.created_at:%Y-%m-%d %H:%M} UTC"),
        Fact(name="Last used", value=used),
        Fact(name="Ends", value=f"{key.expires_at:%Y-%m-%d}"),
        *((Fact(name="Revoked", value=f"{key.revoked_at:%Y-%m-%d %H:%M} UTC"),) if key.revoked_at else ()),
    )


def _actions(key: ApiKey, form: FormView) -> tuple[Action, ...]:
    if key.revoked_at is not None:
        return ()
    return (
        Action(
            name="revoke", title="Revoke it", button="Revoke the key", procedure="api-keys", tone="danger",
            href=f"/console/api-keys/{key.id}/revoke",
            hint="The program that uses it is refused at once. This cannot be taken back. The reason goes into the "
            "audit log.",
            form=form_for("revoke", form),
        ),
    )  # fmt: skip
