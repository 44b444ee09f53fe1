"""One license in each of its formats, signed with keys of its own, for tests without a database."""

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from app.core.signing import PrivateKey, generate_ed25519_key, load_ed25519_private_key, public_jwk, thumbprint
from app.licenses import revocation_list
from app.licenses.formats import keygen, machine_claims, token
from app.licenses.formats.enforcement import ENFORCEMENT
from app.licenses.formats.keygen_claims import DEFAULT_TTL, payload_of
from app.licenses.formats.machine_claims import Bound
from app.licenses.formats.stated import Stated
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.revocation_list import RevocationList, Revoked
from tests.licenses.making import NOW, claims, signed

ROOT = Path(__file__).parents[2]
KEY = "7kq0c3m8x1b5n9r2t4v6w8y0zd"
FINGERPRINT = "9f86d081884c7d65"


def new_key() -> Ed25519PrivateKey:
    return load_ed25519_private_key(generate_ed25519_key())


def stated(**changes: Any) -> Stated:
    return Stated("lic_1", "pln_1", KEY, 10, claims(**changes))


@dataclass(frozen=True)
class Signers:
    """A key for each format, and the set in which they are published."""

    rsa: RSAPrivateKey
    keygen: Ed25519PrivateKey
    token: Ed25519PrivateKey
    evidence: Ed25519PrivateKey
    revocations: Ed25519PrivateKey = field(default_factory=new_key)

    @property
    def kid(self) -> str:
        return thumbprint(self.token)

    @property
    def tokens(self) -> dict[str, Ed25519PublicKey]:
        return {self.kid: self.token.public_key()}

    def key_set(self) -> dict[str, Any]:
        keys: dict[str, PrivateKey] = {
            "license-file": self.rsa, "keygen-file": self.keygen, "license-token": self.token,
            "evidence": self.evidence, "revocation-list": self.revocations,
        }  # fmt: skip
        return {"keys": [public_jwk(key, thumbprint(key)) | {"purpose": name} for name, key in keys.items()]}

    def mattermost_file(self, **changes: Any) -> bytes:
        return signed(claims(**changes).to_payload(), self.rsa)

    def keygen_file(
        self, *, encrypted: bool = True, ttl: int | None = DEFAULT_TTL, now: datetime = NOW, revocations: int = 0,
        **changes: Any,
    ) -> bytes:  # fmt: skip
        payload = payload_of(stated(**changes), ttl=ttl, now=now, revocations=revocations)
        return self.sign_keygen(payload, encrypted=encrypted)

    def machine_file(
        self, *, encrypted: bool = True, ttl: int | None = DEFAULT_TTL, now: datetime = NOW, revocations: int = 0,
        fingerprint: str = FINGERPRINT, **changes: Any,
    ) -> bytes:  # fmt: skip
        bound = Bound("act_1", fingerprint, "chat-01", "chat-01.example.com", 1, NOW)
        said = machine_claims.payload_of(stated(**changes), bound, ttl=ttl, now=now, revocations=revocations)
        return self.sign_machine(said, encrypted=encrypted, fingerprint=fingerprint)

    def sign_machine(self, payload: bytes, *, encrypted: bool = False, fingerprint: str = FINGERPRINT) -> bytes:
        opener = keygen.machine_opener(KEY, fingerprint) if encrypted else None
        return keygen.encode(payload, self.keygen, opener, keygen.MACHINE).encode()

    def sign_keygen(self, payload: bytes, *, encrypted: bool = False) -> bytes:
        return keygen.encode(payload, self.keygen, KEY if encrypted else None).encode()

    def token_text(self, *, now: datetime = NOW, revocations: int = 0, **changes: Any) -> bytes:
        ladder = ENFORCEMENT.read(ENFORCEMENT.default)
        return self.sign_token(TokenClaims.of(stated(**changes), ladder, now, revocations=revocations).to_payload())

    def list_text(self, revoked: Sequence[Revoked], since: int = 0) -> bytes:
        """Everything after number `since` of what was revoked."""
        found = RevocationList(since, NOW, tuple(revoked[since:]))
        return revocation_list.sign(found, thumbprint(self.revocations), self.revocations).encode()

    @property
    def list_keys(self) -> dict[str, Ed25519PublicKey]:
        return {thumbprint(self.revocations): self.revocations.public_key()}

    def sign_token(self, payload: bytes) -> bytes:
        return token.encode(payload, self.kid, self.token).encode()


@cache
def documented() -> ModuleType:
    """`docs/verify/verify.py`, the reader that product teams copy; it shares nothing with the application."""
    spec = importlib.util.spec_from_file_location("documented_verifier", ROOT / "docs" / "verify" / "verify.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def changed(payload: bytes, **members: Any) -> bytes:
    """A JSON object with members replaced."""
    return json.dumps(json.loads(payload) | members).encode()
