"""The vendor's own people: who is on staff, in which role, and what an administrator can change about it (S7, S8).

Whatever gives or takes rights asks for a second factor shown within the last hour.
"""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.accounts import staff
from app.accounts.models import Staff, StaffRole
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core.clock import transport_now
from app.core.db import Tx as Session
from app.core.errors import Invalid
from app.flows import inviting
from app.flows.ports import Ports
from app.web import auth
from app.web.console import lists
from app.web.console.render import Note, attempt, form_for, page, reason
from app.web.console.staff_views import NewPersonView, StaffView
from app.web.console.views import Action, Cell, DetailView
from app.web.deps import Tx, Wired
from app.web.views import Fact, Option
from app.web.views import Form as FormView

router = APIRouter()
Reader = Annotated[SignedInStaff, Depends(auth.staff(May.STAFF_WRITE))]
Administrator = Annotated[SignedInStaff, Depends(auth.staff(May.STAFF_WRITE, fresh=True))]
Text = Annotated[str, Form()]

_LONGEST_NAME: Final = 120
ROLES: Final = {
    StaffRole.SALES: "Sales: quotes, held orders, accounts, subscriptions",
    StaffRole.SUPPORT: "Support: accounts, licenses, workspaces, jobs",
    StaffRole.FINANCE: "Finance: payments, refunds, held orders, closing",
    StaffRole.ADMIN: "Administrator: everything, this page too",
}


@router.get("/console/staff")
def listed(request: Request, tx: Tx, who: Reader) -> Response:
    last = staff.last_sign_ins(tx)
    rows = tuple(
        (
            Cell(text=each.name or each.email, href=f"/console/staff/{each.id}",
                 note=each.email + (" (you)" if each.id == who.staff_id else "")),
            Cell(text=each.role.value.capitalize()), Cell(text=_second_factor(each)),
            lists.day(last.get(each.id)), lists.day(each.created_at),
        )
        for each in staff.present(tx)
    )  # fmt: skip
    columns = ("Person", "Role", "Second factor", "Last sign-in", "Since")
    return page(request, tx, StaffView(columns=columns, rows=rows), who)


@router.get("/console/staff/new")
def new(request: Request, tx: Tx, who: Administrator) -> Response:
    return page(request, tx, NewPersonView(roles=_options()), who)


@router.post("/console/staff")
def add(
    request: Request, ports: Wired, who: Administrator, email: Text = "", name: Text = "", role: Text = ""
) -> Response:  # fmt: skip
    """Let a person into the console; a mail tells them."""

    def deed() -> None:
        with ports.db.session() as tx:
            inviting.add_staff(
                tx, email=email, name=_name(name), role=_role(role), by=who.staff_id, now=transport_now()
            )

    def again(tx: Session, form: FormView, status: int) -> Response:
        return page(request, tx, NewPersonView(roles=_options(), form=form), who, status=status)

    typed = {"email": email, "name": name, "role": role}
    return attempt(ports, "", typed, deed, again, to="/console/staff", done="person-added")


@router.get("/console/staff/{staff_id}")
def one(request: Request, tx: Tx, who: Administrator, staff_id: str) -> Response:
    return _show(request, tx, who, staff_id, FormView(), 200)


@router.post("/console/staff/{staff_id}/role")
def change_role(
    request: Request, ports: Wired, who: Administrator, staff_id: str, note: Note = "", role: Text = ""
) -> Response:  # fmt: skip
    """Another role from the next sign-in on; the sessions with the old one end."""

    def deed(tx: Session) -> None:
        wanted = _role(role)
        if staff.get(tx, staff_id).role is wanted:
            raise Invalid("This is their role already.", param="role")
        staff.change_role(tx, staff_id, wanted, by=who.staff_id, now=transport_now(), why=reason(note))

    return _change(request, ports, who, staff_id, "role", {"note": note, "role": role}, deed, "role-changed")


