"""Terms in force, and acceptances of them."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from app.agreements.models import Acceptance, TermsVersion
from app.core.bulk import plain
from app.core.canonical import canonical_json, sha256_hex
from app.core.db import Tx
from app.core.errors import DomainError, NotFound, Unavailable
from app.core.ids import new_id
from app.core.signing import Ed25519Signer, Purpose

TERMS_KEY: Final = "terms-of-sale"
AUTHORITY: Final = "I may bind the company named on this order, and I accept the terms of sale on its behalf."


class TermsNotAccepted(DomainError):
    slug, title = "terms-not-accepted", "The terms in force were not accepted"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a click came from."""

    ip: str
    user_agent: str


def terms_in_force(tx: Tx, on: date, key: str = TERMS_KEY) -> TermsVersion:
    """Raises Unavailable where no catalog brought any terms."""
    terms = tx.execute(
        select(TermsVersion)
        .where(col(TermsVersion.key) == key, col(TermsVersion.effective_from) <= on)
        .order_by(col(TermsVersion.effective_from).desc(), col(TermsVersion.version).desc())
        .limit(1)
    ).scalar_one_or_none()
    if terms is None:
        raise Unavailable("There are no terms of sale yet: `blp catalog apply FILE` loads them.")
    return terms


def terms_version(tx: Tx, key: str, version: str) -> TermsVersion:
    terms = tx.execute(
        select(TermsVersion).where(col(TermsVersion.key) == key, col(TermsVersion.version) == version)
    ).scalar_one_or_none()
    if terms is None:
        raise NotFound("There is no such version of the terms.")
    return terms


def acceptance_row(
    signer: Ed25519Signer, *, terms: TermsVersion, account_id: str, order_id: str, snapshot: dict[str, Any],
    person_name: str, person_email: str, company: str, evidence: Evidence, now: datetime,
) -> dict[str, Any]:  # fmt: skip
    """The evidence of R-ACC-1, signed so that it verifies without us."""
    row = {
        "id": new_id("acn"), "account_id": account_id, "order_id": order_id, "terms_id": terms.id,
        "terms_version": terms.version, "terms_sha256": terms.sha256, "snapshot": snapshot,
        "snapshot_sha256": sha256_hex(canonical_json(snapshot)), "person_name": person_name,
        "person_email": person_email, "company": company, "authority_statement": AUTHORITY, "accepted_at": now,
        "ip": evidence.ip, "user_agent": evidence.user_agent[:400], "kid": signer.kid,
    }  # fmt: skip
    signature = signer.sign(Purpose.ACCEPTANCE_CERTIFICATE, statement(plain(Acceptance, row)))
    return row | {"signature": b64encode(signature).decode()}


def accept(
    tx: Tx, signer: Ed25519Signer, *, terms: TermsVersion, account_id: str, order_id: str, snapshot: dict[str, Any],
    person_name: str, person_email: str, company: str, evidence: Evidence, now: datetime,
) -> Acceptance:  # fmt: skip
    """Keep the evidence of an acceptance."""
    acceptance = Acceptance(**acceptance_row(
        signer, terms=terms, account_id=account_id, order_id=order_id, snapshot=snapshot, person_name=person_name,
        person_email=person_email, company=company, evidence=evidence, now=now,
    ))  # fmt: skip
    tx.add(acceptance)
    return acceptance


def statement(acceptance: Acceptance) -> bytes:
    """The bytes the certificate's signature covers."""
    return canonical_json(
        {
            "id": acceptance.id, "order": acceptance.order_id, "terms": acceptance.terms_id,
            "terms_version": acceptance.terms_version, "terms_sha256": acceptance.terms_sha256,
            "snapshot_sha256": acceptance.snapshot_sha256, "person_name": acceptance.person_name,
            "person_email": acceptance.person_email, "company": acceptance.company,
            "authority_statement": acceptance.authority_statement, "accepted_at": acceptance.accepted_at,
            "ip": acceptance.ip, "user_agent": acceptance.user_agent,
        }
    )  # fmt: skip


def of_order(tx: Tx, order_id: str) -> Acceptance | None:
    return tx.execute(select(Acceptance).where(col(Acceptance.order_id) == order_id)).scalar_one_or_none()
