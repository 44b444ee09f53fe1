"""Whether a business says that no listed party owns half of it or more, kept as it was said.

Lists name parties, not what they own. OFAC treats what blocked persons own to 50 percent or more, together, as blocked
(its guidance of 2014-08-13, in force [A]). BIS took the same rule for its lists on 2025-09-29 and suspended it from
2025-11-10 to 2026-11-09; by that text it is back since 2026-11-10, and whether it was extended was not found out [C].
Nobody can look that up by name, so the buyer is asked. Off until the operator switches it on.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from app.core import policy
from app.core.bulk import among
from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.ids import new_id
from app.screening.models import OwnershipAttestation

VERSION: Final = "2026-11"
# Whoever changes a word gives it another version: what was said before is kept with its own text.
TEXT: Final = (
    "No party on a sanctions or export control list of the United States, the European Union or the United Kingdom owns"
    " 50 percent or more of the company named on this order, directly or indirectly, alone or together with others."
)
SHA256: Final = sha256_hex(TEXT.encode())


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 -- the contract of Policy.read is ValueError
    return value


ASKED: Final = policy.declare(
    policy.Policy(
        "ownership_attestation", False, _switch,
        "Whether businesses have to say that no listed party owns 50 % or more of them (the rules of OFAC and BIS).",
    )
)  # fmt: skip
DAYS: Final = policy.declare(
    policy.Policy(
        "ownership_attestation_days", 365, policy.whole_number(minimum=1),
        "Days for which what was said about the ownership holds; renewals after that wait for a person.",
    )
)  # fmt: skip


class OwnershipNotAttested(DomainError):
    status, slug = HTTPStatus.UNPROCESSABLE_ENTITY, "ownership-not-attested"
    title = "Say who does not own the company"

    def __init__(self) -> None:
        super().__init__("Confirm the statement about the ownership of your company to go on.", param="ownership",
                         statement=TEXT, version=VERSION)  # fmt: skip


def asked(tx: Tx, *, business: bool, now: datetime) -> bool:
    return business and policy.get(tx, ASKED, now)


def keep(
    tx: Tx, account_id: str, *, order_id: str | None, person_name: str, person_email: str, company: str, ip: str,
    user_agent: str, recorded_by: str, note: str = "", now: datetime,
) -> OwnershipAttestation:  # fmt: skip
    """What a person said, with the exact text. `recorded_by` is `buyer`, or the member of staff who has it in writing;
    then `note` says where.
    """
    row = OwnershipAttestation(
        id=new_id("oat"), account_id=account_id, order_id=order_id, text=TEXT, text_version=VERSION, text_sha256=SHA256,
        person_name=person_name, person_email=person_email, company=company, ip=ip, user_agent=user_agent[:400],
        recorded_by=recorded_by, note=note, attested_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def latest(tx: Tx, account_id: str) -> OwnershipAttestation | None:
    """What was said last, however long ago."""
    query = select(OwnershipAttestation).where(col(OwnershipAttestation.account_id) == account_id)
    newest_first = query.order_by(col(OwnershipAttestation.attested_at).desc(), col(OwnershipAttestation.id).desc())
    return tx.execute(newest_first.limit(1)).scalar_one_or_none()


def without(tx: Tx, account_ids: Iterable[str], now: datetime) -> set[str]:
    """Those of these accounts of which nothing that still holds was said. The caller knows whether they are asked."""
    wanted = set(account_ids)
    oldest = now - timedelta(days=policy.get(tx, DAYS, now))
    query = select(col(OwnershipAttestation.account_id)).where(
        among(col(OwnershipAttestation.account_id), wanted), col(OwnershipAttestation.attested_at) > oldest
    )
    return wanted - set(tx.execute(query).scalars())
