import hashlib
import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.core.clock import transport_now
from app.webhooks import signing


def test_the_signature_is_what_the_published_scheme_says() -> None:
    """Computed here by hand: HMAC-SHA256 over `id.timestamp.body`, base64, marked v1."""
    secret, at, body = bytes(range(24)), datetime(2027, 1, 2, 3, 4, 5, 678901, UTC), '{"a":"ü"}'.encode()
    by_hand = hmac.new(secret, b"evt_1.1798859045." + body, hashlib.sha256).digest()
    made = signing.headers([secret], "evt_1", at, body)
    assert made["webhook-id"] == "evt_1"
    assert made["webhook-timestamp"] == "1798859045"
    assert made["webhook-signature"] == f"v1,{b64encode(by_hand).decode()}"


def test_a_secret_is_shown_as_every_library_takes_it() -> None:
    secret = signing.new_signing_secret()
    shown = signing.shown(secret)
    assert shown.startswith("whsec_")
    assert b64decode(shown.removeprefix("whsec_")) == secret
    assert len(secret) == signing.SECRET_BYTES
    assert secret != signing.new_signing_secret()


def test_during_a_rotation_either_secret_verifies_and_no_other() -> None:
    old, new, other = (signing.new_signing_secret() for _ in range(3))
    made = signing.headers([new, old], "evt_1", transport_now(), b"{}")
    assert made["webhook-signature"].count("v1,") == 2
    for secret in (old, new):
        Webhook(signing.shown(secret)).verify(b"{}", made)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.shown(other)).verify(b"{}", made)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.shown(new)).verify(b"{ }", made)
