"""Licenses: the list, and one with its file; a license can be revoked."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.catalog.models import Plan
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import Invalid
from app.licenses import service
from app.licenses.models import License, LicenseEnvironment, LicenseState
from app.licenses.standing import standing
from app.web import auth
from app.web.console import cells, lists, server_actions
from app.web.console.render import Note, Reader, attempt, can, form_for, page, reason
from app.web.console.views import Action, DetailView, ListView
from app.web.deps import Now, Tx, Wired, ports_of
from app.web.views import Fact, Link, Option
from app.web.views import Form as FormView

router = APIRouter()
Keeper = Annotated[SignedInStaff, Depends(auth.staff(May.LICENSES_WRITE))]

GROUNDS: Final = {
    "refund": "The money was given back",
    "leaked": "The file is where it should not be",
    "breach": "The contract was broken",
    "mistake": "It was issued by mistake",
    "request": "The customer asked for it",
}


USES: Final = {LicenseEnvironment.PRODUCTION: "Production", LicenseEnvironment.NON_PRODUCTION: "Tests and staging"}


@router.get("/console/licenses")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = select(License, col(Account.name)).join(Account, col(Account.id) == col(License.account_id))
    if wanted.q:
        query = query.where(
            or_(
                col(License.id) == wanted.q, col(License.file_id) == wanted.q, col(License.account_id) == wanted.q,
                col(Account.name).icontains(wanted.q, autoescape=True), col(License.sku) == wanted.q,
            )
        )  # fmt: skip
    if state := lists.one_of(LicenseState, wanted.state):
        query = query.where(col(License.state) == state)
    found = lists.window(tx, query, col(License.id), wanted, "licenses")
    plans = cells.plan_names(tx)
    rows = []
    for each, name in found.rows:
        _, *rest = cells.license_row(each, plans)
        rows.append((cells.named("licenses", each.id, name), *rest))
    view = ListView(
        kind="licenses", columns=("License", "Plan", "Seats", "State", "Ends"), rows=tuple(rows),
        form=wanted.form, states=lists.options(LicenseState), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/licenses/{license_id}")
def one(request: Request, tx: Tx, who: Reader, license_id: str) -> Response:
    return show(request, tx, who, license_id, FormView(), 200)


@router.post("/console/licenses/{license_id}/revoke")
def revoke(
    request: Request, ports: Wired, now: Now, who: Keeper, license_id: str, note: Note = "",
    ground: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Online checks refuse it from now on."""
    ids.require_form("lic", license_id)

    def deed() -> None:
        if ground not in GROUNDS:
            raise Invalid("Choose the ground.", param="ground")
        why = f"{ground}: {reason(note)}"
        with ports.db.session() as tx:
            service.revoke(tx, license_id, reason=why, by=who.staff_id, now=now)

    def again(tx: Session, form: FormView, status: int) -> Response:
        return show(request, tx, who, license_id, form, status)

    typed = {"note": note, "ground": ground}
    return attempt(
        ports, "revoke", typed, deed, again, to=f"/console/licenses/{license_id}", done="license-revoked"
    )  # fmt: skip


def show(request: Request, tx: Session, who: SignedInStaff, license_id: str, form: FormView, status: int) -> Response:
    found = service.get(tx, ids.require_form("lic", license_id))
    account, plan = tx.get_one(Account, found.account_id), tx.get_one(Plan, found.plan_id)
    others = [each for each in service.family(tx, found) if each.id != found.id]
    view = DetailView(
        kind="licenses", id=found.id, title=f"{plan.name} of {account.name}",
        state=standing(found, ports_of(request).clock.now()),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"), facts=_facts(found),
        related=(
            *server_actions.related(tx, found),
            cells.licenses(others, cells.plan_names(tx), title="Others of this subscription"),
        ),
        actions=(*server_actions.actions(tx, found, who, form), *_actions(found, who, form)), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _facts(found: License) -> tuple[Fact, ...]:
    names = ", ".join(name.replace("_", " ") for name, value in found.entitlements.items() if value is True)
    called = [Fact(name="Called", value=found.label)] if found.label else []
    server = f", on {found.server}" if found.server else ""
    facts = [
        *called,
        Fact(name="Used for", value=f"{USES[found.environment]}{server}"),
        Fact(name="Seats", value=f"{found.seats:,}"),
        Fact(name="From", value=f"{found.starts_at:%Y-%m-%d %H:%M} UTC"),
        Fact(name="Until", value=f"{found.expires_at:%Y-%m-%d %H:%M} UTC, then {_days(found.grace_days)} of grace"),
        Fact(name="Switched on", value=names or "nothing beyond the plan's basics"),
        Fact(name="Id inside the file", value=found.file_id, mono=True),
        Fact(name="SHA-256 of the file", value=found.file_sha256, mono=True),
        Fact(name="Signed", value=f"{found.issued_at:%Y-%m-%d %H:%M} UTC with key {found.kid}"),
    ]
    if found.subscription_id and found.order_id:
        facts += [
            Fact(name="Subscription", value=found.subscription_id,
                 href=f"/console/subscriptions/{found.subscription_id}", mono=True),
            Fact(name="Order", value=found.order_id, href=f"/console/orders/{found.order_id}", mono=True),
        ]  # fmt: skip
    if found.superseded_by:
        facts.append(Fact(name="Replaced by", value=found.superseded_by,
                          href=f"/console/licenses/{found.superseded_by}", mono=True))  # fmt: skip
    if found.revoked_at is not None:
        facts.append(Fact(name="Revoked", value=f"{found.revoked_at:%Y-%m-%d %H:%M} UTC, {found.revoked_reason}"))
    return tuple(facts)


def _days(count: int) -> str:
    return f"{count} {'day' if count == 1 else 'days'}"


def _actions(found: License, who: SignedInStaff, form: FormView) -> tuple[Action, ...]:
    if found.state is LicenseState.REVOKED or not can(who, May.LICENSES_WRITE):
        return ()
    return (
        Action(
            name="revoke", title="Revoke it", button="Revoke the license", procedure="revoke-license", tone="danger",
            href=f"/console/licenses/{found.id}/revoke",
            hint="Products that check online refuse it from then on. A server that only has the file goes on until it "
            "ends. This cannot be taken back. The reason goes into the audit log.",
            options=tuple(Option(value=value, label=label) for value, label in GROUNDS.items()),
            form=form_for("revoke", form),
        ),
    )  # fmt: skip
