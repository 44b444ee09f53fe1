"""Agreements of single customers that end soon: sales are told once, so that none ends unseen."""

from datetime import timedelta
from typing import Final

from app.accounts import service as accounts
from app.agreements import contracts
from app.core import events, jobs, policy
from app.documents.mail_shapes import AgreementEnding, MailName
from app.flows import notify
from app.flows.ports import Ports

REMIND_DAYS: Final = policy.declare(
    policy.Policy("agreement_reminder_days", 60, policy.whole_number(minimum=1),
                  "Days before the end of a custom agreement on which sales are reminded.")
)  # fmt: skip


def remind_due(ports: Ports) -> int:
    """Put a reminder on the queue for every agreement that ends soon, once each."""
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        found = contracts.due(tx, now)
        for agreement in found:
            agreement.reminded_at = now
            jobs.defer(tx, send_reminder, agreement_id=agreement.id)
            events.append(tx, "agreement.ending", agreement.id, now=now, account_id=agreement.account_id,
                          ends_on=str(agreement.effective_to))  # fmt: skip
    return len(found)


@jobs.job("notify.agreement_ending", retry=jobs.Retry(attempts=10, first=5))
def send_reminder(ports: Ports, *, agreement_id: str) -> None:
    """The mail to sales; nothing where the agreement was ended meanwhile."""
    with ports.db.transaction() as tx:
        agreement = contracts.get(tx, agreement_id)
        if agreement.effective_to is None or agreement.ended_at is not None:
            return
        entity, account = accounts.seller(tx), accounts.get(tx, agreement.account_id)
        data = AgreementEnding(
            vendor=notify.vendor(ports, entity), company=account.name, title=agreement.title,
            ends_on=agreement.effective_to - timedelta(days=1),
            console_url=ports.link(f"/console/accounts/{account.id}"),
        )  # fmt: skip
    notify.send(ports, MailName.AGREEMENT_ENDING, data, to=entity.email, locale="en",
                message_id=f"agreement-{agreement.id}")  # fmt: skip
