"""What an account said about who does not own it, and staff who have it in writing."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi import Form as FormField
from starlette.responses import Response

from app.accounts.models import Account, BuyerType
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.db import Tx as Session
from app.flows import attesting
from app.screening import attestations
from app.web import auth
from app.web.console import accounts
from app.web.console.render import Note, actor_name, attempt, can, form_for, reason
from app.web.console.views import Action, Input
from app.web.deps import Wired
from app.web.views import Fact, Form

router = APIRouter()
Reviewer = Annotated[SignedInStaff, Depends(auth.staff(May.ORDERS_REVIEW))]
Text = Annotated[str, FormField()]
_PROCEDURE: Final = "ownership-attestation"


@router.post("/console/accounts/{account_id}/ownership")
def record(
    request: Request, ports: Wired, who: Reviewer, account_id: str, note: Note = "", full_name: Text = "",
    email: Text = "",
) -> Response:  # fmt: skip
    """Keep what a customer gave in writing; what waited for it goes on."""
    ids.require_form("acc", account_id)

    def deed() -> None:
        attesting.record(ports, account_id, name=full_name, email=email, note=reason(note), by=who.staff_id)

    typed = {"note": note, "full_name": full_name, "email": email}
    return attempt(ports, "ownership", typed, deed, _again(request, who, account_id),
                   to=f"/console/accounts/{account_id}", done="ownership-recorded")  # fmt: skip


def _again(request: Request, who: SignedInStaff, account_id: str) -> Callable[[Session, Form, int], Response]:
    def show(tx: Session, form: Form, status: int) -> Response:
        return accounts.show(request, tx, who, account_id, form, status)

    return show


def facts(tx: Session, account: Account, now: datetime) -> tuple[Fact, ...]:
    """What was said last; nothing for an account that nobody asks and that never said anything."""
    said = attestations.latest(tx, account.id)
    unsaid = attesting.missing(tx, account, now)
    if said is None:
        return (Fact(name="Ownership", value="nothing said yet: renewals wait for it"),) if unsaid else ()
    by = "" if said.recorded_by == "buyer" else f", recorded by {actor_name(tx, said.recorded_by)}: {said.note}"
    over = "; too long ago, renewals wait for it" if unsaid else ""
    words = f"no listed party owns half of it, said on {said.attested_at:%Y-%m-%d} by {said.person_name}"
    return (Fact(name="Ownership", value=f"{words} ({said.text_version}{by}){over}"),)


def actions(account: Account, who: SignedInStaff, form: Form) -> tuple[Action, ...]:
    if account.type is not BuyerType.BUSINESS or not can(who, May.ORDERS_REVIEW):
        return ()
    return (
        Action(
            name="ownership", title="Record what was said about its ownership", button="Record it",
            href=f"/console/accounts/{account.id}/ownership", procedure=_PROCEDURE, form=form_for("ownership", form),
            hint=f"Only what you have in writing, and where. “{attestations.TEXT}”",
            inputs=(Input(name="full_name", label="Who said it"), Input(name="email", label="Their e-mail")),
        ),
    )  # fmt: skip
