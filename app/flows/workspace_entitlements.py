"""What a running workspace may do now: its subscription's license, judged, with the file to install (R-PRV-3)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from app.core import policy
from app.core.db import Tx
from app.licenses import decision
from app.licenses.decision import Credential, Decision, ValidationFacts, ValidationRequest
from app.licenses.formats import enforcement
from app.licenses.formats.enforcement import Step
from app.licenses.models import License, LicenseState
from app.workspaces import service as workspaces
from app.workspaces.models import Workspace

_ASKED: Final = ValidationRequest(Credential.OWNER_API_KEY)


@dataclass(frozen=True, slots=True)
class Held:
    """`license` None: its subscription never had one. `step` is that of the ladder, by time alone."""

    workspace: Workspace
    license: License | None
    decision: Decision
    step: Step | None


def held(tx: Tx, workspace_id: str, account_id: str | None, now: datetime) -> Held:
    """As of `now`; `account_id` None may ask about every account's. Raises NotFound."""
    workspace = workspaces.get(tx, workspace_id, account_id)
    license_ = _in_force(tx, workspace.subscription_id, now)
    if license_ is None:
        return Held(workspace, None, decision.decide(None, _ASKED, now), None)
    facts = ValidationFacts(
        state=license_.state, starts_at=license_.starts_at, expires_at=license_.expires_at,
        grace_days=license_.grace_days, seats=license_.seats,
    )  # fmt: skip
    ladder = policy.get(tx, enforcement.ENFORCEMENT, now)
    step = enforcement.step_at(ladder, expires_at=license_.expires_at, seats=license_.seats, users=None, at=now)
    return Held(workspace, license_, decision.decide(facts, _ASKED, now), step)


def _in_force(tx: Tx, subscription_id: str, now: datetime) -> License | None:
    """The active license whose term has begun, newest first; else the newest there was, with what became of it."""
    known = tx.execute(
        select(License)
        .where(col(License.subscription_id) == subscription_id)
        .order_by(col(License.issued_at).desc(), col(License.id).desc())
    ).scalars().all()  # fmt: skip
    begun = (each for each in known if each.state is LicenseState.ACTIVE and each.starts_at <= now)
    return next(begun, known[0] if known else None)