@router.post("/console/staff/{staff_id}/remove")
def remove(request: Request, ports: Wired, who: Administrator, staff_id: str, note: Note = "") -> Response:
    """Out of the console with the next request."""

    def deed(tx: Session) -> None:
        staff.remove(tx, staff_id, by=who.staff_id, now=transport_now(), why=reason(note))

    return _change(request, ports, who, staff_id, "remove", {"note": note}, deed, "person-removed")


@router.post("/console/staff/{staff_id}/second-factor")
def reset_second_factor(request: Request, ports: Wired, who: Administrator, staff_id: str, note: Note = "") -> Response:
    """For a lost device: the next sign-in sets up a new one."""

    def deed(tx: Session) -> None:
        staff.reset_second_factor(tx, staff_id, by=who.staff_id, now=transport_now(), why=reason(note))

    return _change(request, ports, who, staff_id, "second-factor", {"note": note}, deed, "second-factor-reset")


def _change(
    request: Request, ports: Ports, who: SignedInStaff, staff_id: str, name: str, values: dict[str, str],
    change: Callable[[Session], None], done: str,
) -> Response:  # fmt: skip
    def deed() -> None:
        with ports.db.session() as tx:
            change(tx)

    def again(tx: Session, form: FormView, status: int) -> Response:
        return _show(request, tx, who, staff_id, form, status)

    return attempt(ports, name, values, deed, again, to="/console/staff", done=done)


def _role(given: str) -> StaffRole:
    role = lists.one_of(StaffRole, given)
    if role is None:
        raise Invalid("Choose a role from the list.", param="role")
    return StaffRole(role)


def _name(given: str) -> str:
    """As colleagues know the person; it stands in mails. Raises Invalid."""
    plain = given.strip()
    if not plain or len(plain) > _LONGEST_NAME or not plain.isprintable():
        raise Invalid(f"A name of 1 to {_LONGEST_NAME} characters in one line.", param="name")
    return plain


def _options() -> tuple[Option, ...]:
    return tuple(Option(value=role.value, label=label) for role, label in ROLES.items())


def _second_factor(person: Staff) -> str:
    return "set up" if person.totp_sealed is not None else "not yet"


def _show(request: Request, tx: Session, who: SignedInStaff, staff_id: str, form: FormView, status: int) -> Response:
    person = staff.get(tx, staff_id)
    last = staff.last_sign_ins(tx).get(person.id)
    facts = (
        Fact(name="E-mail", value=person.email),
        Fact(name="Role", value=ROLES[person.role]),
        Fact(name="Second factor", value=_second_factor(person)),
        Fact(name="Last sign-in", value=f"{last:%Y-%m-%d %H:%M} UTC" if last else "none on record"),
        Fact(name="On staff since", value=f"{person.created_at:%Y-%m-%d}"),
    )
    view = DetailView(
        kind="staff", id=person.id, title=person.name or person.email, account=None, facts=facts,
        state="active" if person.totp_sealed is not None else "invited", actions=_actions(person, form), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _actions(person: Staff, form: FormView) -> tuple[Action, ...]:
    here = f"/console/staff/{person.id}"
    tried = form_for("role", form)
    return (
        Action(
            name="role", title="Give another role", button="Change the role", procedure="staff-access",
            href=f"{here}/role", asks="role", asked="Role", options=_options(),
            hint="Their sessions end; the next sign-in has the new role. The reason goes into the audit log.",
            form=tried if tried.errors else FormView(values={"role": person.role.value}),
        ),
        Action(
            name="second-factor", title="Reset the second factor", button="Reset the second factor",
            procedure="lost-second-factor", href=f"{here}/second-factor",
            hint="Only once you have spoken to the person: this is the way around the second factor. Their sessions "
            "end at once. The reason goes into the audit log.",
            form=form_for("second-factor", form),
        ),
        Action(
            name="remove", title="Remove from staff", button="Remove the person", procedure="staff-access",
            href=f"{here}/remove", tone="danger",
            hint="Their sessions end at once. The keys they made go on: look at them too. The reason goes into the "
            "audit log.",
            form=form_for("remove", form),
        ),
    )  # fmt: skip
