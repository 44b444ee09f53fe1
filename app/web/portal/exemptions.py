"""`/account/exemptions`: certificates that relieve the account from a tax, sent in and looked at by a person."""

from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.agreements import papers
from app.agreements.models import Paper
from app.agreements.papers import Upload
from app.core.db import Tx as Unit
from app.core.errors import DomainError, Invalid
from app.documents.wording import place_name
from app.flows import exemptions as story
from app.tax import certificates
from app.tax.certificates import Stated
from app.tax.models import CertificateReason, CertificateState, ExemptionCertificate
from app.web import csrf
from app.web.auth import customer
from app.web.deps import Now, Tx, Wired
from app.web.portal import owned
from app.web.portal.account_views import ExemptionRow, ExemptionsView
from app.web.portal.render import Form, Posted, account_page, see_other
from app.web.views import Form as FormView
from app.web.views import Option

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.ACCOUNT_READ))]
Writer = Annotated[SignedInCustomer, Depends(customer(Permission.TAX_IDS_WRITE))]
router = APIRouter(include_in_schema=False, prefix="/account", dependencies=[Depends(csrf.protect)])
REASONS: Final = {
    CertificateReason.RESALE: "Bought for resale", CertificateReason.GOVERNMENT: "Government",
    CertificateReason.NONPROFIT: "Nonprofit or charity", CertificateReason.EDUCATION: "School or university",
    CertificateReason.DIRECT_PAY: "Direct pay permit", CertificateReason.OTHER: "Another reason",
}  # fmt: skip
_INPUTS: Final = ("jurisdiction", "reason", "number", "signed_on", "expires_on")


@router.get("/exemptions")
def listed(request: Request, tx: Tx, now: Now, who: Reader, said: str = "") -> Response:
    """The certificates of the account, and the form for another."""
    account = accounts.get(tx, who.account_id)
    usual = f"{account.country}-{account.region}" if account.region else account.country
    form = FormView(values={"jurisdiction": usual, "reason": CertificateReason.RESALE.value})
    return account_page(request, tx, _view(tx, who, form, now.date()), who, said=said)


@router.post("/exemptions")
def submit(request: Request, ports: Wired, now: Now, who: Writer, form: Form) -> Response:
    """Send one in; it counts once a person has looked at it."""
    try:
        stated = stated_in(form)
        with ports.db.transaction() as tx:
            story.submit(tx, who.account_id, stated, Upload(form.upload), by=who.member_id, now=now)
    except DomainError as refused:
        known = refused.param if refused.param in {*_INPUTS, "file"} else ""
        values = {name: form.text(name) for name in _INPUTS}
        bad = FormView(values=values, errors={known or "": refused.detail})
        with ports.db.transaction() as tx:
            return account_page(request, tx, _view(tx, who, bad, now.date()), who, status=refused.status)
    return see_other("/account/exemptions?said=certificate_sent")


@router.get("/exemptions/{certificate_id}/paper")
def paper(tx: Tx, who: Reader, certificate_id: str) -> Response:
    """The paper as it was sent in: always as a download."""
    found = owned.one(tx, who, ExemptionCertificate, "exc", certificate_id)
    return download(papers.get(tx, found.paper_id), found)


def download(kept: Paper, found: ExemptionCertificate) -> Response:
    """A kept paper, never shown by the browser itself."""
    ending = papers.kind_of(kept.content)[1]
    headers = {"Content-Disposition": f'attachment; filename="{found.id}.{ending}"'}
    return Response(kept.content, media_type=kept.media_type, headers=headers)


def stated_in(form: Posted) -> Stated:
    """What was typed. Raises Invalid for what is no day."""
    last = form.text("expires_on")
    return Stated(
        jurisdiction=form.text("jurisdiction"), reason=form.text("reason"), number=form.text("number"),
        signed_on=_day(form.text("signed_on"), "signed_on"), expires_on=_day(last, "expires_on") if last else None,
    )  # fmt: skip


def _day(text: str, param: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise Invalid("Write the day as 2026-12-31.", param=param) from exc


def _view(tx: Unit, who: SignedInCustomer, form: FormView, today: date) -> ExemptionsView:
    writes = may(who.role, Permission.TAX_IDS_WRITE)
    return ExemptionsView(
        certificates=tuple(_row(each, today) for each in owned.all_of(tx, who, ExemptionCertificate)),
        places=tuple(
            (group, tuple(Option(value=code, label=name_of(code)) for code in codes)) for group, codes in _places()
        ),
        reasons=tuple(Option(value=each.value, label=label) for each, label in REASONS.items()), form=form,
        action="/account/exemptions" if writes else "",
    )  # fmt: skip


def _places() -> tuple[tuple[str, tuple[str, ...]], ...]:
    every = certificates.jurisdictions()
    states, provinces = (tuple(code for code in every if code.startswith(head)) for head in ("US-", "CA-"))
    countries = tuple(sorted((code for code in every if "-" not in code), key=name_of))
    return ("United States", states), ("Canada", provinces), ("Elsewhere", countries)


def name_of(jurisdiction: str) -> str:
    """`New York`, `Germany`."""
    return place_name(jurisdiction, "en")


def state_of(row: ExemptionCertificate, today: date) -> str:
    """What a certificate's badge says; an accepted one past its last day has expired."""
    if row.state is CertificateState.SUBMITTED:
        return "under_review"
    over = row.state is CertificateState.ACCEPTED and row.expires_on is not None and row.expires_on < today
    return "expired" if over else row.state.value


def _row(row: ExemptionCertificate, today: date) -> ExemptionRow:
    until = f", until {row.expires_on}" if row.expires_on else ""
    why = row.review_note if row.state is CertificateState.REJECTED else row.revoked_why
    return ExemptionRow(
        number=row.number, place=name_of(row.jurisdiction), reason=REASONS[row.reason],
        holds=f"From {row.signed_on}{until}", state=state_of(row, today), note=why or "",
        href=f"/account/exemptions/{row.id}/paper",
    )  # fmt: skip
