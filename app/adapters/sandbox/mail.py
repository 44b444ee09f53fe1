"""The sandbox's mailbox: a mail sent here can be read at /sandbox/mail."""

from collections.abc import Mapping

from sqlalchemy.dialects.postgresql import insert

from app.adapters.sandbox.models import SandboxMail
from app.core.clock import Clock
from app.core.db import Database, require_no_transaction


class SandboxMailer:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def send(self, *, to: str, subject: str, text: str, html: str, message_id: str, headers: Mapping[str, str]) -> None:
        require_no_transaction()
        row = {
            "message_id": message_id, "to": to, "subject": subject, "text": text, "html": html,
            "headers": dict(headers), "sent_at": self._clock.now(),
        }  # fmt: skip
        with self._database.transaction() as tx:
            tx.execute(insert(SandboxMail).values(row).on_conflict_do_nothing(index_elements=["message_id"]))
