"""The servers of a license on its page in the console: who they are, and what staff can do about them."""

from typing import Final

from sqlalchemy import select
from sqlmodel import col

from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.catalog.models import Plan
from app.core.clock import transport_now
from app.core.db import Tx
from app.licenses import activating, activation_terms
from app.licenses.activation_models import Activation, ActivationLimit
from app.licenses.heartbeat import Life
from app.licenses.models import License
from app.web.console.lists import day
from app.web.console.render import actor_name, can, form_for
from app.web.console.views import Action, Cell, Input, Related
from app.web.views import Form, Option

_RECENT: Final = 20


def related(tx: Tx, found: License) -> tuple[Related, ...]:
    """Servers bound now, those of before, and limits that staff gave; nothing where there never was one."""
    terms, live = activation_terms.terms_of(tx, found), activating.listed(tx, found.subscription_id)
    query = (
        select(Activation)
        .where(
            col(Activation.subscription_id) == found.subscription_id, col(Activation.deactivated_at).is_not(None)
        )
        .order_by(col(Activation.deactivated_at).desc())
        .limit(_RECENT)
    )  # fmt: skip
    past = list(tx.execute(query).scalars())
    shown: list[Related] = []
    if live or terms.limit is not None:
        of = f" of {terms.limit}" if terms.limit is not None else ""
        more = f", up to {terms.allowed} allowed" if terms.allowed not in {None, terms.limit} else ""
        shown.append(Related(
            title=f"Servers, {len(live)}{of}{more}", columns=("Server", "Place", "Since", "Last seen", "State"),
            rows=tuple(_live(each) for each in live),
        ))  # fmt: skip
    if past:
        shown.append(Related(
            title="Deactivated servers", columns=("Server", "On", "By", "Reason"),
            rows=tuple(
                (_named(each), Cell(text=f"{each.deactivated_at:%Y-%m-%d %H:%M} UTC"),
                 Cell(text=actor_name(tx, each.deactivated_by or "")), Cell(text=each.reason))
                for each in past
            ),
        ))  # fmt: skip
    return (*shown, *_limits(tx, found))


def _limits(tx: Tx, found: License) -> tuple[Related, ...]:
    query = select(ActivationLimit).where(col(ActivationLimit.subscription_id) == found.subscription_id)
    rows = tuple(
        (Cell(text="the plan's" if each.most is None else str(each.most)), day(each.set_at),
         Cell(text=actor_name(tx, each.set_by)), Cell(text=each.reason))
        for each in tx.execute(query.order_by(col(ActivationLimit.id).desc())).scalars()
    )  # fmt: skip
    return (Related(title="Limits given", columns=("Servers", "On", "By", "Reason"), rows=rows),) if rows else ()


def _named(each: Activation) -> Cell:
    return Cell(text=activating.called(each), note=each.fingerprint)


def _live(each: Activation) -> tuple[Cell, ...]:
    silent = activating.seen(each, transport_now()) is Life.DEAD
    state = "silent" if silent else "activated without a network" if each.offline else "bound"
    return (
        _named(each), Cell(text=str(each.slot), number=True), day(each.activated_at),
        Cell(text=f"{each.last_seen_at:%Y-%m-%d %H:%M} UTC"), Cell(text=state.capitalize()),
    )  # fmt: skip


def actions(tx: Tx, found: License, who: SignedInStaff, form: Form) -> tuple[Action, ...]:
    """What this role may do; a plan that binds no servers offers nothing to limit."""
    if not can(who, May.LICENSES_WRITE):
        return ()
    offered: list[Action] = []
    if live := activating.listed(tx, found.subscription_id):
        offered.append(Action(
            name="deactivate", title="Deactivate a server", button="Deactivate it", procedure="activations",
            href=f"/console/licenses/{found.id}/deactivate", asks="activation", asked="Server",
            hint="Its place is free at once, and the move does not count against the customer. A server without a"
            " network goes on until its files end. The reason goes into the audit log.",
            options=tuple(Option(value=each.id, label=f"{activating.called(each)} ({each.slot})") for each in live),
            form=form_for("deactivate", form),
        ))  # fmt: skip
    if tx.get_one(Plan, found.plan_id).activation_rules is not None:
        offered.append(Action(
            name="limit", title="Change how many servers it binds", button="Record the limit", procedure="activations",
            href=f"/console/licenses/{found.id}/limit",
            inputs=(Input(name="most", label="Servers", hint="Left empty: what the plan says."),),
            hint="For this subscription, renewals included. Nobody is cut off by a lower limit, but servers beyond it"
            " are told so. The reason goes into the audit log.", form=form_for("limit", form),
        ))  # fmt: skip
    return tuple(offered)
