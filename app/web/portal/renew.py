"""`/renew/{token}`: the link of a reminder. It shows what it would renew; its one button renews, then it is dead.

Whoever holds the link may act on it, signed in or not (R-SUB-4), so its posts need no form token.
"""

from datetime import timedelta

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.agreements import service as agreements
from app.agreements.service import Evidence, TermsNotAccepted
from app.catalog.models import Plan
from app.core.errors import DomainError
from app.flows import ending, quoting, renewal
from app.flows.ending import AlreadyOver
from app.flows.ports import Ports
from app.flows.renewal import LinkUsed, RenewalNotOpen
from app.orders.errors import AlreadyRenewed
from app.orders.models import Route
from app.quotes import service as quotes
from app.subscriptions import service as subscriptions
from app.subscriptions.models import RenewalLink
from app.web import csrf, show
from app.web.auth import CustomerIfAny
from app.web.deps import Wired, client_ip
from app.web.portal import renewing
from app.web.portal.entry_views import RenewView, StopView
from app.web.portal.render import Form, Posted, see_other
from app.web.portal.renewing import Wish

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])


@router.get("/renew/{token}")
def review(request: Request, ports: Wired, who: CustomerIfAny, token: str, seats: str = "") -> Response:
    """The offer for the next term."""
    link = _open(ports, token)
    if isinstance(link, RenewView):
        return show.portal(request, link, who=who, status=410 if link.state in {"used", "expired"} else 200)
    view = renewing.look(ports, link.subscription_id, Wish(seats), action=f"/renew/{token}")
    return show.portal(request, view, who=who)


@router.post("/renew/{token}")
@csrf.exempt("the token in the address proves the right")
def renew(request: Request, ports: Wired, who: CustomerIfAny, token: str, form: Form) -> Response:
    """Renew what was shown: with the kept card at once, else on to the payment page."""
    link = _open(ports, token)
    if isinstance(link, RenewView):
        return see_other(f"/renew/{token}")
    try:
        return order(request, ports, link.subscription_id, form, token=token)
    except (LinkUsed, AlreadyRenewed, RenewalNotOpen):
        return see_other(f"/renew/{token}")
    except DomainError as refused:
        view = renewing.look(ports, link.subscription_id, Wish(), action=f"/renew/{token}", refused=refused.detail)
        return show.portal(request, view, who=who, status=refused.status)


@router.get("/renew/{token}/stop")
def ask_to_stop(request: Request, ports: Wired, who: CustomerIfAny, token: str, done: str = "") -> Response:
    """What ending it would mean, with the one question why."""
    link = _open(ports, token)
    if isinstance(link, RenewView):
        return see_other(f"/renew/{token}")
    with ports.db.transaction() as tx:
        held = subscriptions.get(tx, link.subscription_id)
        view = StopView(
            state="stopped" if done and held.not_renewing_at is not None else "ask",
            plan=tx.get_one(Plan, held.plan_id).name, company=accounts.get(tx, held.account_id).name,
            until=held.ends_on - timedelta(days=1), action=f"/renew/{token}/stop", back_href=f"/renew/{token}",
        )  # fmt: skip
    return show.portal(request, view, who=who)


@router.post("/renew/{token}/stop")
@csrf.exempt("the token in the address proves the right")
def stop(ports: Wired, token: str, form: Form) -> Response:
    """Do not renew; the subscription runs to its end, and renewing by the same link takes it back."""
    link = _open(ports, token)
    if isinstance(link, RenewView):
        return see_other(f"/renew/{token}")
    try:
        ending.stop(ports, link.subscription_id, reason=form.prose("reason", ending.LONGEST_REASON), by="renewal link")
    except AlreadyOver:
        return see_other(f"/renew/{token}")
    return see_other(f"/renew/{token}/stop?done=1")


def order(request: Request, ports: Ports, subscription_id: str, form: Posted, *, token: str | None) -> Response:
    """Order the posted offer; above the threshold ask for a quote on it. Raises what `renewal.renew` raises."""
    with ports.db.transaction() as tx:
        preview = renewing.preview_of(tx, form.text("preview_id"), subscription_id)
        subscription = subscriptions.get(tx, subscription_id)
        today = ports.clock.now().date()
        new_terms = renewing.terms_to_accept(tx, subscription, today)
        terms = new_terms or agreements.terms_in_force(tx, today)
    if preview.route is Route.SALES:
        quote = quoting.request(ports, preview.id, account_id=subscription.account_id)
        return see_other(f"/q/{ports.secrets.sign_token(quotes.TOKEN, quote.id)}")
    if new_terms is not None and not form.text("accept"):
        raise TermsNotAccepted("The terms have changed; accept them to go on.", param="terms")
    evidence = Evidence(client_ip(request), request.headers.get("user-agent", ""))
    started = renewal.renew(ports, preview.id, terms_id=terms.id, evidence=evidence, token=token)
    return see_other(started.payment_url or f"/orders/{started.token}")


def _open(ports: Ports, token: str) -> RenewalLink | RenewView:
    """The live link, or the page that says why it is dead. Raises NotFound for a token that was never given out."""
    with ports.db.transaction() as tx:
        try:
            return renewal.link_behind(tx, ports, token)
        except LinkUsed as dead:
            return renewing.closed(tx, ports, dead, str(dead.extra.get("subscription") or ""))
