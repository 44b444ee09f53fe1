"""Keys and signatures (ADR 0011).

Every Ed25519 signature covers a tag naming what it was made for, so that nothing signed for one purpose
passes for another (reliability study, S26: one key used for two kinds of text made licenses forgeable
elsewhere). RSA serves license files only, whose byte layout the product dictates and which carry no tag.
"""

import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from threading import Lock
from typing import Any, Final, Protocol, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA512

from app.core.canonical import canonical_json
from app.core.errors import DomainError

PrivateKey = RSAPrivateKey | Ed25519PrivateKey
PublicKey = RSAPublicKey | Ed25519PublicKey

RSA_BITS: Final = 2048  # the product slices exactly 256 signature bytes off a license file
_PARSED_AT_MOST: Final = 64
_PEM_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")

_parsed: dict[bytes, PrivateKey] = {}
_parsing = Lock()


class Purpose(StrEnum):
    """What a signature is for. The value is part of the signed bytes: never change or reuse one."""

    VALIDATION_ANSWER = "validation-answer"
    ACTIVATION_FILE = "activation-file"
    ACCEPTANCE_CERTIFICATE = "acceptance-certificate"
    AUDIT_HEAD = "audit-head"
    ENTITLEMENT_SET = "entitlement-set"
    LICENSE_TOKEN = "license-token"  # noqa: S105 -- the name of a purpose, not a secret
    REVOCATION_LIST = "revocation-list"
    USAGE_REPORT = "usage-report"


class UnusableKey(DomainError):
    """A key that cannot be read, or is of another kind or size than the place it was given to needs."""

    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "unusable-key", "The key cannot be used here"


class PurposeNotAllowed(DomainError):
    status, slug, title = HTTPStatus.FORBIDDEN, "purpose-not-allowed", "The key is not meant for this purpose"


P_co = TypeVar("P_co", bound=PublicKey, covariant=True)


class KeyHolder(Protocol[P_co]):
    """The port to a private key: this process, or a hardware module or key service behind the same two names.

    Whatever is signed here passes it, and only `core/keys.py` hands one out (ADR 0060). An Ed25519 key of the library
    is one as it is; `HeldRsaKey` is that of license files.
    """

    def public_key(self) -> P_co: ...

    def sign(self, message: bytes, /) -> bytes:
        """The signature over these bytes, which tell by themselves what they are for."""
        ...


EdHolder = KeyHolder[Ed25519PublicKey]
RsaHolder = KeyHolder[RSAPublicKey]


@dataclass(frozen=True, slots=True)
class HeldRsaKey:
    """An RSA key in memory, for the one way in which license files are signed: PKCS#1 v1.5 over SHA-512."""

    key: RSAPrivateKey = field(repr=False)

    def public_key(self) -> RSAPublicKey:
        return self.key.public_key()

    def sign(self, message: bytes, /) -> bytes:
        """256 bytes. Deterministic: only another message brings another signature."""
        return self.key.sign(message, PKCS1v15(), SHA512())


class Signer(Protocol):
    """Signs statements, each under a tag that says what it is for, with a key of whoever holds it."""

    @property
    def kid(self) -> str:
        """Names the key in the published key set."""
        ...

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        """The signature over tag and message. Raises PurposeNotAllowed."""
        ...


class Ed25519Signer:
    """About 40 µs a signature with a key in memory. Deterministic: same key and text, same 64 bytes."""

    def __init__(self, kid: str, key: EdHolder, purposes: Collection[Purpose] = tuple(Purpose)) -> None:
        self._kid, self._key, self._purposes = kid, key, frozenset(purposes)

    @property
    def kid(self) -> str:
        return self._kid

    @property
    def public_key(self) -> Ed25519PublicKey:
        return self._key.public_key()

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        if purpose not in self._purposes:
            raise PurposeNotAllowed(f"Key {self._kid} may not sign a {purpose}.", kid=self._kid)
        return self._key.sign(tagged(purpose, message))


def tagged(purpose: Purpose, message: bytes) -> bytes:
    """The bytes that are really signed: `blp/<purpose>/v1`, a line feed, the message.

    No purpose holds a line feed, so no tag is the beginning of another and the split is unambiguous.
    """
    return b"blp/%s/v1\n%s" % (purpose.value.encode("ascii"), message)


def verify(purpose: Purpose, message: bytes, signature: bytes, public_key: Ed25519PublicKey) -> bool:
    """Whether `signature` was made for exactly this purpose and message by that key."""
    try:
        public_key.verify(signature, tagged(purpose, message))
    except InvalidSignature:
        return False
    return True


def generate_rsa_key() -> bytes:
    """A new RSA-2048 private key, exponent 65537, as unencrypted PKCS#8 PEM."""
    return _private_pem(rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS))


def generate_ed25519_key() -> bytes:
    """A new Ed25519 private key as unencrypted PKCS#8 PEM."""
    return _private_pem(Ed25519PrivateKey.generate())


