"""`/account/licenses/…/servers`: who is bound to a license; release, move, and servers without a network."""

import re
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.catalog.models import Plan
from app.core import ids
from app.core.clock import transport_now
from app.core.db import Tx as Unit
from app.core.errors import DomainError, Invalid, NotFound
from app.core.security import Secrets
from app.flows import export_gate
from app.licenses import activating, activation_terms, carrying, machine_files, offline
from app.licenses.activating import By, Server
from app.licenses.activation_models import Activation, ActivationState, EndedBy
from app.licenses.formats.recognize import Format
from app.licenses.heartbeat import Life
from app.licenses.models import License, LicenseState
from app.licenses.rendering import SUFFIXES, Wanted
from app.web import csrf, pages
from app.web.auth import customer
from app.web.deps import Now, Tx, Wired
from app.web.portal import license_files, owned
from app.web.portal.license_views import ActivationRow, OfflineView, ServerView
from app.web.portal.render import Form, account_page, see_other
from app.web.views import Fact
from app.web.views import Form as FormView

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.LICENSES_READ))]
Writer = Annotated[SignedInCustomer, Depends(customer(Permission.LICENSES_WRITE))]
router = APIRouter(
    include_in_schema=False, prefix="/account/licenses/{license_id}", dependencies=[Depends(csrf.protect)]
)  # fmt: skip
_ENGLISH: Final = pages.English()
_FINGERPRINT: Final = re.compile(r"[!-~]{1,255}")
_LONGEST_NAME: Final = 80


@router.get("/offline")
def ask_offline(request: Request, tx: Tx, who: Writer, license_id: str) -> Response:
    """Where the request of a server without a network is brought."""
    return account_page(request, tx, _offline(_license(tx, who, license_id), FormView()), who)


@router.post("/offline")
def carry(request: Request, tx: Tx, ports: Wired, now: Now, who: Writer, license_id: str, form: Form) -> Response:
    """Do what the request asks; the answer stands on the server's page."""
    found = _license(tx, who, license_id)
    pasted = form.prose("text", offline.LONGEST + 1)
    try:
        # In a savepoint: the page with the refusal is read in this transaction.
        with tx.begin_nested():
            export_gate.require_deliverable(tx, found.account_id, now)
            asked = offline.read_request(_text(form.upload) or pasted)
            by = By(EndedBy.CUSTOMER, who.member_id)
            row = carrying.carry(tx, ports.secrets, found, asked, by=by, now=now, real_now=transport_now())
    except DomainError as refused:
        bad = FormView(
            values={"text": pasted[: offline.LONGEST]}, errors={(refused.param and "text") or "": refused.detail}
        )
        return account_page(request, tx, _offline(found, bad), who, status=refused.status)
    return see_other(f"{_path(found, row)}?said=carried")


@router.get("/servers/{activation_id}")
def one(
    request: Request, tx: Tx, ports: Wired, now: Now, who: Reader, license_id: str, activation_id: str, said: str = ""
) -> Response:
    """One server with what can be done about it."""
    found, row = _server(tx, who, license_id, activation_id)
    return account_page(request, tx, _view(tx, ports.secrets, who, found, row, FormView(), now), who, said=said)


@router.get("/servers/{activation_id}/file")
def file(tx: Tx, ports: Wired, now: Now, who: Reader, license_id: str, activation_id: str) -> Response:
    """What is carried to a server without a network."""
    found, row = _server(tx, who, license_id, activation_id)
    export_gate.require_deliverable(tx, found.account_id, now)
    text = carrying.answer(tx, ports.secrets, found, row, now)
    kind = "activation" if row.state is ActivationState.ACTIVE else "receipt"
    return license_files.download(text, f"{kind}-{row.id[-8:]}.json", "application/json")


@router.get("/servers/{activation_id}/machine-file")
def machine_file(tx: Tx, ports: Wired, now: Now, who: Reader, license_id: str, activation_id: str) -> Response:
    """The license for this server alone; signed anew at each download."""
    found, row = _server(tx, who, license_id, activation_id)
    export_gate.require_deliverable(tx, found.account_id, now)
    text = machine_files.check_out(
        tx, ports.secrets, found, row, Wanted(Format.MACHINE), by=who.member_id, now=now, real_now=transport_now()
    )
    return license_files.download(text, f"{row.id}.{SUFFIXES[Format.MACHINE]}", "application/octet-stream")


@router.post("/servers/{activation_id}/release")
def release(tx: Tx, now: Now, who: Writer, license_id: str, activation_id: str) -> Response:
    """Free its place. A refusal is a page of its own: there is nothing to type again."""
    found, row = _server(tx, who, license_id, activation_id)
    activating.deactivate(tx, found, row.id, by=By(EndedBy.CUSTOMER, who.member_id), now=now)
    return see_other(f"/account/licenses/{found.id}?said=server_released")


