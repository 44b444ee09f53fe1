"""`/account/payment-methods`: the cards that renewals charge. A new one is entered on the provider's own page.

`/cards/{token}` is where its owner comes back to, from the account, a mailed link or a program's. Whoever holds the
link sees what became of the card; looking changes nothing.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.dunning import service as collecting
from app.dunning.models import Owed, RunState
from app.flows import cards, dunning
from app.flows.ports import Ports
from app.payments import methods
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.payments.models import CardSetup, PaymentMethod, SetupState
from app.web import csrf, show
from app.web.auth import CustomerIfAny, customer
from app.web.deps import Now, Tx, Wired
from app.web.portal.account_views import PaymentMethodRow, PaymentMethodsView
from app.web.portal.entry_views import CardKeptState, CardKeptView
from app.web.portal.order_page import decline_in_words
from app.web.portal.render import Form, account_page, see_other

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.ACCOUNT_READ))]
Writer = Annotated[SignedInCustomer, Depends(customer(Permission.PAYMENT_METHODS_WRITE))]
router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])
_HOME: Final = "/account/payment-methods"


@router.get(_HOME)
def listed(request: Request, ports: Wired, tx: Tx, now: Now, who: Reader, said: str = "") -> Response:
    """The cards the provider keeps, the one that renewals charge first."""
    kept = methods.kept(tx, who.account_id, ports.payments.name)
    today = local_date(now, accounts.get(tx, who.account_id).time_zone)
    rows = tuple(
        PaymentMethodRow(
            method_id=each.id, label=each.label, detail=_expiry(each), state=str(methods.state_of(each, today)),
            default=index == 0,
        )
        for index, each in enumerate(kept)
    )  # fmt: skip
    writes = may(who.role, Permission.PAYMENT_METHODS_WRITE)
    view = PaymentMethodsView(
        methods=rows, add_href=f"{_HOME}/add" if writes else "", default_href=f"{_HOME}/default" if writes else "",
        remove_href=f"{_HOME}/remove" if writes else "",
    )  # fmt: skip
    return account_page(request, tx, view, who, said=said)


@router.post(f"{_HOME}/add")
def add(ports: Wired, who: Writer) -> Response:
    """On to the provider's page, on which a card is entered and nothing is charged."""
    return _to_the_page(ports, who.account_id, by=who.member_id, run_id=None, back=f"{_HOME}?said=provider_away")


@router.post(f"{_HOME}/default")
def choose(ports: Wired, who: Writer, form: Form) -> Response:
    """Charge this card from now on."""
    cards.choose(ports, who.account_id, form.text("method_id"), by=who.member_id)
    return see_other(f"{_HOME}?said=card_chosen")


@router.post(f"{_HOME}/remove")
def remove(ports: Wired, who: Writer, form: Form) -> Response:
    """Never charge this card again."""
    cards.remove(ports, who.account_id, form.text("method_id"), by=who.member_id)
    return see_other(f"{_HOME}?said=card_removed")


@router.post("/card/{token}/replace")
@csrf.exempt("the token in the address proves the right")
def replace(ports: Wired, token: str) -> Response:
    """From the link of a mail about a declined payment: leave another card, which is charged at once."""
    with ports.db.transaction() as tx:
        run = dunning.run_behind(tx, ports, token)
        owed = run.state is RunState.OPEN and bool(collecting.items(tx, run.id, Owed.OWED))
    if not owed:
        return see_other(f"/card/{token}")
    return _to_the_page(ports, run.account_id, by=f"link:{run.id}", run_id=run.id, back=f"/card/{token}")


@router.get("/cards/{token}")
def entered(request: Request, ports: Wired, tx: Tx, who: CustomerIfAny, token: str) -> Response:
    """What became of a card that was entered."""
    return show.portal(request, _entered(tx, ports, token), who=who)


@router.post("/cards/{token}")
@csrf.exempt("the token in the address proves the right, and it only asks the provider")
def ask(ports: Wired, token: str) -> Response:
    """Ask the provider what became of it."""
    with ports.db.transaction() as tx:
        setup_id = cards.behind(tx, ports, token).id
    cards.settle(ports, setup_id)
    return see_other(f"/cards/{token}")


def _to_the_page(ports: Ports, account_id: str, *, by: str, run_id: str | None, back: str) -> Response:
    try:
        row = cards.begin(ports, account_id, by=by, run_id=run_id)
    except (PaymentUnavailable, PaymentRefused):
        return see_other(back)
    return see_other(row.redirect_url or back)


def _expiry(method: PaymentMethod) -> str:
    return f"Good until {method.exp_month:02d}/{method.exp_year}" if method.exp_year and method.exp_month else ""


_STATES: Final[dict[SetupState, CardKeptState]] = {
    SetupState.UNKNOWN: "waiting", SetupState.PENDING: "waiting", SetupState.SUCCEEDED: "kept",
    SetupState.EXPIRED: "over",
}  # fmt: skip


def _entered(tx: Unit, ports: Ports, token: str) -> CardKeptView:
    row = cards.behind(tx, ports, token)
    kept = tx.get(PaymentMethod, row.method_id) if row.method_id else None
    refused = row.state is SetupState.PENDING and row.failure_code is not None
    return CardKeptView(
        state="refused" if refused else _STATES[row.state], company=accounts.get(tx, row.account_id).name,
        card=kept.label if kept else "", failure=decline_in_words(row.failure_code) if refused else "",
        action=f"/cards/{token}", page_href=row.redirect_url or "" if row.state is SetupState.PENDING else "",
        collected=_collected(tx, row), run_href=dunning.card_link(ports, row.run_id) if row.run_id else "",
    )  # fmt: skip


def _collected(tx: Unit, row: CardSetup) -> str:
    """What the new card is being charged, for whoever came by the link about it."""
    if row.run_id is None or collecting.get(tx, row.run_id).state is not RunState.OPEN:
        return ""
    return str(dunning.standing_of(tx, row.run_id).total)
