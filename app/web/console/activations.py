"""What staff do about the servers of a license."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.licenses import activating, activation_terms, service
from app.licenses.activating import By
from app.licenses.activation_models import EndedBy
from app.web import auth
from app.web.console import licenses
from app.web.console.render import Note, attempt, reason
from app.web.deps import Now, Wired
from app.web.views import Form as FormView

router = APIRouter()
Keeper = Annotated[SignedInStaff, Depends(auth.staff(May.LICENSES_WRITE))]


@router.post("/console/licenses/{license_id}/deactivate")
def deactivate(
    request: Request, ports: Wired, now: Now, who: Keeper, license_id: str, note: Note = "",
    activation: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Free the place of one server, whatever the plan says about moves."""

    def deed() -> None:
        if not ids.has_form("act", activation):
            raise Invalid("Choose the server.", param="activation")
        with ports.db.session() as tx:
            found = service.get(tx, ids.require_form("lic", license_id))
            try:
                activating.deactivate(
                    tx, found, activation, by=By(EndedBy.STAFF, who.staff_id), reason=reason(note), now=now
                )
            except NotFound as gone:
                raise Invalid(gone.detail, param="activation") from gone

    def again(tx: Tx, form: FormView, status: int) -> Response:
        return licenses.show(request, tx, who, license_id, form, status)

    return attempt(
        ports, "deactivate", {"note": note, "activation": activation}, deed, again,
        to=f"/console/licenses/{license_id}", done="server-released",
    )  # fmt: skip


@router.post("/console/licenses/{license_id}/limit")
def limit(
    request: Request, ports: Wired, now: Now, who: Keeper, license_id: str, note: Note = "",
    most: Annotated[str, Form(max_length=20)] = "",
) -> Response:  # fmt: skip
    """Another number of servers than the plan's; empty for the plan's again."""

    def deed() -> None:
        plain = most.strip()
        if plain and not (plain.isascii() and plain.isdigit()):
            raise Invalid("A whole number, or nothing for what the plan says.", param="most")
        with ports.db.session() as tx:
            found = service.get(tx, ids.require_form("lic", license_id))
            activation_terms.set_limit(
                tx, found, int(plain) if plain else None, reason=reason(note), by=who.staff_id, now=now
            )

    def again(tx: Tx, form: FormView, status: int) -> Response:
        return licenses.show(request, tx, who, license_id, form, status)

    return attempt(
        ports, "limit", {"note": note, "most": most}, deed, again,
        to=f"/console/licenses/{license_id}", done="activations-limited",
    )  # fmt: skip