@router.post("/servers/{activation_id}/move")
def move(
    request: Request, tx: Tx, ports: Wired, now: Now, who: Writer, license_id: str, activation_id: str, form: Form
) -> Response:
    """Give its place to another server, in one step."""
    found, row = _server(tx, who, license_id, activation_id)
    typed = {name: form.text(name) for name in ("fingerprint", "name")}
    try:
        with tx.begin_nested():
            moved, new = activating.activate(
                tx, found, _typed(typed), by=By(EndedBy.CUSTOMER, who.member_id), now=now, real_now=transport_now(),
                replaces=row.id,
            )  # fmt: skip
            if not new:
                raise Invalid("This server has a place already.", param="fingerprint")
    except DomainError as refused:
        bad = FormView(values=typed, errors={refused.param if refused.param in typed else "": refused.detail})
        return account_page(
            request, tx, _view(tx, ports.secrets, who, found, row, bad, now), who, status=refused.status
        )
    return see_other(f"{_path(found, moved)}?said=server_moved")


def rows(tx: Unit, found: License, *, writes: bool) -> tuple[ActivationRow, ...]:
    """The servers of a license as its page lists them."""
    return tuple(
        ActivationRow(
            fingerprint=each.fingerprint, host=activating.called(each), since=each.activated_at,
            last_seen=each.last_seen_at, silent=activating.seen(each, transport_now()) is Life.DEAD,
            offline=each.offline,
            href=_path(found, each),
            deactivate_href=f"{_path(found, each)}/release" if writes and not each.offline else "",
        )
        for each in activating.listed(tx, found.subscription_id)
    )  # fmt: skip


def binds(tx: Unit, found: License) -> bool:
    """Whether its plan binds servers, so that some may have to be bound without a network."""
    return not found.trial and tx.get_one(Plan, found.plan_id).activation_rules is not None


def _license(tx: Unit, who: SignedInCustomer, license_id: str) -> License:
    return owned.one(tx, who, License, "lic", license_id)


def _server(tx: Unit, who: SignedInCustomer, license_id: str, activation_id: str) -> tuple[License, Activation]:
    found = _license(tx, who, license_id)
    row = owned.one(tx, who, Activation, "act", activation_id)
    if row.subscription_id != found.subscription_id:
        raise NotFound("It does not exist, or it belongs to another license.")
    return found, row


def _path(found: License, row: Activation) -> str:
    return f"/account/licenses/{found.id}/servers/{ids.require_form('act', row.id)}"


def _text(upload: bytes) -> str:
    return upload[: offline.LONGEST + 1].decode("utf-8", errors="replace")


def _typed(typed: dict[str, str]) -> Server:
    if not _FINGERPRINT.fullmatch(typed["fingerprint"]):
        raise Invalid("1 to 255 letters, digits and signs without a space.", param="fingerprint")
    if len(typed["name"]) > _LONGEST_NAME:
        raise Invalid(f"At most {_LONGEST_NAME} characters.", param="name")
    return Server(typed["fingerprint"], typed["name"])


def _offline(found: License, form: FormView) -> OfflineView:
    return OfflineView(label=found.label or found.sku, license_href=f"/account/licenses/{found.id}", form=form)


def _view(
    tx: Unit, secrets: Secrets, who: SignedInCustomer, found: License, row: Activation, form: FormView, now: datetime
) -> ServerView:
    live = row.state is ActivationState.ACTIVE
    acts = live and may(who.role, Permission.LICENSES_WRITE)
    path = _path(found, row)
    barred = export_gate.barred(tx, found.account_id, now)
    carried = row.offline and barred is None
    return ServerView(
        name=activating.called(row), state=str(row.state), license_label=found.label or found.sku,
        license_href=f"/account/licenses/{found.id}", facts=_facts(row, activation_terms.terms_of(tx, found).limit),
        answer=carrying.answer(tx, secrets, found, row, now) if carried else "",
        answer_href=f"{path}/file" if carried else "",
        machine_href=f"{path}/machine-file" if live and barred is None and _signed_for(tx, found) else "",
        release_href=f"{path}/release" if acts and not row.offline else "",
        move_href=f"{path}/move" if acts and not row.offline else "",
        offline_href=f"/account/licenses/{found.id}/offline" if acts and row.offline else "", form=form,
    )  # fmt: skip


def _signed_for(tx: Unit, found: License) -> bool:
    """Whether a file for one of its servers is signed: seats that are lent need a network."""
    in_force = found.state in {LicenseState.ACTIVE, LicenseState.SUPERSEDED}
    return in_force and not activation_terms.terms_of(tx, found).rules.floating


def _facts(row: Activation, limit: int | None) -> tuple[Fact, ...]:
    facts = [
        Fact(name="Fingerprint", value=row.fingerprint, mono=True),
        Fact(name="Host name", value=row.hostname or "not told"),
        Fact(name="Version", value=row.version or "not told"),
        Fact(name="Place", value=f"{row.slot}" if limit is None else f"{row.slot} of {limit}"),
        Fact(
            name="Activated", value=f"{_ENGLISH.moment(row.activated_at)}{', without a network' if row.offline else ''}"
        ),
        Fact(name="Last seen", value=_ENGLISH.moment(row.last_seen_at)),
    ]
    if row.lease_until is not None:
        facts.append(Fact(name="Lease until", value=_ENGLISH.moment(row.lease_until)))
    if row.deactivated_at is not None:
        facts.append(Fact(name="Deactivated", value=_ENGLISH.moment(row.deactivated_at)))
    return (*facts, Fact(name="Activation", value=row.id, mono=True))
