"""How an account stands with its invoices: facts and actions for its page."""

from typing import Final

from app.accounts import service
from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core.clock import local_date
from app.core.db import Tx
from app.core.money import Money
from app.flows import trade_credit
from app.flows.ports import Ports
from app.web.console.render import can, form_for
from app.web.console.views import Action, Input
from app.web.views import Fact, Form

_PROCEDURE: Final = "credit"


def facts(tx: Tx, ports: Ports, account: Account) -> tuple[Fact, ...]:
    """What is open, what may be, and what stands in the way."""
    now = ports.clock.now()
    found = trade_credit.standing(tx, account, local_date(now, service.seller(tx).time_zone), now)
    owed = ", ".join(str(each.amount) for each in found.owed) or "nothing"
    limits = ", ".join(str(Money(minor, currency)) for currency, minor in sorted(found.limits.items()))
    facts = [Fact(name="Owes", value=owed), Fact(name="May owe", value=limits or "nothing")]
    if found.late_since is not None:
        facts.append(Fact(name="Late since", value=str(found.late_since)))
    if found.frozen_why:
        facts.append(Fact(name="Credit frozen", value=found.frozen_why))
    return tuple(facts)


def actions(tx: Tx, account: Account, who: SignedInStaff, form: Form) -> tuple[Action, ...]:
    if not can(who, May.PAYMENTS_WRITE):
        return ()
    here = f"/console/accounts/{account.id}/credit"
    terms = service.credit_terms(tx, account.id)
    frozen = terms is not None and terms.frozen_at is not None
    change = (
        Action(name="unfreeze", title="Allow invoices again", button="Allow invoices", href=f"{here}/unfreeze",
               procedure=_PROCEDURE, form=form_for("unfreeze", form))
        if frozen
        else Action(name="freeze", title="Stop orders on invoice", button="Stop invoices", tone="danger",
                    href=f"{here}/freeze", procedure=_PROCEDURE, form=form_for("freeze", form),
                    hint="Kept in the audit log; the customer is told to pay by card, not why.")
    )  # fmt: skip
    return (
        change,
        Action(
            name="limit", title="Set how much it may owe", button="Set the limit", href=f"{here}/limit",
            procedure=_PROCEDURE, form=form_for("limit", form),
            inputs=(Input(name="amount", label="Limit", hint="Such as 7,500.00."),
                    Input(name="currency", label="Currency", hint="Such as EUR.")),
        ),
    )  # fmt: skip
