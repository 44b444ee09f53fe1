"""Handing over a license in one of its formats (R-LIC-1, R-LIC-2).

The Mattermost file was signed when the license was issued and is kept. The others are signed when somebody asks, from
the same record: a file with an end of its own has to be made anew now and then. Each of these signatures is logged.
"""

from dataclasses import dataclass
from datetime import datetime

from app.core import keys, policy
from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.core.security import Secrets
from app.licenses import issuance, revocations
from app.licenses.errors import NotInForce
from app.licenses.formats import keygen, token
from app.licenses.formats.enforcement import ENFORCEMENT
from app.licenses.formats.findings import Finding
from app.licenses.formats.keygen_claims import DEFAULT_TTL, payload_of, require_ttl
from app.licenses.formats.recognize import Format
from app.licenses.formats.rendering_lint import lint_keygen, lint_token
from app.licenses.formats.stated import Stated
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.issuing import UndeliverableLicenseFile
from app.licenses.models import License, LicenseState

SUFFIXES = {
    Format.MATTERMOST: "mattermost-license", Format.KEYGEN: "lic", Format.TOKEN: "license-token",
    Format.MACHINE: "machine.lic",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """`ttl` (seconds, None for no end) and `encrypted` concern Keygen license and machine files only."""

    written: Format = Format.MATTERMOST
    ttl: int | None = DEFAULT_TTL
    encrypted: bool = True


def render(tx: Tx, secrets: Secrets, license_: License, wanted: Wanted, *, by: str, now: datetime) -> str:
    """The text of the license in the format wanted; `by` is who asked, for the log of signatures.

    The caller has asked whether it may be delivered and is released. The same record, wish and second give the same
    text. Raises TtlRefused, NotInForce, UndeliverableLicenseFile, NoSigningKey; ValueError for a machine file, which
    needs a server (`machine_files.check_out`).
    """
    if wanted.written is Format.MACHINE:
        raise ValueError("a machine file is made for a server")
    if wanted.written is Format.MATTERMOST:
        return license_.file_text
    ttl = require_ttl(wanted.ttl) if wanted.written is Format.KEYGEN else None
    if license_.state in {LicenseState.REVOKED, LicenseState.SUSPENDED}:
        raise NotInForce(f"It is {license_.state.value}; what was signed before is all there is.")
    stated, newest = Stated.of(license_), revocations.newest(tx)
    if wanted.written is Format.KEYGEN:
        kid, key = keys.keygen_key(tx, secrets, now)
        license_key = stated.key if wanted.encrypted else None
        text = keygen.encode(payload_of(stated, ttl=ttl, now=now, revocations=newest), key, license_key)
        findings = lint_keygen(text, [key.public_key()], license_key, now=now)
    else:
        kid, key = keys.token_key(tx, secrets, now)
        ladder = policy.get(tx, ENFORCEMENT, now)
        text = token.encode(TokenClaims.of(stated, ladder, now, revocations=newest).to_payload(), kid, key)
        findings = lint_token(text, {kid: key.public_key()}, now=now)
    _require_deliverable(findings)
    issuance.record(tx, kid, license_.id, sha256_hex(text.encode()), now, written=wanted.written, actor=by)
    return text


def _require_deliverable(findings: list[Finding]) -> None:
    if blocking := tuple(each for each in findings if each.blocks):
        raise UndeliverableLicenseFile(blocking)
