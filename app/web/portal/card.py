"""`/card/{token}`: the link of a mail about a payment that failed. It shows what is owed; its buttons lead to paying.

Whoever holds the link may pay, signed in or not, so its post needs no form token; nobody learns more by it than what is
owed, and looking changes nothing.
"""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.errors import NotFound
from app.dunning.models import Owed, RunState
from app.flows import dunning
from app.flows.ports import Ports
from app.payments import service as payments
from app.web import csrf, show
from app.web.auth import CustomerIfAny
from app.web.deps import Tx, Wired
from app.web.portal.entry_views import CardView
from app.web.portal.render import see_other
from app.web.views import MoneyRow

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])


@router.get("/card/{token}")
def look(request: Request, ports: Wired, tx: Tx, who: CustomerIfAny, token: str) -> Response:
    """What is owed, when it is tried again, and the way to pay with another card."""
    return show.portal(request, _view(tx, ports, token), who=who)


@router.post("/card/{token}")
@csrf.exempt("the token in the address proves the right")
def pay(ports: Wired, token: str) -> Response:
    """On to the provider's page; where nothing is owed any more, back to the page that says so."""
    with ports.db.transaction() as tx:
        run_id = dunning.run_behind(tx, ports, token).id
    try:
        started = dunning.pay_with_another_card(ports, run_id)
    except NotFound:
        return see_other(f"/card/{token}")
    return see_other(started.payment_url or f"/orders/{started.token}")


def _view(tx: Unit, ports: Ports, token: str) -> CardView:
    run = dunning.run_behind(tx, ports, token)
    account = accounts.get(tx, run.account_id)
    if run.state is not RunState.OPEN:
        return CardView(state="paid" if run.state is RunState.RECOVERED else "over", company=account.name)
    found = dunning.standing_of(tx, run.id, Owed.OWED)
    saved = payments.saved_method(tx, run.account_id, ports.payments.name)
    next_try = found.next_try_at if not run.needs_card else None
    return CardView(
        state="owed", company=account.name, action=f"/card/{token}", replace_action=f"/card/{token}/replace",
        rows=tuple(
            MoneyRow(label=each.plan, amount=str(each.amount), note=f"from {each.old_end_on:%d %B %Y}, with tax")
            for each in found.owing
        ),
        total=str(found.total), card=saved.label if saved else "", needs_card=run.needs_card,
        next_try_on=local_date(next_try, account.time_zone) if next_try else None,
        last_try_on=local_date(found.last_try_at, account.time_zone) if found.last_try_at else None,
        button=f"Only pay {found.owing[0].amount} with another card" if found.owing else "",
        several=len(found.owing) > 1,
    )  # fmt: skip
