"""The `Stripe-Signature` header, made and checked without the SDK.

Scheme v1 is HMAC-SHA256 over `<t>.<raw body>`; the header carries one `t` and one or more `v1`
(https://docs.stripe.com/webhooks#verify-manually).
"""

import hmac
from datetime import datetime
from typing import Final

from app.core.security import Secrets
from app.payments.errors import ForgedEvent

TOLERANCE_SECONDS: Final = 300


def webhook_secret(secrets: Secrets) -> str:
    """The endpoint secret of this installation's sandbox; any process of it derives the same one."""
    return f"whsec_{secrets.fingerprint('sandbox-webhook', 'inbound/stripe')}"


def sign(raw: bytes, secret: str, at: datetime) -> str:
    """The header for a body sent at `at`, which is real time."""
    stamp = int(at.timestamp())
    return f"t={stamp},v1={_tag(raw, secret, stamp)}"


def check(raw: bytes, header: str, secret: str, now: datetime) -> None:
    """Raises ForgedEvent unless a v1 value fits the raw bytes and `t` is within 300 s of `now`, either way."""
    if not secret.strip():
        raise ForgedEvent("No webhook secret is set, so nothing can be believed.")
    stamp, tags = _read(header)
    expected = _tag(raw, secret, stamp).encode()
    # Every value is compared, so that the time taken tells nothing about which one fits.
    if not any([hmac.compare_digest(expected, tag.encode()) for tag in tags]):  # noqa: C419 -- see above
        raise ForgedEvent("The signature does not fit the body.")
    if abs(int(now.timestamp()) - stamp) > TOLERANCE_SECONDS:
        raise ForgedEvent("The signature is too old or from the future; check the clocks.")


def _tag(raw: bytes, secret: str, stamp: int) -> str:
    return hmac.digest(secret.encode(), b"%d.%b" % (stamp, raw), "sha256").hex()


def _read(header: str) -> tuple[int, list[str]]:
    pairs = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    tags = [value for name, _, value in pairs if name == "v1"]
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdigit() and len(stamps[0]) <= 12) or not tags:
        raise ForgedEvent("The Stripe-Signature header is missing or malformed.")
    return int(stamps[0]), tags
