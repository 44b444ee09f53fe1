"""Changing seats, plan and add-ons from the subscription's page: shown, confirmed, scheduled, taken back."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts.permissions import Permission
from app.accounts.sessions import SignedInCustomer
from app.agreements import service as agreements
from app.agreements.service import Evidence, TermsNotAccepted
from app.core.errors import DomainError
from app.flows import quoting, seat_change
from app.flows.ports import Ports
from app.flows.seat_change import Ordering
from app.orders.changes import AT_RENEWAL, Change
from app.orders.errors import PreviewChanged, PreviewExpired
from app.orders.models import PayBy, Route
from app.quotes import service as quotes
from app.subscriptions.models import Subscription
from app.web import csrf, show
from app.web.auth import customer
from app.web.deps import Wired, client_ip
from app.web.portal import owned, renewing, subscription_page
from app.web.portal.changing_view import INPUTS, Filled, look
from app.web.portal.render import Form, Posted, see_other

Changer = Annotated[SignedInCustomer, Depends(customer(Permission.SUBSCRIPTIONS_WRITE))]
router = APIRouter(
    include_in_schema=False, prefix="/account/subscriptions/{subscription_id}", dependencies=[Depends(csrf.protect)]
)  # fmt: skip


@router.post("/change/preview")
def preview(request: Request, ports: Wired, who: Changer, subscription_id: str, form: Form) -> Response:
    """The figures alone, for the page's module."""
    view, _ = look(ports, _own(ports, who, subscription_id), Filled.of(form))
    return show.portal(request, view, who=who)


@router.post("/change")
def change(request: Request, ports: Wired, who: Changer, subscription_id: str, form: Form) -> Response:
    """Show what is asked for, or carry out what was shown."""
    held = _own(ports, who, subscription_id)
    filled = Filled.of(form)
    notice, status = "", 200
    errors: dict[str, str] = {}
    if form.text("intent") == "place":
        try:
            return _place(request, ports, who, held, filled, form)
        except (PreviewChanged, PreviewExpired) as stale:
            notice, status = "changed", int(stale.status)
        except DomainError as refused:
            errors, status = {INPUTS.get(refused.param or "", ""): refused.detail}, int(refused.status)
    view, no = look(ports, held, filled, notice)
    if no is not None and status == 200:
        status = int(no.status)
    if errors:
        view = replace(view, form=replace(view.form, errors={**view.form.errors, **errors}))
    return subscription_page.shown(request, ports, who, held, seat_change=view, status=status)


def _place(
    request: Request, ports: Ports, who: SignedInCustomer, held: Subscription, filled: Filled, form: Posted
) -> Response:  # fmt: skip
    with ports.db.transaction() as tx:
        offer = renewing.preview_of(tx, form.text("preview_id"), held.id)
        wished = seat_change.targets(tx, held, filled.wanted) if filled.wanted is not None else []
        if [{"sku": each.sku, "quantity": each.quantity} for each in wished] != offer.inputs["lines"]:
            raise PreviewChanged("The figures were for something else.", preview=offer.id)
        new_terms = renewing.terms_to_accept(tx, held, ports.clock.now().date())
        terms = new_terms or agreements.terms_in_force(tx, ports.clock.now().date())
    at_once = Change.from_json(offer.change or {}).effective != AT_RENEWAL
    if offer.route is Route.SALES:
        quote = quoting.request(ports, offer.id, account_id=held.account_id)
        return see_other(f"/q/{ports.secrets.sign_token(quotes.TOKEN, quote.id)}")
    if at_once and new_terms is not None and not form.text("accept"):
        raise TermsNotAccepted("The terms have changed; accept them to go on.", param="terms")
    evidence = Evidence(client_ip(request), request.headers.get("user-agent", ""))
    pay_by = PayBy.INVOICE if filled.on_invoice and at_once else PayBy.CARD
    done = seat_change.commit(ports, offer.id, Ordering(terms.id, evidence, who.member_id, pay_by, filled.po_number))
    if done.started is None:
        return see_other(f"/account/subscriptions/{held.id}?said=change_scheduled")
    return see_other(done.started.payment_url or f"/orders/{done.started.token}")


@router.post("/change/cancel")
def cancel(ports: Wired, who: Changer, subscription_id: str) -> Response:
    """Give up the change that waits for its payment."""
    _own(ports, who, subscription_id)
    seat_change.give_up(ports, subscription_id, by=who.member_id)
    return see_other(f"/account/subscriptions/{subscription_id}?said=change_canceled")


@router.post("/changes/{change_id}/withdraw")
def withdraw(ports: Wired, who: Changer, subscription_id: str, change_id: str) -> Response:
    """Take back what is scheduled for the next term."""
    _own(ports, who, subscription_id)
    seat_change.withdraw(ports, subscription_id, change_id, by=who.member_id)
    return see_other(f"/account/subscriptions/{subscription_id}?said=change_withdrawn")


def _own(ports: Ports, who: SignedInCustomer, subscription_id: str) -> Subscription:
    with ports.db.transaction() as tx:
        return owned.one(tx, who, Subscription, "sub", subscription_id)
