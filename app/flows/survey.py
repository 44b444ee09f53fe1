"""After the purchase: one question by mail, one reminder, and never again once it is answered (R-NPS-1).

`enqueue_due` is part of the tick; each mail is a job of its own, and the jobs of one person run one after the
other, so that two purchases of the same day cannot both be mailed.
"""

from datetime import datetime, timedelta

from app.accounts import service as accounts
from app.accounts.models import LegalEntity
from app.core import events, jobs
from app.core.clock import local_date
from app.core.db import Tx
from app.documents.mail_shapes import MailName, Occasion, SurveyInvitation, SurveyReminder
from app.flows import notify
from app.flows.ports import Ports
from app.orders.models import Order
from app.surveys import mailing, service
from app.surveys import models as surveys
from app.surveys.mailing import Step

_MAILS = {
    Step.INVITATION: (MailName.SURVEY_INVITATION, SurveyInvitation),
    Step.REMINDER: (MailName.SURVEY_REMINDER, SurveyReminder),
}


def enqueue_due(ports: Ports) -> int:
    """Put every survey mail that is due on the queue; returns how many. Safe to repeat and from two workers."""
    with ports.db.transaction() as tx:
        due = mailing.due(tx, ports.clock.now())
        for invitation_id, whom in due:
            lock, once = f"survey-person:{whom}", f"survey-mail:{invitation_id}"
            jobs.defer(tx, send_mail, lock=lock, once=once, invitation_id=invitation_id)
    return len(due)


def next_due(tx: Tx, after: datetime) -> datetime | None:
    """The next instant at which `enqueue_due` will find something new: where a walk of the clock may stop."""
    return mailing.next_due(tx, after)


@jobs.job("survey.mail", retry=jobs.Retry(attempts=8, first=60, factor=3))
def send_mail(ports: Ports, *, invitation_id: str) -> None:
    """Send the mail that is due for this invitation, if it still is.

    Its message id is made of invitation and step: sent again after a crash, it is the same mail.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        decided = mailing.decide(tx, invitation_id, now)
        if decided is None:
            return
        invitation, step = decided
        data = _data(tx, ports, invitation, step)
    notify.send(
        ports, _MAILS[step][0], data, to=invitation.person_email or "", locale=invitation.locale,
        message_id=f"survey-{step}-{invitation.id}",
    )  # fmt: skip
    with ports.db.transaction() as tx:
        mailing.record(tx, invitation_id, step, now)
        events.append(
            tx, "survey.sent", invitation_id, now=now,
            kind=invitation.kind.value, step=step.value, segment=invitation.segment, test=invitation.test,
        )  # fmt: skip


def _data(tx: Tx, ports: Ports, invitation: surveys.SurveyInvitation, step: Step) -> SurveyInvitation:
    seller = _seller(tx, invitation)
    token = service.token_of(ports.secrets, invitation)
    return _MAILS[step][1](
        vendor=notify.vendor(ports, seller),
        person_name=invitation.person_name,
        occasion=Occasion(invitation.kind.value),
        score_urls=tuple(ports.link(f"/survey/{token}?score={score}") for score in range(11)),
        # A person opens the page with the button; a mail program posts to the same address (RFC 8058, ADR 0032).
        opt_out_url=ports.link(f"/survey/{token}/opt-out"),
        # The last whole day: the link dies in the course of the next one.
        open_until=local_date(invitation.expires_at, seller.time_zone) - timedelta(days=1),
    )


def _seller(tx: Tx, invitation: surveys.SurveyInvitation) -> LegalEntity:
    """The company on the invoice; for a purchase in another system, the one that sells here."""
    order = tx.get(Order, invitation.order_id) if invitation.order_id else None
    return tx.get_one(LegalEntity, order.legal_entity_id) if order else accounts.seller(tx)


@jobs.job("survey.forget_old", every="29 3 * * *", retry=jobs.Retry(attempts=3))
def forget_old(ports: Ports) -> None:
    """Detach answers from people once they are older than the retention policy says."""
    while True:
        with ports.db.transaction() as tx:
            if not service.forget_old(tx, ports.secrets, ports.clock.now()):
                return
