"""What an account may owe: limited, frozen and freed by finance, on the account's page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Form as FormField
from starlette.responses import Response

from app.accounts import service
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.errors import DomainError, Invalid
from app.core.money import Money
from app.web import auth
from app.web.console import accounts
from app.web.console.render import Note, back, reason, refused
from app.web.deps import Wired

router = APIRouter()
Cashier = Annotated[SignedInStaff, Depends(auth.staff(May.PAYMENTS_WRITE))]
Text = Annotated[str, FormField()]


@router.post("/console/accounts/{account_id}/credit/freeze")
def freeze(request: Request, ports: Wired, who: Cashier, account_id: str, note: Note = "") -> Response:
    """No more orders on invoice."""
    ids.require_form("acc", account_id)
    try:
        with ports.db.transaction() as tx:
            service.freeze_credit(tx, account_id, reason(note), by=who.staff_id, now=ports.clock.now())
    except DomainError as exc:
        return accounts.again(request, ports, who, account_id, refused("freeze", {"note": note}, exc.detail, exc.param),
                              exc.status)  # fmt: skip
    return back(f"/console/accounts/{account_id}", "credit-frozen")


@router.post("/console/accounts/{account_id}/credit/unfreeze")
def unfreeze(request: Request, ports: Wired, who: Cashier, account_id: str, note: Note = "") -> Response:
    """Orders on invoice again."""
    ids.require_form("acc", account_id)
    try:
        with ports.db.transaction() as tx:
            service.unfreeze_credit(tx, account_id, reason(note), by=who.staff_id, now=ports.clock.now())
    except DomainError as exc:
        form = refused("unfreeze", {"note": note}, exc.detail, exc.param)
        return accounts.again(request, ports, who, account_id, form, exc.status)
    return back(f"/console/accounts/{account_id}", "credit-unfrozen")


@router.post("/console/accounts/{account_id}/credit/limit")
def limit(
    request: Request, ports: Wired, who: Cashier, account_id: str, note: Note = "", amount: Text = "",
    currency: Text = "",
) -> Response:  # fmt: skip
    """A limit of its own for this account."""
    ids.require_form("acc", account_id)
    try:
        with ports.db.transaction() as tx:
            service.limit_credit(
                tx, account_id, _amount(amount, currency), reason(note), by=who.staff_id, now=ports.clock.now()
            )
    except DomainError as exc:
        form = refused("limit", {"note": note, "amount": amount, "currency": currency}, exc.detail, exc.param)
        return accounts.again(request, ports, who, account_id, form, exc.status)
    return back(f"/console/accounts/{account_id}", "credit-limited")


def _amount(amount: str, currency: str) -> Money:
    try:
        found = Money.from_major(amount.strip().replace(",", ""), currency.strip().upper())
    except ValueError as exc:
        raise Invalid("Write an amount such as 7,500.00 and a currency such as EUR.", param="amount") from exc
    if found.minor < 0:
        raise Invalid("A limit is zero or more.", param="amount")
    return found
