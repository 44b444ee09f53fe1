"""The tax numbers of an account: what their registries said, and finance that answers for one (ADR 0046)."""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi import Form as FormField
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import AccountTaxId, TaxIdStatus
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.db import Tx as Session
from app.flows import tax_ids
from app.tax import service as tax
from app.tax.models import TaxIdCheck
from app.web import auth
from app.web.console import accounts
from app.web.console.render import Note, actor_name, attempt, can, form_for, reason
from app.web.console.views import Action, Cell, Related
from app.web.deps import Wired
from app.web.views import Form, Option

router = APIRouter()
Cashier = Annotated[SignedInStaff, Depends(auth.staff(May.PAYMENTS_WRITE))]
Text = Annotated[str, FormField()]
_PROCEDURE: Final = "tax-numbers"
_MATCHES: Final = {"same": "is the buyer's", "differs": "differs from the buyer's", "not_told": "not told"}
_STATES: Final = {
    TaxIdStatus.UNCHECKED: "Not asked about yet", TaxIdStatus.FORMAT_INVALID: "Wrong check digits, nobody to ask",
    TaxIdStatus.PENDING: "Asked again soon", TaxIdStatus.VALID: "Valid", TaxIdStatus.INVALID: "Invalid",
    TaxIdStatus.UNAVAILABLE: "Not confirmed", TaxIdStatus.MANUAL_OVERRIDE: "Confirmed by hand",
}  # fmt: skip


@router.post("/console/accounts/{account_id}/tax-ids/confirm")
def confirm(
    request: Request, ports: Wired, who: Cashier, account_id: str, note: Note = "", tax_id: Text = ""
) -> Response:  # fmt: skip
    """Answer for a number: orders of this account are taxed as with a valid one."""

    def deed() -> None:
        tax_ids.confirm_by_hand(ports, account_id, tax_id, by=who.staff_id, reason=reason(note))

    again = _again(request, who, account_id)
    typed = {"note": note, "tax_id": tax_id}
    return attempt(ports, "confirm_tax_id", typed, deed, again, to=_page(account_id), done="tax-id-confirmed")


@router.post("/console/accounts/{account_id}/tax-ids/ask")
def ask(
    request: Request, ports: Wired, who: Cashier, account_id: str, note: Note = "", tax_id: Text = ""
) -> Response:  # fmt: skip
    """Have the registry asked now, which ends what was confirmed by hand."""

    def deed() -> None:
        tax_ids.ask_the_registry(ports, account_id, tax_id, by=who.staff_id, reason=reason(note))

    again = _again(request, who, account_id)
    typed = {"note": note, "tax_id": tax_id}
    return attempt(ports, "ask_tax_id", typed, deed, again, to=_page(account_id), done="tax-id-asked")


def _page(account_id: str) -> str:
    return f"/console/accounts/{ids.require_form('acc', account_id)}"


def _again(request: Request, who: SignedInStaff, account_id: str) -> Callable[[Session, Form, int], Response]:
    def show(tx: Session, form: Form, status: int) -> Response:
        return accounts.show(request, tx, who, account_id, form, status)

    return show


def of(tx: Session, account_id: str) -> list[AccountTaxId]:
    """The numbers of an account, the oldest first."""
    query = select(AccountTaxId).where(col(AccountTaxId.account_id) == account_id)
    return list(tx.execute(query.order_by(col(AccountTaxId.id))).scalars())


def table(tx: Session, numbers: list[AccountTaxId]) -> Related:
    """What is known of each, with who said so and whom the registry named."""
    rows = tuple(
        (
            Cell(text=each.value, mono=True), Cell(text=_STATES[each.status], note=_said_by(tx, each, last)),
            Cell(text=f"{each.checked_at:%Y-%m-%d}" if each.checked_at else ""), Cell(text=each.reference or ""),
            Cell(text=_named(last)),
        )
        for each in numbers
        for last in (tax.last_check(tx, each.type, each.value),)
    )  # fmt: skip
    return Related(title="Tax numbers", columns=("Number", "State", "Since", "Reference", "Registered to"), rows=rows)


def _said_by(tx: Session, number: AccountTaxId, last: TaxIdCheck | None) -> str:
    if number.status is TaxIdStatus.MANUAL_OVERRIDE:
        return f"{actor_name(tx, number.override_by)}: {number.override_reason}"
    if last is None:
        return ""
    return " ".join(part for part in (last.authority, last.code) if part)


def _named(last: TaxIdCheck | None) -> str:
    if last is None:
        return ""
    return f"Name {_MATCHES[last.name_match]}, address {_MATCHES[last.address_match]}"


def actions(numbers: list[AccountTaxId], account_id: str, who: SignedInStaff, form: Form) -> tuple[Action, ...]:
    """One form for all numbers that it fits."""
    if not can(who, May.PAYMENTS_WRITE):
        return ()
    here = f"/console/accounts/{account_id}/tax-ids"
    proof = {TaxIdStatus.VALID, TaxIdStatus.MANUAL_OVERRIDE}
    open_ = tuple(Option(value=each.id, label=each.value) for each in numbers if each.status not in proof)
    every = tuple(Option(value=each.id, label=each.value) for each in numbers)
    confirming = Action(
        name="confirm_tax_id", title="Confirm a tax number by hand", button="Confirm it", href=f"{here}/confirm",
        procedure=_PROCEDURE, asks="tax_id", asked="Number", options=open_, form=form_for("confirm_tax_id", form),
        hint="What you looked at. Its invoices of late are issued again without the tax.",
    )  # fmt: skip
    asking = Action(
        name="ask_tax_id", title="Ask the registry about a tax number", button="Ask the registry again",
        href=f"{here}/ask", procedure=_PROCEDURE, asks="tax_id", asked="Number", options=every,
        form=form_for("ask_tax_id", form), hint="Ends what was confirmed by hand.",
    )  # fmt: skip
    return (*((confirming,) if open_ else ()), *((asking,) if every else ()))
