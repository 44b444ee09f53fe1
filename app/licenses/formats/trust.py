"""Which public keys are believed for which rendering: a key signs for one purpose and is tried for no other."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.core.keys import KeyPurpose, SigningKey
from app.core.signing import RSA_BITS, PublicKey, UnusableKey, load_public_keys, thumbprint
from app.licenses.formats.recognize import Format


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys of Mattermost files, of Keygen files, and by kid those of tokens and of revocation lists."""

    mattermost: tuple[RSAPublicKey, ...]
    keygen: tuple[Ed25519PublicKey, ...]
    token: Mapping[str, Ed25519PublicKey]
    revocations: Mapping[str, Ed25519PublicKey]

    @classmethod
    def of(cls, published: Iterable[SigningKey]) -> Self:
        """The keys of this installation."""
        return cls._sorted((each.purpose, load_public_keys(each.public_pem.encode())[0]) for each in published)

    @classmethod
    def read(cls, pem_or_jwks: bytes) -> Self:
        """Somebody's keys. Those of a published set say what they are for; a bare key is tried for all of its kind.

        Raises UnusableKey where no key of any rendering is found.
        """
        found = load_public_keys(pem_or_jwks)  # refuses what is damaged, and private keys
        purposes = _purposes(pem_or_jwks)
        trust = cls._sorted((purposes.get(thumbprint(key)), key) for key in found)
        if not (trust.mattermost or trust.keygen or trust.token):
            sizes = ", ".join(f"RSA-{key.key_size}" for key in found if isinstance(key, RSAPublicKey))
            raise UnusableKey(
                f"License files are verified with an RSA key of {RSA_BITS} bits or an Ed25519 key made for them; found "
                f"here: {sizes or 'neither'}."
            )
        return trust

    def require(self, written: Format) -> None:
        """Raises UnusableKey where no key is trusted for this format."""
        if not {
            Format.MATTERMOST: self.mattermost, Format.KEYGEN: self.keygen, Format.MACHINE: self.keygen,
            Format.TOKEN: self.token,
        }[written]:  # fmt: skip
            raise UnusableKey(f"None of these keys is for a license of the format {written}.")

    @classmethod
    def _sorted(cls, keys: Iterable[tuple[str | None, PublicKey]]) -> Self:
        rsa, keygen, token, lists = [], [], {}, {}
        for purpose, key in keys:
            if isinstance(key, RSAPublicKey):
                if purpose in {None, KeyPurpose.LICENSE_FILE} and key.key_size == RSA_BITS:
                    rsa.append(key)
                continue
            if purpose in {None, KeyPurpose.KEYGEN_FILE}:
                keygen.append(key)
            if purpose in {None, KeyPurpose.LICENSE_TOKEN}:
                token[thumbprint(key)] = key
            if purpose in {None, KeyPurpose.REVOCATION_LIST}:
                lists[thumbprint(key)] = key
        return cls(tuple(rsa), tuple(keygen), MappingProxyType(token), MappingProxyType(lists))


def _purposes(pem_or_jwks: bytes) -> dict[str, str]:
    """What the keys of a published set are for, by their kid, which is a thumbprint; PEM and other sets say nothing."""
    if pem_or_jwks.lstrip()[:1] != b"{":
        return {}
    document: Any = json.loads(pem_or_jwks)
    members = document.get("keys", [document])
    return {str(each.get("kid")): each["purpose"] for each in members if isinstance(each.get("purpose"), str)}
