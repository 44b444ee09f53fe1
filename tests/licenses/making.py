"""License claims and files for tests: valid by default, say only what matters."""

import os
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from app.core.signing import HeldRsaKey
from app.licenses.formats.claims import LicenseClaims, LicenseCustomer
from app.licenses.formats.mattermost import encode, sign_payload

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FULL = os.environ.get("BLP_TEST_FULL") == "1"
ID = "h7x4kq9p2m3n5r8s6t1vwyzabc"


def claims(license_id: str = ID, **changes: Any) -> LicenseClaims:
    stated: dict[str, Any] = {
        "issued_at": NOW,
        "starts_at": NOW,
        "expires_at": NOW + timedelta(days=365),
        "customer": LicenseCustomer("acc_1", "Zoë Ångström", "zoe@example.com", "Österreichische Dampf GmbH"),
        "sku_name": "Professional",
        "sku_short_name": "professional",
        "features": {"users": 100, "ldap": True, "saml": False, "future_features": False},
    }
    return LicenseClaims(id=license_id, **(stated | changes))


def claims_under(**changes: Any) -> Callable[[str], LicenseClaims]:
    return lambda license_id: claims(license_id, **changes)


def signed(payload: bytes, key: RSAPrivateKey) -> bytes:
    """The text of a file around any payload. Spaces are put behind it until the signature does not end in NUL."""
    while (signature := sign_payload(payload, HeldRsaKey(key))).endswith(b"\0"):
        payload += b"   "
    return encode(payload, signature).encode()


def decoded(text: str | bytes) -> bytes:
    return b64decode(text)
