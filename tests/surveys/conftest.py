"""An installation that asks: invitations made as a completed order makes them, and a clock that can be moved."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.adapters.sandbox import clock as sandbox_clock
from app.adapters.sandbox.models import SandboxMail
from app.core.db import Tx
from app.core.ids import new_id
from app.flows import survey, tick
from app.surveys import service
from app.surveys.models import AnswerSource, SurveyInvitation, SurveyKind, SurveyResponse
from tests.world import World


@dataclass
class Asking:
    world: World

    def now(self) -> datetime:
        return self.world.ports.clock.now()

    def invite(self, email: str | None = "ana@acme.example", **changes: object) -> SurveyInvitation:
        given: dict[str, object] = {
            "kind": SurveyKind.PURCHASE, "order_id": None, "external_ref": new_id("ord"), "account_id": None,
            "person_name": "Ana Berg", "segment": {"plan": "professional", "seats": "11-50"}, "locale": "en",
            "country": "US", "test": True, "now": self.now(),
        }  # fmt: skip
        with self.world.db.transaction() as tx:
            return service.invite(tx, self.world.ports.secrets, email=email, **(given | changes))  # type: ignore[arg-type]  # keyword arguments as a table

    def answer(self, invitation: SurveyInvitation, score: int, comment: str = "") -> SurveyResponse:
        with self.world.db.transaction() as tx:
            return service.answer(
                tx, invitation, score=score, comment=comment, source=AnswerSource.CONFIRMATION_PAGE, now=self.now()
            )

    def read(self, invitation: SurveyInvitation) -> SurveyInvitation:
        with self.world.db.transaction() as tx:
            return tx.get_one(SurveyInvitation, invitation.id)

    def within(self, run: Callable[[Tx], object]) -> None:
        with self.world.db.transaction() as tx:
            run(tx)

    def later(self, **delta: float) -> None:
        """Move business time forward at once, as after a downtime, and do what is due."""
        sandbox_clock.set_to(self.world.db, self.now() + timedelta(**delta))
        self.tick()

    def walk(self, **delta: float) -> None:
        """Move business time forward day by day."""
        tick.walk(
            self.world.ports, self.now() + timedelta(**delta), settle=self.world.work,
            set_clock=lambda to: sandbox_clock.set_to(self.world.db, to),
        )  # fmt: skip

    def tick(self) -> None:
        survey.enqueue_due(self.world.ports)
        self.world.work()

    def mails(self, to: str = "ana@acme.example") -> list[SandboxMail]:
        """Survey mails to a person, oldest first."""
        with self.world.db.transaction() as tx:
            rows = tx.execute(
                select(SandboxMail)
                .where(col(SandboxMail.to) == to, col(SandboxMail.message_id).like("survey-%"))
                .order_by(col(SandboxMail.id))
            )
            return list(rows.scalars())

    def token(self, invitation: SurveyInvitation) -> str:
        return service.token_of(self.world.ports.secrets, invitation)


@pytest.fixture
def asking(world: World) -> Asking:
    return Asking(world)
