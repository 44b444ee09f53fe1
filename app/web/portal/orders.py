"""`/orders/{token}`: where an order stands, its license and papers. The token in the address opens it.

Looking changes nothing: whether the payment arrived is asked by POST, by the page's module or by its button.
"""

import json
from dataclasses import replace
from typing import Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.agreements import service as agreements
from app.agreements.models import Acceptance
from app.core.errors import Invalid, NotFound
from app.flows import papers, purchase
from app.flows.ports import Ports
from app.orders.models import OrderState
from app.payments import service as payments
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.surveys import service as surveys
from app.surveys.models import AnswerSource
from app.web import csrf, issued, show
from app.web.auth import CustomerIfAny
from app.web.deps import Wired
from app.web.portal import asking, license_files, paper
from app.web.portal.order_page import Told, order_view, progress_view, read, survey_form
from app.web.portal.render import Form, see_other
from app.web.portal.survey import store

router = APIRouter(include_in_schema=False, prefix="/orders/{token}", dependencies=[Depends(csrf.protect)])


@router.get("")
def order(request: Request, ports: Wired, who: CustomerIfAny, token: str) -> Response:
    """The confirmation, safe to reload and to open from the mail."""
    with ports.db.transaction() as tx:
        view = order_view(tx, ports, read(tx, ports, token))
    return show.portal(request, view, who=who)


@router.post("/refresh")
def refresh(ports: Wired, token: str) -> Response:
    """Ask the payment provider how the payment stands, then show the order."""
    _ask_provider(ports, token)
    return see_other(f"/orders/{token}")


@router.get("/progress")
def progress(request: Request, ports: Wired, token: str) -> Response:
    """The steps as a fragment."""
    return _fragment(request, ports, token, waited_for="workspace")


@router.post("/progress")
def asked_progress(request: Request, ports: Wired, token: str) -> Response:
    """The same after asking the payment provider; once the payment is decided, the page loads itself anew."""
    _ask_provider(ports, token)
    return _fragment(request, ports, token, waited_for="payment")


@router.post("/pay")
def pay(ports: Wired, token: str) -> Response:
    """Lead on to the payment page, a new one where the last attempt failed."""
    with ports.db.transaction() as tx:
        order_id = purchase.order_by_token(tx, ports, token).id
    try:
        started = purchase.resume(ports, order_id)
    except (PaymentUnavailable, PaymentRefused):
        return see_other(f"/orders/{token}")
    return see_other(started.payment_url or f"/orders/{token}")


@router.get("/license")
def license_file(ports: Wired, token: str) -> Response:
    """The license file under the company's name."""
    with ports.db.transaction() as tx:
        told = read(tx, ports, token)
        if told.license is None:
            raise NotFound("There is no license for this order yet.")
        return license_files.download_license(tx, told.license, told.company, ports.clock.now())


@router.get("/invoice.pdf")
def invoice_pdf(request: Request, ports: Wired, token: str) -> Response:
    """The invoice on paper."""
    with ports.db.transaction() as tx:
        invoice = read(tx, ports, token).invoice
        if invoice is None or invoice.number is None:
            raise NotFound("There is no invoice for this order yet.")
        return issued.pdf(request, tx, ports, invoice)


@router.get("/certificate.pdf")
def certificate_pdf(ports: Wired, token: str) -> Response:
    """The evidence that the terms were accepted, on paper."""
    with ports.db.transaction() as tx:
        told = read(tx, ports, token)
        locale = str(told.preview.inputs["buyer"]["locale"])
        document = papers.acceptance_certificate(tx, ports, _acceptance(told), locale)
    return paper.certificate_pdf(document, locale)


@router.get("/certificate.json")
def certificate_json(ports: Wired, token: str) -> Response:
    """The same for a program: the signed text, the key and the signature."""
    with ports.db.transaction() as tx:
        found = _acceptance(read(tx, ports, token))
        text = agreements.statement(found).decode()
    body = json.dumps({"signed_text": text, "kid": found.kid, "signature": found.signature}, indent=1)
    return license_files.download(body, f"{found.id}.json", "application/json")


def _acceptance(told: Told) -> Acceptance:
    if told.acceptance is None:
        raise NotFound("No terms were accepted for this order.")
    return told.acceptance


@router.post("/survey")
def answer_survey(request: Request, ports: Wired, who: CustomerIfAny, token: str, form: Form) -> Response:
    """The answer given on the confirmation page."""
    with ports.db.transaction() as tx:
        told = read(tx, ports, token)
        invitation = surveys.find(tx, ports.secrets, surveys.OURS, told.order.id)
        if invitation is None:
            raise NotFound("There is no survey about this order.")
        try:
            store(tx, invitation, form, AnswerSource.CONFIRMATION_PAGE, ports.clock.now())
        except Invalid as refused:
            view = replace(order_view(tx, ports, told), survey=survey_form(tx, ports, told, refused.detail))
            return show.portal(request, view, who=who, status=refused.status)
    return see_other(f"/orders/{token}")


def _ask_provider(ports: Ports, token: str) -> None:
    """Settle the latest attempt of an unpaid order."""
    with ports.db.transaction() as tx:
        order_row = purchase.order_by_token(tx, ports, token)
        waits = order_row.state is OrderState.AWAITING_PAYMENT
        attempt = payments.latest_attempt(tx, order_row.id) if waits else None
    asking.settle(ports, attempt)


def _fragment(request: Request, ports: Ports, token: str, *, waited_for: Literal["payment", "workspace"]) -> Response:
    with ports.db.transaction() as tx:
        told = read(tx, ports, token)
        decided = told.state != "awaiting_payment" and (waited_for == "payment" or not told.building)
        view = progress_view(tx, told, reload=decided)
    return show.portal(request, view)
