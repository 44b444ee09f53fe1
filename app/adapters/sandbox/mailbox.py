"""The sandbox's mailbox: every mail that would have left, for people at /sandbox/mail and for programs beside it."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Query
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import HTMLResponse, Response

from app.adapters.sandbox.deps import Db
from app.adapters.sandbox.models import SandboxMail
from app.adapters.sandbox.pay_page import Pages, PayPage
from app.adapters.sandbox.views import MailboxView, MailRow, MailView
from app.core.db import Database

_LINK: Final = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
# A mail is somebody else's page: it may look, and do nothing.
_MAIL_CSP: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


doors = APIRouter()


def _newest(database: Database, to: str, limit: int) -> list[SandboxMail]:
    query = select(SandboxMail).order_by(col(SandboxMail.id).desc()).limit(limit)
    if to:
        query = query.where(col(SandboxMail.to).icontains(to, autoescape=True))
    with database.transaction() as tx:
        return list(tx.execute(query).scalars())


def _one(database: Database, mail_id: int) -> SandboxMail | None:
    with database.transaction() as tx:
        return tx.get(SandboxMail, mail_id)


@doors.get("/mail.json")
def for_programs(
    database: Db, to: str = "", limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> list[dict[str, str | list[str] | None]]:
    """The newest mails; `to` is a part of the address, `links` are the web addresses in the text."""
    return [
        {
            "to": mail.to, "subject": mail.subject, "text": mail.text, "html": mail.html,
            "links": _LINK.findall(mail.text), "sent_at": mail.sent_at.isoformat(),
        }
        for mail in _newest(database, to, limit)
    ]  # fmt: skip


@doors.get("/mail")
def mailbox(database: Db, pages: Pages, to: Annotated[str, Query(max_length=200)] = "") -> Response:
    rows = tuple(
        MailRow(href=f"/sandbox/mail/{mail.id}", to=mail.to, subject=mail.subject, at=mail.sent_at)
        for mail in _newest(database, to, 100)
    )
    return HTMLResponse(pages.render(MailboxView(mails=rows, action="/sandbox/mail", to=to)))


@doors.get("/mail/{mail_id}.html")
def formatted(database: Db, pages: Pages, mail_id: int) -> Response:
    mail = _one(database, mail_id)
    if mail is None:
        return _gone(pages)
    return HTMLResponse(mail.html, headers={"content-security-policy": _MAIL_CSP})


@doors.get("/mail/{mail_id}")
def read(database: Db, pages: Pages, mail_id: int) -> Response:
    mail = _one(database, mail_id)
    if mail is None:
        return _gone(pages)
    view = MailView(
        to=mail.to,
        sender=mail.headers.get("From", pages.merchant),
        subject=mail.subject,
        at=mail.sent_at,
        text=mail.text,
        links=tuple((link, link) for link in dict.fromkeys(_LINK.findall(mail.text))),
        attachments=(),
        mailbox_href="/sandbox/mail",
        html_href=f"/sandbox/mail/{mail.id}.html" if mail.html else "",
    )
    return HTMLResponse(pages.render(view))


def _gone(pages: PayPage) -> Response:
    return HTMLResponse(pages.render(MailboxView(mails=(), action="/sandbox/mail")), 404)
