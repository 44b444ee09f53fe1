"""`/account/privacy`: a copy of what is kept, the survey choice, and the request to be erased."""

import json
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.core import audit, events
from app.core.db import Tx as Unit
from app.flows.ports import Ports
from app.privacy import export as exporting
from app.privacy.export import Reader as Asking
from app.surveys import service as surveys
from app.web import csrf
from app.web.auth import customer
from app.web.deps import Now, Tx, Wired
from app.web.portal.account_views import PrivacyView
from app.web.portal.license_files import download
from app.web.portal.render import Form, account_page, see_other
from app.web.views import Fact
from app.web.views import Form as FormView

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.ACCOUNT_READ))]
Writer = Annotated[SignedInCustomer, Depends(customer(Permission.PRIVACY_WRITE))]
router = APIRouter(include_in_schema=False, prefix="/account/privacy", dependencies=[Depends(csrf.protect)])
_KEPT: Final = (
    Fact(name="Invoices and the books behind them", value="as long as tax law asks, up to ten years"),
    Fact(name="Evidence that terms were accepted", value="as long as claims from the order can be made"),
    Fact(name="Licenses that are still valid", value="until they end, without your name on our side after that"),
)


@router.get("")
def privacy(request: Request, ports: Wired, tx: Tx, who: Reader, said: str = "") -> Response:
    """What is stored, and what can be done about it."""
    return account_page(request, tx, _view(tx, ports, who, FormView()), who, said=said)


@router.post("/export")
def export(tx: Tx, now: Now, who: Writer) -> Response:
    """Everything personal of the account, and of the reader's own person, as one JSON file."""
    found = exporting.export(tx, Asking(who.account_id, who.email), now)
    audit.record(tx, who.account_id, actor=who.member_id, action="privacy.exported", subject=who.account_id, now=now)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    return download(text.encode(), f"personal-data-{now:%Y-%m-%d}.json", "application/json")


@router.post("/surveys")
def survey_choice(ports: Wired, tx: Tx, now: Now, who: Reader, form: Form) -> Response:
    """Be asked after purchases, or not; it is about the reader's own address only."""
    if form.text("opt_out"):
        surveys.opt_out_person(tx, ports.secrets, who.email, now)
        return see_other("/account/privacy?said=surveys_off")
    surveys.opt_in(tx, ports.secrets, who.email)
    return see_other("/account/privacy?said=surveys_on")


@router.post("/erase")
def ask_to_erase(request: Request, ports: Wired, tx: Tx, now: Now, who: Writer, form: Form) -> Response:
    """Record the request; a person carries it out, because what the law keeps differs from account to account."""
    typed = form.text("confirm")
    if typed.lower() != who.email.lower():
        bad = FormView(values={"confirm": typed}, errors={"confirm": f"Type {who.email} to confirm."})
        return account_page(request, tx, _view(tx, ports, who, bad), who, status=422)
    events.append(tx, "privacy.erasure_requested", who.account_id, now=now, account_id=who.account_id,
                  member=who.member_id)  # fmt: skip
    audit.record(tx, who.account_id, actor=who.member_id, action="privacy.erasure_requested", subject=who.account_id,
                 now=now)  # fmt: skip
    return see_other("/account/privacy?said=asked_to_erase")


def _view(tx: Unit, ports: Ports, who: SignedInCustomer, form: FormView) -> PrivacyView:
    account = accounts.get(tx, who.account_id)
    place = ", ".join(part for part in (account.line1, f"{account.postcode} {account.city}", account.country) if part)
    writes = may(who.role, Permission.PRIVACY_WRITE)
    return PrivacyView(
        stored=(
            Fact(name="Your sign-in", value=f"{who.name or who.email}, {who.email}"),
            Fact(name="Account", value=f"{account.name}, {place}"),
            Fact(name="With it", value="people and roles, orders, invoices, licenses, acceptances, tax ids, sessions"),
        ),
        kept=_KEPT, form=form, export_href="/account/privacy/export" if writes else "",
        erase_href="/account/privacy/erase" if writes else "", survey_href="/account/privacy/surveys",
        survey_opt_out=surveys.has_opted_out(tx, ports.secrets, who.email),
    )  # fmt: skip
