"""Mail over SMTP, with the standard library's client."""

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final

from app.core.db import require_no_transaction
from app.core.errors import Unavailable

_SECONDS: Final = 20


class SmtpMailer:
    def __init__(self, *, host: str, port: int, user: str, password: str, starttls: bool, sender: str) -> None:
        self._host, self._port, self._sender = host, port, sender
        self._user, self._password, self._starttls = user, password, starttls

    def send(self, *, to: str, subject: str, text: str, html: str, message_id: str, headers: Mapping[str, str]) -> None:
        """The Message-ID stays the same over retries, so that a mail that got through twice shows once."""
        require_no_transaction()
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message["Message-ID"] = f"<{message_id}@{self._sender.rpartition('@')[2]}>"
        message["Date"] = formatdate(localtime=False)
        for name, value in headers.items():
            message[name] = value
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        try:
            with smtplib.SMTP(self._host, self._port, timeout=_SECONDS) as smtp:
                if self._starttls:
                    smtp.starttls(context=ssl.create_default_context())
                if self._user:
                    smtp.login(self._user, self._password)
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException) as exc:
            raise Unavailable(f"The mail server did not take the mail ({type(exc).__name__}).") from exc