def load_private_key(pem: bytes) -> PrivateKey:
    """Parse an unencrypted PEM private key, once per process and key. Raises UnusableKey.

    Reading an RSA key costs about 45 ms, because the library proves the primes; signing costs 0.3 ms. Parsed
    keys are remembered under the hash of the PEM, so that callers may pass the text each time.
    """
    digest = hashlib.sha256(pem).digest()
    with _parsing:
        if (known := _parsed.get(digest)) is not None:
            return known
        key = _parse_private(pem)
        if len(_parsed) >= _PARSED_AT_MOST:  # rotation leaves a handful; more means someone feeds us keys
            _parsed.pop(next(iter(_parsed)))
        _parsed[digest] = key
        return key


def load_rsa_private_key(pem: bytes) -> RSAPrivateKey:
    """As `load_private_key`, for the key of license files. Raises UnusableKey unless it is RSA-2048."""
    key = load_private_key(pem)
    if not isinstance(key, RSAPrivateKey) or key.key_size != RSA_BITS:
        raise UnusableKey("License files are signed with an RSA key of 2048 bits; this is another kind of key.")
    return key


def load_ed25519_private_key(pem: bytes) -> Ed25519PrivateKey:
    """As `load_private_key`, for the key of an `Ed25519Signer`. Raises UnusableKey on any other kind."""
    key = load_private_key(pem)
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey("This signer needs an Ed25519 key; this is another kind of key.")
    return key


def load_public_keys(pem_or_jwks: bytes) -> list[PublicKey]:
    """Every RSA and Ed25519 public key of a PEM bundle (SubjectPublicKeyInfo), a JWKS or a single JWK, in order.

    Keys of other kinds in a JWKS are passed over, as RFC 7517 §5 asks. Raises UnusableKey where nothing usable
    is left, where a key is malformed, and where somebody pasted a private key.
    """
    if b"PRIVATE KEY-----" in pem_or_jwks:
        raise UnusableKey("This is a private key. Verification needs the public one; keep the private one to yourself.")
    keys = _jwks(pem_or_jwks) if pem_or_jwks.lstrip()[:1] == b"{" else _pem_bundle(pem_or_jwks)
    if not keys:
        raise UnusableKey("No public key was found. Give a PEM file (BEGIN PUBLIC KEY) or a JSON Web Key Set.")
    return keys


def public_pem(key: PrivateKey | PublicKey) -> bytes:
    """The public half as PEM SubjectPublicKeyInfo ("BEGIN PUBLIC KEY")."""
    return _public_half(key).public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_jwk(key: PrivateKey | PublicKey, kid: str) -> dict[str, str]:
    """The public half as a JSON Web Key (RFC 7517, Ed25519 by RFC 8037) for the published key set."""
    return {**_key_members(_public_half(key)), "kid": kid, "use": "sig"}


def thumbprint(key: PrivateKey | PublicKey) -> str:
    """The RFC 7638 thumbprint: a name for the key that anyone can compute from the key alone; 43 characters."""
    members = _key_members(_public_half(key))
    required = {name: value for name, value in members.items() if name in {"kty", "crv", "x", "n", "e"}}
    return _base64url(hashlib.sha256(canonical_json(required)).digest())


def _private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _parse_private(pem: bytes) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        # The cause may quote the input; a key never reaches a message or a log.
        raise UnusableKey("The private key is not readable as unencrypted PEM.") from exc
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise UnusableKey("Only RSA and Ed25519 keys are used here.")
    return key


def _public_half(key: PrivateKey | PublicKey) -> PublicKey:
    return key.public_key() if isinstance(key, RSAPrivateKey | Ed25519PrivateKey) else key


def _key_members(key: PublicKey) -> dict[str, str]:
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": _base64url(key.public_bytes_raw())}
    numbers = key.public_numbers()
    return {
        "kty": "RSA",
        "alg": "RS512",
        "n": _base64url(_big_endian(numbers.n)),
        "e": _base64url(_big_endian(numbers.e)),
    }


def _pem_bundle(text: bytes) -> list[PublicKey]:
    keys: list[PublicKey] = []
    for block in _PEM_PUBLIC.findall(text):
        try:
            key = serialization.load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise UnusableKey("A public key in the PEM file is damaged.") from exc
        if isinstance(key, RSAPublicKey | Ed25519PublicKey):
            keys.append(key)
    return keys


def _jwks(text: bytes) -> list[PublicKey]:
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise UnusableKey("The key set is not JSON.") from exc
    members = document.get("keys", [document] if "kty" in document else None)
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise UnusableKey('A JSON Web Key Set holds a list named "keys".')
    found = (_from_jwk(member) for member in members)
    return [key for key in found if key is not None]


def _from_jwk(jwk: dict[str, Any]) -> PublicKey | None:
    """None for kinds we do not use."""
    if "d" in jwk:
        raise UnusableKey("The key set holds a private key. Verification needs public ones.")
    try:
        if jwk.get("kty") == "RSA":
            n, e = (int.from_bytes(_from_base64url(jwk[name])) for name in ("n", "e"))
            return rsa.RSAPublicNumbers(e, n).public_key()
        if (jwk.get("kty"), jwk.get("crv")) == ("OKP", "Ed25519"):
            return Ed25519PublicKey.from_public_bytes(_from_base64url(jwk["x"]))
    except (KeyError, ValueError, UnsupportedAlgorithm) as exc:
        raise UnusableKey("A key in the key set is damaged.") from exc
    return None


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_base64url(text: object) -> bytes:
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
