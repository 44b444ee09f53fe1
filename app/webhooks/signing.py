"""What travels in a delivery: the message, and the headers that prove where it comes from (Standard Webhooks)."""

import json
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from standardwebhooks import Webhook

from app.core.events import Event
from app.core.ids import new_secret

SECRET_BYTES: Final = 24


def new_signing_secret() -> bytes:
    return urlsafe_b64decode(new_secret(SECRET_BYTES))  # 24 bytes are 32 characters, so nothing is padded


def shown(secret: bytes) -> str:
    """As its owner copies it: `whsec_` and base64, which every Standard Webhooks library takes."""
    return f"whsec_{b64encode(secret).decode()}"


def message(event: Event) -> bytes:
    """The body of one event, the same bytes at every try.

    `sequence` counts the events of `object_id` from 1 without a gap: deliveries may arrive in any order, a
    receiver that keeps the highest sequence per object knows which one is the newest (R-PRV-4).
    """
    return body(
        kind=event.type, at=event.occurred_at, object_id=event.object_id, sequence=event.object_sequence,
        account_id=event.account_id, data=event.data,
    )  # fmt: skip


def body(
    *, kind: str, at: datetime, object_id: str, sequence: int, account_id: str | None, data: dict[str, Any]
) -> bytes:
    told = {
        "type": kind, "timestamp": at.isoformat().replace("+00:00", "Z"), "object_id": object_id,
        "sequence": sequence, "account_id": account_id, "data": data,
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def headers(secrets: Sequence[bytes], message_id: str, at: datetime, content: bytes) -> dict[str, str]:
    """`message_id` stays the same over all tries, `at` is the real time of this one.

    One signature per secret, the newest first: during a rotation either of two secrets verifies.
    """
    signatures = [Webhook(secret).sign(message_id, at, content.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
        "content-type": "application/json",
        "user-agent": "BLP-Webhooks/1",
    }
