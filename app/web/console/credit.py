"""What an account may owe: limited, frozen and freed by finance, on the account's page."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Form as FormField
from starlette.responses import Response

from app.accounts import service
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import Invalid
from app.core.money import Money
from app.flows.ports import Ports
from app.web import auth
from app.web.console import accounts
from app.web.console.render import Note, attempt, reason
from app.web.deps import Wired
from app.web.views import Form

router = APIRouter()
Cashier = Annotated[SignedInStaff, Depends(auth.staff(May.PAYMENTS_WRITE))]
Text = Annotated[str, FormField()]


@router.post("/console/accounts/{account_id}/credit/freeze")
def freeze(request: Request, ports: Wired, who: Cashier, account_id: str, note: Note = "") -> Response:
    """No more orders on invoice."""

    def deed(tx: Session, now: datetime) -> None:
        service.freeze_credit(tx, account_id, reason(note), by=who.staff_id, now=now)

    return _decide(request, ports, who, account_id, "freeze", {"note": note}, deed, done="credit-frozen")


@router.post("/console/accounts/{account_id}/credit/unfreeze")
def unfreeze(request: Request, ports: Wired, who: Cashier, account_id: str, note: Note = "") -> Response:
    """Orders on invoice again."""

    def deed(tx: Session, now: datetime) -> None:
        service.unfreeze_credit(tx, account_id, reason(note), by=who.staff_id, now=now)

    return _decide(request, ports, who, account_id, "unfreeze", {"note": note}, deed, done="credit-unfrozen")


@router.post("/console/accounts/{account_id}/credit/limit")
def limit(
    request: Request, ports: Wired, who: Cashier, account_id: str, note: Note = "", amount: Text = "",
    currency: Text = "",
) -> Response:  # fmt: skip
    """A limit of its own for this account."""

    def deed(tx: Session, now: datetime) -> None:
        service.limit_credit(tx, account_id, _amount(amount, currency), reason(note), by=who.staff_id, now=now)

    typed = {"note": note, "amount": amount, "currency": currency}
    return _decide(request, ports, who, account_id, "limit", typed, deed, done="credit-limited")


def _decide(
    request: Request, ports: Ports, who: SignedInStaff, account_id: str, name: str, typed: dict[str, str],
    deed: Callable[[Session, datetime], None], *, done: str,
) -> Response:  # fmt: skip
    ids.require_form("acc", account_id)

    def do() -> None:
        with ports.db.transaction() as tx:
            deed(tx, ports.clock.now())

    def again(tx: Session, form: Form, status: int) -> Response:
        return accounts.show(request, tx, who, account_id, form, status)

    return attempt(ports, name, typed, do, again, to=f"/console/accounts/{account_id}", done=done)


def _amount(amount: str, currency: str) -> Money:
    try:
        found = Money.from_major(amount.strip().replace(",", ""), currency.strip().upper())
    except ValueError as exc:
        raise Invalid("Write an amount such as 7,500.00 and a currency such as EUR.", param="amount") from exc
    if found.minor < 0:
        raise Invalid("A limit is zero or more.", param="amount")
    return found
