"""Exemption certificates of customers: looked at, accepted, rejected, revoked (ADR 0050)."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Protocol

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.agreements import papers
from app.core import ids
from app.core.clock import local_date
from app.core.db import Tx as Session
from app.flows import exemptions as story
from app.tax import certificates
from app.tax.models import CertificateState, ExemptionCertificate
from app.web.console.render import Note, Reader, actor_name, attempt, can, form_for, page, reason
from app.web.console.tax_overrides import TaxKeeper, tabs
from app.web.console.tax_views import CertificateRow, ExemptionsView
from app.web.deps import Now, Tx, Wired
from app.web.portal.exemptions import REASONS, download, name_of, state_of
from app.web.views import Fact, Form, Link

router = APIRouter()
AT: Final = "/console/tax/exemptions"


class _Act(Protocol):
    def __call__(self, tx: Session, certificate_id: str, why: str, /, *, by: str, now: datetime) -> object: ...


@dataclass(frozen=True, slots=True)
class _Decision:
    """What staff may say of a certificate: the name of its form, the word of the notice, and the act."""

    name: str
    done: str
    act: _Act


_ACCEPT: Final = _Decision("accept", "accepted", story.accept)
_REJECT: Final = _Decision("reject", "rejected", story.reject)
_REVOKE: Final = _Decision("revoke", "revoked", story.revoke)


@router.get(AT)
def listed(request: Request, tx: Tx, now: Now, who: Reader) -> Response:
    """What waits, the oldest first, then what was decided."""
    return _page(request, tx, now, who, Form(), 200)


@router.get(AT + "/{certificate_id}/paper")
def paper(tx: Tx, _who: Reader, certificate_id: str) -> Response:
    """The paper as the customer sent it: always as a download."""
    found = certificates.get(tx, ids.require_form("exc", certificate_id))
    return download(papers.get(tx, found.paper_id), found)


@router.post(AT + "/{certificate_id}/accept")
def accept(
    request: Request, ports: Wired, now: Now, who: TaxKeeper, certificate_id: str, note: Note = ""
) -> Response:  # fmt: skip
    """Let it count: orders from now on bear no tax there."""
    return _decide(request, ports, now, who, certificate_id, note, _ACCEPT)


@router.post(AT + "/{certificate_id}/reject")
def reject(
    request: Request, ports: Wired, now: Now, who: TaxKeeper, certificate_id: str, note: Note = ""
) -> Response:  # fmt: skip
    """Say no; the customer is told the reason."""
    return _decide(request, ports, now, who, certificate_id, note, _REJECT)


@router.post(AT + "/{certificate_id}/revoke")
def revoke(
    request: Request, ports: Wired, now: Now, who: TaxKeeper, certificate_id: str, note: Note = ""
) -> Response:  # fmt: skip
    """Let an accepted one count no longer; the customer is told the reason."""
    return _decide(request, ports, now, who, certificate_id, note, _REVOKE)


def _decide(
    request: Request, ports: Wired, now: datetime, who: SignedInStaff, certificate_id: str, note: str, what: _Decision
) -> Response:  # fmt: skip
    ids.require_form("exc", certificate_id)
    with ports.db.session() as tx:
        certificates.get(tx, certificate_id)

    def decide() -> None:
        with ports.db.session() as tx:
            what.act(tx, certificate_id, reason(note), by=who.staff_id, now=now)

    def again(tx: Session, told: Form, status: int) -> Response:
        return _page(request, tx, now, who, told, status)

    return attempt(
        ports, f"{what.name}-{certificate_id}", {"note": note}, decide, again, to=AT, done=f"certificate-{what.done}"
    )


def _page(request: Request, tx: Session, now: datetime, who: SignedInStaff, form: Form, status: int) -> Response:
    writes = can(who, May.TAX_WRITE)
    view = ExemptionsView(
        tabs=tabs(AT), whole=form,
        waiting=tuple(_row(tx, each, now, writes=writes, form=form) for each in certificates.waiting(tx)),
        decided=tuple(_row(tx, each, now, writes=writes, form=form) for each in certificates.decided(tx)),
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _row(tx: Session, row: ExemptionCertificate, now: datetime, *, writes: bool, form: Form) -> CertificateRow:
    account = accounts.get(tx, row.account_id)
    waits, counts = row.state is CertificateState.SUBMITTED, row.state is CertificateState.ACCEPTED
    at = f"{AT}/{row.id}"
    return CertificateRow(
        id=row.id, title=f"{account.name}: {name_of(row.jurisdiction)}",
        state=state_of(row, local_date(now, account.time_zone)),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"), facts=_facts(tx, row, account),
        accept_href=f"{at}/accept" if writes and waits else "", reject_href=f"{at}/reject" if writes and waits else "",
        revoke_href=f"{at}/revoke" if writes and counts else "", accepting=form_for(f"accept-{row.id}", form),
        rejecting=form_for(f"reject-{row.id}", form), revoking=form_for(f"revoke-{row.id}", form),
    )  # fmt: skip


def _facts(tx: Session, row: ExemptionCertificate, account: Account) -> tuple[Fact, ...]:
    kept = papers.get(tx, row.paper_id)
    until: date | str = row.expires_on or "further notice"
    facts = [
        Fact(name="Account", value=account.name, href=f"/console/accounts/{account.id}"),
        Fact(name="Reason", value=REASONS[row.reason]), Fact(name="Number", value=row.number, mono=True),
        Fact(name="Holds", value=f"{row.signed_on} to {until}"),
        Fact(name="Paper", value=f"{kept.name}, {kept.size:,} bytes", href=f"{AT}/{row.id}/paper"),
        Fact(name="SHA-256", value=kept.sha256, mono=True),
        Fact(name="Sent in", value=f"{row.submitted_at:%Y-%m-%d} by {row.submitted_by}"),
    ]  # fmt: skip
    if row.reviewed_at is not None:
        who = actor_name(tx, row.reviewed_by or "")
        facts.append(Fact(name="Reviewed", value=f"{row.reviewed_at:%Y-%m-%d} by {who}: {row.review_note}"))
    if row.revoked_at is not None:
        who = actor_name(tx, row.revoked_by or "")
        facts.append(Fact(name="Revoked", value=f"{row.revoked_at:%Y-%m-%d} by {who}: {row.revoked_why}"))
    return tuple(facts)
