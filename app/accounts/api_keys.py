"""API keys: shown once, kept as a keyed hash, scoped, and at most a year old (S10)."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlmodel import col

from app.accounts.models import ApiKey
from app.core import audit
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.ids import new_id
from app.core.security import Secrets, api_key_has_form, new_api_key

SCOPES: Final = frozenset(
    {
        "orders:write", "subscriptions:write", "accounts:read", "accounts:write", "invoices:read", "licenses:read",
        "licenses:write", "workspaces:read", "workspaces:write", "provisioning:work", "surveys:read", "surveys:write",
        "reports:read", "events:read", "webhooks:write", "keys:write",
    }
)  # fmt: skip
_LONGEST: Final = timedelta(days=366)
_TOUCH_AFTER: Final = timedelta(minutes=1)


def create(
    tx: Tx, secrets: Secrets, *, name: str, scopes: list[str], account_id: str | None, actor: str, now: datetime,
    lives: timedelta = _LONGEST,
) -> tuple[ApiKey, str]:  # fmt: skip
    """A new key and its secret, which exists nowhere else. Raises Invalid for an unknown scope."""
    unknown = sorted(set(scopes) - SCOPES - {"*"} - {f"{scope.split(':')[0]}:*" for scope in SCOPES})
    if unknown:
        raise Invalid(f"Unknown scopes: {', '.join(unknown)}. Known: {', '.join(sorted(SCOPES))}.", param="scopes")
    secret = new_api_key()
    key = ApiKey(
        id=new_id("key"), account_id=account_id, name=name, secret_hash=secrets.fingerprint("api-key", secret),
        scopes=scopes, created_at=now, expires_at=now + min(lives, _LONGEST),
    )  # fmt: skip
    tx.add(key)
    audit.record(tx, account_id or audit.SYSTEM, actor=actor, action="api_key.created", subject=key.id, now=now,
                 details={"name": name, "scopes": scopes})  # fmt: skip
    return key, secret


def authenticate(tx: Tx, secrets: Secrets, presented: str, now: datetime) -> ApiKey | None:
    """The live key behind a secret, or None. `now` is real time."""
    if not api_key_has_form(presented):
        return None
    key = tx.execute(
        select(ApiKey).where(
            col(ApiKey.secret_hash) == secrets.fingerprint("api-key", presented),
            col(ApiKey.revoked_at).is_(None),
            col(ApiKey.expires_at) > now,
        )
    ).scalar_one_or_none()
    if key is not None and (key.last_used_at is None or now - key.last_used_at > _TOUCH_AFTER):
        tx.execute(update(ApiKey).where(col(ApiKey.id) == key.id).values(last_used_at=now))
    return key
