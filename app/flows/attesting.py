"""The ownership attestation of an account: who still has to give it, and what goes on once it is there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import Account, BuyerType
from app.agreements.service import Evidence
from app.core import audit, jobs, policy
from app.core.bulk import among
from app.core.db import Tx
from app.core.errors import Invalid
from app.flows.ports import Ports
from app.screening import attestations

FOLLOW = "screening.attested"


@dataclass(frozen=True, slots=True)
class Said:
    """Who ticked it, from where."""

    name: str
    email: str
    company: str
    evidence: Evidence


def missing(tx: Tx, account: Account, now: datetime) -> bool:
    """Whether a person has to be asked before anything more is ordered for the account."""
    business = account.type is BuyerType.BUSINESS
    return attestations.asked(tx, business=business, now=now) and bool(attestations.without(tx, [account.id], now))


def missing_among(tx: Tx, account_ids: Iterable[str], now: datetime) -> set[str]:
    """The same for many: no question where nobody is asked, two for all otherwise."""
    if not policy.get(tx, attestations.ASKED, now):
        return set()
    found = attestations.without(tx, account_ids, now)
    query = select(col(Account.id)).where(among(col(Account.id), found), col(Account.type) == BuyerType.BUSINESS)
    return set(tx.execute(query).scalars())


def keep(tx: Tx, account_id: str, order_id: str, said: Said, now: datetime) -> None:
    """What a buyer ticked with an order. What of the account waited for it goes on."""
    attestations.keep(
        tx, account_id, order_id=order_id, person_name=said.name, person_email=said.email, company=said.company,
        ip=said.evidence.ip, user_agent=said.evidence.user_agent, recorded_by="buyer", now=now,
    )  # fmt: skip
    jobs.defer(tx, FOLLOW, once=f"{FOLLOW}:{account_id}", account_id=account_id, by="buyer")


def record(ports: Ports, account_id: str, *, name: str, email: str, note: str, by: str) -> None:
    """What staff have in writing from a customer. Raises NotFound, Invalid."""
    if not name.strip():
        raise Invalid("Say who of the customer's people said so.", param="full_name")
    if "@" not in email:
        raise Invalid("An e-mail address looks like name@company.example.", param="email")
    with ports.db.transaction() as tx:
        account, now = accounts.get(tx, account_id), ports.clock.now()
        row = attestations.keep(
            tx, account.id, order_id=None, person_name=name.strip(), person_email=email.strip(), company=account.name,
            ip="", user_agent="", recorded_by=by, note=note, now=now,
        )  # fmt: skip
        audit.record(tx, account.id, actor=by, action="ownership.attested", subject=row.id, now=now,
                     details={"version": row.text_version, "sha256": row.text_sha256, "note": note})  # fmt: skip
        jobs.defer(tx, FOLLOW, once=f"{FOLLOW}:{account_id}", account_id=account_id, by=by)
