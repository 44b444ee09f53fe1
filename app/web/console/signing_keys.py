"""Signing keys: their states, what rests on each, and the two steps that need no command line."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import keys
from app.core.db import Tx as Session
from app.core.errors import NotFound
from app.core.keys import KeyPurpose, KeyState
from app.flows import canary, key_life
from app.flows.key_life import KeyFigures
from app.web import auth
from app.web.console.operations_views import SigningKeyRow, SigningKeysView
from app.web.console.render import Reader, attempt, can, page
from app.web.deps import Now, Tx, Wired
from app.web.views import Form as FormView

router = APIRouter()
Keeper = Annotated[SignedInStaff, Depends(auth.staff(May.SIGNING_KEYS_WRITE))]
_PAGE = "/console/signing-keys"


@router.get(_PAGE)
def listed(request: Request, tx: Tx, now: Now, who: Reader) -> Response:
    return _show(request, tx, now, who, FormView(), 200)


@router.post(_PAGE + "/rotate/{name}")
def rotate(request: Request, ports: Wired, now: Now, who: Keeper, name: str) -> Response:
    """Publish a successor, which signs once the overlap is over."""
    if name not in set(KeyPurpose):
        raise NotFound("There is no such purpose.")

    def deed() -> None:
        with ports.db.session() as tx:
            keys.rotate(tx, ports.secrets, KeyPurpose(name), by=who.staff_id, now=now)

    def again(tx: Session, form: FormView, status: int) -> Response:
        return _show(request, tx, now, who, form, status)

    return attempt(ports, "rotate", {}, deed, again, to=_PAGE, done="signing-key-rotated")


@router.post(_PAGE + "/retire/{name}")
def retire(request: Request, ports: Wired, now: Now, who: Keeper, name: str) -> Response:
    """Stop publishing a key on which nothing rests any more."""

    def deed() -> None:
        with ports.db.session() as tx:
            key_life.retire(tx, name, by=who.staff_id, now=now)

    def again(tx: Session, form: FormView, status: int) -> Response:
        return _show(request, tx, now, who, form, status)

    return attempt(ports, "retire", {}, deed, again, to=_PAGE, done="signing-key-retired")


def _show(
    request: Request, tx: Session, now: datetime, who: SignedInStaff, form: FormView, status: int
) -> Response:  # fmt: skip
    writes = can(who, May.SIGNING_KEYS_WRITE)
    rows = tuple(_row(each, writes=writes) for each in key_life.figures(tx, now))
    faults = tuple(f"{purpose}: {fault}" for purpose, fault in canary.faults(tx).items())
    view = SigningKeysView(keys=rows, faults=faults, form=form, revocations_href="/v1/licenses/revocations")
    return page(request, tx, view, who, status=status)


def _row(found: KeyFigures, *, writes: bool) -> SigningKeyRow:
    key = found.key
    return SigningKeyRow(
        kid=key.kid, purpose=key.purpose, algorithm=key.algorithm, state=found.state, signs_from=key.signs_from,
        signs_until=key.valid_to, rests=found.in_use,
        rotate_href=f"{_PAGE}/rotate/{key.purpose}"
        if writes and found.state is KeyState.SIGNING and key.valid_to is None else "",
        retire_href=f"{_PAGE}/retire/{key.kid}" if writes and found.state is KeyState.RETIRING else "",
    )  # fmt: skip
