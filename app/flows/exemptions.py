"""Exemption certificates from the upload to the mail before they end: accepted ones relieve the orders that follow."""

from datetime import datetime
from typing import Final

from app.accounts import service as accounts
from app.agreements import papers
from app.agreements.models import PaperKind
from app.agreements.papers import Upload
from app.core import events, jobs, policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError
from app.documents.mail_shapes import MailName
from app.documents.money_mails import CertificateEnding, CertificateReviewed
from app.documents.wording import place_name
from app.flows import notify
from app.flows.ports import Ports
from app.tax import certificates
from app.tax.certificates import Stated
from app.tax.models import CertificateState, ExemptionCertificate

REMIND_DAYS: Final = policy.declare(
    policy.Policy("certificate_reminder_days", 30, policy.whole_number(minimum=1),
                  "Days before the end of an exemption certificate on which the customer is reminded.")
)  # fmt: skip
MOST_WAITING: Final = policy.declare(
    policy.Policy("certificates_waiting", 20, policy.whole_number(minimum=1),
                  "How many exemption certificates of one account may wait for a review at a time.")
)  # fmt: skip


class TooManyWaiting(DomainError):
    slug, title = "too-many-certificates", "Too many certificates of this account wait for a review"


def submit(tx: Tx, account_id: str, stated: Stated, upload: Upload, *, by: str, now: datetime) -> ExemptionCertificate:
    """Keep a certificate with its paper until somebody has looked at it; it changes no tax before.

    Raises Invalid (naming the field), PaperRefused, TooManyWaiting.
    """
    account = accounts.get(tx, account_id)
    known = certificates.checked(stated, local_date(now, account.time_zone))
    most = policy.get(tx, MOST_WAITING, now)
    if certificates.waiting_of(tx, account_id) >= most:
        raise TooManyWaiting(f"{most} wait already; send the next one when they were looked at.")
    paper = papers.keep(tx, upload, account_id=account_id, kind=PaperKind.EXEMPTION, by=by, now=now)
    return certificates.submit(tx, account_id, known, paper.id, by=by, now=now)


def accept(tx: Tx, certificate_id: str, note: str, *, by: str, now: datetime) -> ExemptionCertificate:
    """Let it count, and tell the customer. Raises NotFound, CertificateDecided, Invalid (expired meanwhile)."""
    account = accounts.get(tx, certificates.get(tx, certificate_id).account_id)
    row = certificates.accept(
        tx, certificate_id, note=note, remind_days=policy.get(tx, REMIND_DAYS, now), time_zone=account.time_zone,
        by=by, now=now, today=local_date(now, account.time_zone),
    )  # fmt: skip
    jobs.defer(tx, reviewed, certificate_id=row.id, state=row.state.value)
    return row


def reject(tx: Tx, certificate_id: str, reason: str, *, by: str, now: datetime) -> ExemptionCertificate:
    """Say no, and tell the customer why. Raises NotFound, CertificateDecided."""
    row = certificates.reject(tx, certificate_id, reason=reason, by=by, now=now)
    jobs.defer(tx, reviewed, certificate_id=row.id, state=row.state.value)
    return row


def revoke(tx: Tx, certificate_id: str, reason: str, *, by: str, now: datetime) -> ExemptionCertificate:
    """Let it count no longer, and tell the customer why. Raises NotFound, CertificateDecided."""
    row = certificates.revoke(tx, certificate_id, reason=reason, by=by, now=now)
    jobs.defer(tx, reviewed, certificate_id=row.id, state=row.state.value)
    return row


def tell_due(ports: Ports) -> int:
    """Put a mail on the queue for every certificate that ends soon or has ended, once each."""
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        found = certificates.ending(tx, now)
        for row in found:
            over = row.ends_at is not None and row.ends_at <= now
            if over:
                row.end_told_at = now
            # Whoever slept through the reminder is told once: that it is over.
            row.reminded_at = row.reminded_at or now
            jobs.defer(tx, ending, certificate_id=row.id, over=over)
            events.append(
                tx, "exemption_certificate.expired" if over else "exemption_certificate.expiring", row.id, now=now,
                account_id=row.account_id, jurisdiction=row.jurisdiction, expires_on=str(row.expires_on),
            )  # fmt: skip
    return len(found)


@jobs.job("notify.certificate_reviewed", retry=jobs.Retry(attempts=10, first=5))
def reviewed(ports: Ports, *, certificate_id: str, state: str) -> None:
    """What was decided, with the reason of a no."""
    with ports.db.transaction() as tx:
        row = certificates.get(tx, certificate_id)
        account = accounts.get(tx, row.account_id)
        why = row.revoked_why if state == CertificateState.REVOKED else row.review_note
        data = CertificateReviewed(
            vendor=notify.sender(tx, ports), person_name="", number=row.number,
            jurisdiction=place_name(row.jurisdiction, account.locale), state=state,
            why="" if state == CertificateState.ACCEPTED else why or "", expires_on=row.expires_on,
            certificates_url=ports.link("/account/exemptions"),
        )  # fmt: skip
    notify.send(ports, MailName.CERTIFICATE_REVIEWED, data, to=account.email, locale=account.locale,
                message_id=f"certificate-{state}-{row.id}")  # fmt: skip


@jobs.job("notify.certificate_ending", retry=jobs.Retry(attempts=10, first=5))
def ending(ports: Ports, *, certificate_id: str, over: bool) -> None:
    """That it ends soon, or has ended; nothing where it was revoked or replaced meanwhile."""
    with ports.db.transaction() as tx:
        row = certificates.get(tx, certificate_id)
        if row.state is not CertificateState.ACCEPTED or row.expires_on is None:
            return
        account = accounts.get(tx, row.account_id)
        data = CertificateEnding(
            vendor=notify.sender(tx, ports), person_name="", number=row.number,
            jurisdiction=place_name(row.jurisdiction, account.locale), expires_on=row.expires_on, over=over,
            certificates_url=ports.link("/account/exemptions"),
        )  # fmt: skip
    notify.send(ports, MailName.CERTIFICATE_ENDING, data, to=account.email, locale=account.locale,
                message_id=f"certificate-{'ended' if over else 'ending'}-{row.id}")  # fmt: skip
