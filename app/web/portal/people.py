"""`/account/people`: who may act for the account, in which role."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import members
from app.accounts.members import By
from app.accounts.models import Role
from app.accounts.permissions import Permission, may, may_touch_owners
from app.accounts.sessions import SignedInCustomer
from app.core.clock import transport_now
from app.core.db import Tx as Unit
from app.core.errors import DomainError, Invalid
from app.flows import inviting
from app.web import csrf, show
from app.web.auth import customer
from app.web.deps import Now, Tx
from app.web.portal.account_views import PeopleView, PersonRow
from app.web.portal.render import Form, Posted, account_page, see_other
from app.web.views import Form as FormView
from app.web.views import Option

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.ACCOUNT_READ))]
Writer = Annotated[SignedInCustomer, Depends(customer(Permission.PEOPLE_WRITE))]
router = APIRouter(include_in_schema=False, prefix="/account/people", dependencies=[Depends(csrf.protect)])
_ROLES: Final = {
    Role.OWNER: "Owner: everything, people too", Role.BUYER: "Buyer: orders and renews",
    Role.BILLING: "Billing: payment, tax, invoices", Role.LICENSE_ADMIN: "License admin: licenses and workspaces",
    Role.VIEWER: "Viewer: sees, changes nothing",
}  # fmt: skip


@router.get("")
def listed(request: Request, tx: Tx, who: Reader, said: str = "") -> Response:
    """The people, first come first."""
    return account_page(request, tx, _view(tx, who, FormView(values={"role": Role.VIEWER.value})), who, said=said)


@router.post("/invite")
def invite(request: Request, tx: Tx, who: Writer, form: Form, now: Now) -> Response:
    """Let somebody in; a mail tells them, and they sign in with their address."""
    try:
        inviting.add_member(tx, who.account_id, email=form.text("email"), name=form.text("name"), role=_role(form),
                            by=By(who.member_id, who.role), now=transport_now(), business_now=now)  # fmt: skip
    except DomainError as refused:
        return _refused(request, tx, who, form, refused)
    return see_other("/account/people?said=invited")


@router.post("/role")
def change_role(request: Request, tx: Tx, who: Writer, form: Form) -> Response:
    """Give somebody another role."""
    try:
        members.change_role(tx, who.account_id, form.text("member_id"), _role(form), by=By(who.member_id, who.role),
                            now=transport_now())  # fmt: skip
    except Invalid as refused:
        return _refused(request, tx, who, Posted(), refused)
    return see_other("/account/people?said=role_changed")


@router.post("/remove")
def remove(tx: Tx, who: Writer, form: Form) -> Response:
    """Take somebody's access; they are signed out at once."""
    members.remove(tx, who.account_id, form.text("member_id"), by=By(who.member_id, who.role), now=transport_now())
    return see_other("/account/people?said=person_removed")


def _role(form: Posted) -> Role:
    wanted = form.text("role")
    if wanted not in set(Role):
        raise Invalid("Choose a role from the list.", param="role")
    return Role(wanted)


def _refused(request: Request, tx: Unit, who: SignedInCustomer, form: Posted, refused: DomainError) -> Response:
    """The list again with what was typed. Refusals leave nothing written, so the transaction may go on."""
    values = {name: form.text(name) for name in ("email", "name", "role")}
    field = refused.param if refused.param in values else ""
    view = _view(tx, who, FormView(values=values, errors={field: refused.detail}))
    return show.later(account_page(request, tx, view, who, status=refused.status), refused)


def _view(tx: Unit, who: SignedInCustomer, form: FormView) -> PeopleView:
    people = members.of_account(tx, who.account_id)
    owners = sum(each.role is Role.OWNER for each in people)
    writes = may(who.role, Permission.PEOPLE_WRITE)
    offered = [role for role in Role if role is not Role.OWNER or may_touch_owners(who.role)]
    return PeopleView(
        people=tuple(
            PersonRow(
                member_id=each.id, name=each.name, email=each.email, role=each.role.value, state="active",
                you=each.id == who.member_id, last_owner=each.role is Role.OWNER and owners == 1,
            )
            for each in people
        ),
        roles=tuple(Option(value=role.value, label=_ROLES[role]) for role in (offered if writes else Role)), form=form,
        invite_href="/account/people/invite" if writes else "", role_href="/account/people/role" if writes else "",
        remove_href="/account/people/remove" if writes else "",
    )  # fmt: skip
