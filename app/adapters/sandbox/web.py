"""The sandbox's own small site, mounted at /sandbox: mailbox, hook receiver, clock, pay page."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from sqlalchemy import select
from sqlmodel import col

from app.adapters.sandbox.models import SandboxHook, SandboxMail
from app.core.clock import transport_now
from app.core.db import Database
from app.flows.ports import Ports

MailOut = dict[str, str | None]


def _database(request: Request) -> Database:
    database: Database = request.app.state.ports.db
    return database


Db = Annotated[Database, Depends(_database)]


def build(ports: Ports) -> FastAPI:
    app = FastAPI(title="BLP sandbox", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.ports = ports

    @app.get("/mail.json")
    def mail(database: Db, to: str | None = None, limit: int = 20) -> list[MailOut]:
        """The newest mails, for programs; people read /sandbox/mail."""
        query = select(SandboxMail).order_by(col(SandboxMail.id).desc()).limit(min(limit, 100))
        if to is not None:
            query = query.where(col(SandboxMail.to) == to)
        with database.transaction() as tx:
            return [
                {"to": each.to, "subject": each.subject, "text": each.text, "sent_at": each.sent_at.isoformat()}
                for each in tx.execute(query).scalars()
            ]

    @app.post("/hooks/{name}", status_code=204)
    async def receive_hook(request: Request, name: str) -> None:
        """A receiver for outgoing webhooks that keeps what arrives."""
        body = (await request.body()).decode(errors="replace")
        _keep(ports.db, name, dict(request.headers), body)

    @app.get("/hooks/{name}")
    def hooks(database: Db, name: str) -> list[dict[str, object]]:
        with database.transaction() as tx:
            rows = tx.execute(select(SandboxHook).where(col(SandboxHook.name) == name).order_by(col(SandboxHook.id)))
            return [{"headers": each.headers, "body": each.body} for each in rows.scalars()]

    return app


def _keep(database: Database, name: str, headers: dict[str, str], body: str) -> None:
    with database.transaction() as tx:
        tx.add(SandboxHook(name=name, headers=headers, body=body, received_at=transport_now()))
