"""`/account/subscriptions`: terms, seats, prices, and the renewal from inside the account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts.permissions import Permission
from app.accounts.sessions import SignedInCustomer
from app.core.errors import DomainError
from app.flows import ending
from app.flows.renewal import RenewalNotOpen
from app.orders.errors import AlreadyRenewed
from app.subscriptions.models import Subscription
from app.web import csrf, show
from app.web.auth import customer
from app.web.deps import Now, Tx, Wired
from app.web.portal import owned, renewing
from app.web.portal.render import Form, account_page, see_other
from app.web.portal.renew import order
from app.web.portal.renewing import Wish
from app.web.portal.subscription_page import row, shown, today_of
from app.web.portal.subscription_views import SubscriptionsView

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.ACCOUNT_READ))]
Renewer = Annotated[SignedInCustomer, Depends(customer(Permission.SUBSCRIPTIONS_WRITE))]
router = APIRouter(
    include_in_schema=False, prefix="/account/subscriptions", dependencies=[Depends(csrf.protect)]
)  # fmt: skip


@router.get("")
def listed(request: Request, tx: Tx, now: Now, who: Reader) -> Response:
    """Every subscription the account has had, newest first."""
    today = today_of(tx, who, now)
    rows = tuple(row(tx, each, today) for each in owned.all_of(tx, who, Subscription))
    return account_page(request, tx, SubscriptionsView(subscriptions=rows, pricing_href="/"), who)


@router.get("/{subscription_id}")
def one(request: Request, ports: Wired, who: Reader, subscription_id: str, said: str = "") -> Response:
    """One subscription with its terms, what waits, and the form to change it."""
    with ports.db.transaction() as tx:
        held = owned.one(tx, who, Subscription, "sub", subscription_id)
    return shown(request, ports, who, held, said=said)


@router.post("/{subscription_id}/cancel")
def cancel(ports: Wired, who: Renewer, subscription_id: str, form: Form) -> Response:
    """Do not renew, with a reason where one is given."""
    _own(ports, who, subscription_id)
    ending.stop(ports, subscription_id, reason=form.prose("reason", ending.LONGEST_REASON), by=who.member_id)
    return see_other(f"/account/subscriptions/{subscription_id}?said=not_renewing")


@router.post("/{subscription_id}/resume")
def resume(ports: Wired, who: Renewer, subscription_id: str) -> Response:
    """Renew after all."""
    _own(ports, who, subscription_id)
    ending.take_back(ports, subscription_id, by=who.member_id)
    return see_other(f"/account/subscriptions/{subscription_id}?said=renewing_again")


@router.post("/{subscription_id}/auto-renew")
def auto_renew(ports: Wired, who: Renewer, subscription_id: str, form: Form) -> Response:
    """Let it renew by itself with the saved card, or not."""
    _own(ports, who, subscription_id)
    on = form.text("on") == "yes"
    ending.renew_by_itself(ports, subscription_id, on=on, by=who.member_id)
    return see_other(f"/account/subscriptions/{subscription_id}?said=auto_renew_{'on' if on else 'off'}")


@router.get("/{subscription_id}/renew")
def review(request: Request, ports: Wired, who: Renewer, subscription_id: str, seats: str = "") -> Response:
    """The same review as behind the mailed link."""
    _own(ports, who, subscription_id)
    view = renewing.look(ports, subscription_id, Wish(seats), action=f"/account/subscriptions/{subscription_id}/renew")
    return show.portal(request, view, who=who)


@router.post("/{subscription_id}/renew")
def renew(request: Request, ports: Wired, who: Renewer, subscription_id: str, form: Form) -> Response:
    """Renew what was shown."""
    _own(ports, who, subscription_id)
    path = f"/account/subscriptions/{subscription_id}/renew"
    try:
        return order(request, ports, subscription_id, form, token=None)
    except (AlreadyRenewed, RenewalNotOpen):
        return see_other(path)
    except DomainError as refused:
        view = renewing.look(ports, subscription_id, Wish(), action=path, refused=refused.detail)
        return show.portal(request, view, who=who, status=refused.status)


def _own(ports: Wired, who: SignedInCustomer, subscription_id: str) -> None:
    with ports.db.transaction() as tx:
        owned.one(tx, who, Subscription, "sub", subscription_id)
