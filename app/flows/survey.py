"""After the purchase: one question by mail, one reminder, and never again once it is answered (R-NPS-1).

`enqueue_due` is part of the tick; each mail is a job of its own, and the jobs of one person run one after the
other, so that two purchases of the same day cannot both be mailed.
"""

from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import LegalEntity
from app.core import events, jobs
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError
from app.documents.mail_shapes import Mail, MailName, Occasion, SurveyInvitation, SurveyReminder, Vendor
from app.documents.render_mail import render_mail
from app.flows.ports import Ports
from app.orders.models import Order
from app.surveys import mailing, service
from app.surveys import models as surveys
from app.surveys.mailing import Step


class SenderUnknown(DomainError):
    """A mail must say which company writes, and no legal entity is known yet."""

    status, slug, title = HTTPStatus.CONFLICT, "sender-unknown", "No legal entity can sign this mail"


def enqueue_due(tx: Tx, now: datetime) -> int:
    """Put every survey mail that is due on the queue; returns how many. Safe to repeat and from two workers."""
    due = mailing.due(tx, now)
    for invitation_id, whom in due:
        lock, once = f"survey-person:{whom}", f"survey-mail:{invitation_id}"
        jobs.defer(tx, send_mail, lock=lock, once=once, invitation_id=invitation_id)
    return len(due)


def next_due(tx: Tx, after: datetime) -> datetime | None:
    """The next instant at which `enqueue_due` will find something new: where a walk of the clock has to stop."""
    return mailing.next_due(tx, after)


@jobs.job("survey.mail", retry=jobs.Retry(attempts=8, first=60, factor=3))
def send_mail(ports: Ports, invitation_id: str) -> None:
    """Send the mail that is due for this invitation, if it still is.

    Its message id is made of invitation and step: sent again after a crash, it is the same mail.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        decided = mailing.decide(tx, invitation_id, now)
        if decided is None:
            return
        invitation, step = decided
        mail = _written(tx, ports, invitation, step)
    to, token = invitation.person_email or "", service.token_of(ports.secrets, invitation)
    host = urlsplit(ports.base_url).hostname or "localhost"
    ports.mailer.send(
        to=to, subject=mail.subject, text=mail.text, html=mail.html,
        message_id=f"<{invitation.id}.{step}@{host}>",
        headers={
            # One click in the mail program; opening the address shows a page and changes nothing (RFC 8058).
            "List-Unsubscribe": f"<{ports.link(f'/v1/surveys/links/{token}/opt_out')}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )  # fmt: skip
    with ports.db.transaction() as tx:
        mailing.record(tx, invitation_id, step, now)
        events.append(
            tx, "survey.sent", invitation_id, now=now,
            kind=invitation.kind.value, step=step.value, segment=invitation.segment, test=invitation.test,
        )  # fmt: skip


def _written(tx: Tx, ports: Ports, invitation: surveys.SurveyInvitation, step: Step) -> Mail:
    seller = _seller(tx, invitation)
    token = service.token_of(ports.secrets, invitation)
    shape, name = (
        (SurveyReminder, MailName.SURVEY_REMINDER)
        if step is Step.REMINDER
        else (SurveyInvitation, MailName.SURVEY_INVITATION)
    )
    data = shape(
        vendor=Vendor(ports.vendor_name, _legal_lines(seller), seller.email, test_mode=ports.test_mode),
        person_name=invitation.person_name,
        occasion=Occasion(invitation.kind.value),
        score_urls=tuple(ports.link(f"/survey/{token}?score={score}") for score in range(11)),
        opt_out_url=ports.link(f"/survey/{token}?opt_out=1"),
        # The last whole day: the link dies in the course of the next one.
        open_until=local_date(invitation.expires_at, seller.time_zone) - timedelta(days=1),
    )
    return render_mail(name, data, invitation.locale)


def _seller(tx: Tx, invitation: surveys.SurveyInvitation) -> LegalEntity:
    """The company on the invoice; for a purchase in another system, the first that is known."""
    order = tx.get(Order, invitation.order_id) if invitation.order_id else None
    if order is not None:
        return tx.get_one(LegalEntity, order.legal_entity_id)
    first = tx.execute(select(LegalEntity).order_by(col(LegalEntity.code)).limit(1)).scalar_one_or_none()
    if first is None:
        raise SenderUnknown("Apply a catalog with a legal entity; the mail is tried again.")
    return first


def _legal_lines(seller: LegalEntity) -> tuple[str, ...]:
    town = f"{seller.postcode} {seller.city}"
    lines = (seller.name, seller.line1, seller.line2, town, " ".join(filter(None, (seller.region, seller.country))))
    return tuple(filter(None, lines))


@jobs.job("survey.forget_old", every="29 3 * * *", retry=jobs.Retry(attempts=3))
def forget_old(ports: Ports) -> None:
    """Detach answers from people once they are older than the retention policy says."""
    while True:
        with ports.db.transaction() as tx:
            if not service.forget_old(tx, ports.secrets, ports.clock.now()):
                return
