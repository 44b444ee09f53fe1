"""API keys: shown once, kept as a keyed hash, scoped, and at most a year old (S10)."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, select, update
from sqlmodel import col

from app.accounts.errors import ScopeExceeded
from app.accounts.models import Account, ApiKey
from app.core import audit
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.ids import has_form, new_id, require_form
from app.core.security import Secrets, api_key_has_form, new_api_key

SCOPES: Final = frozenset(
    {
        "orders:read", "orders:write", "subscriptions:read", "subscriptions:write", "sandbox:write",
        "accounts:read", "accounts:write", "invoices:read", "invoices:write", "payments:write", "refunds:write",
        "licenses:read", "payment_methods:write",
        "licenses:write", "workspaces:read", "workspaces:write", "provisioning:work", "surveys:read", "surveys:write",
        "reports:read", "events:read", "webhooks:write", "keys:write", "tax:read", "tax:write",
    }
)  # fmt: skip
LONGEST: Final = timedelta(days=366)
_TOUCH_AFTER: Final = timedelta(minutes=1)


def create(
    tx: Tx, secrets: Secrets, *, name: str, scopes: list[str], account_id: str | None, actor: str, now: datetime,
    lives: timedelta = LONGEST,
) -> tuple[ApiKey, str]:  # fmt: skip
    """A new key and its secret, which exists nowhere else. Raises Invalid for an unknown scope."""
    unknown = sorted(set(scopes) - SCOPES - {"*"} - {f"{scope.split(':')[0]}:*" for scope in SCOPES})
    if unknown:
        raise Invalid(f"Unknown scopes: {', '.join(unknown)}. Known: {', '.join(sorted(SCOPES))}.", param="scopes")
    secret = new_api_key()
    key = ApiKey(
        id=new_id("key"), account_id=account_id, name=name, secret_hash=secrets.fingerprint("api-key", secret),
        scopes=scopes, created_at=now, expires_at=now + min(lives, LONGEST),
    )  # fmt: skip
    tx.add(key)
    audit.record(tx, account_id or audit.SYSTEM, actor=actor, action="api_key.created", subject=key.id, now=now,
                 details={"name": name, "scopes": scopes})  # fmt: skip
    return key, secret


def mint(
    tx: Tx, secrets: Secrets, caller: ApiKey, *, name: str, scopes: list[str], account_id: str | None,
    lives: timedelta, now: datetime,
) -> tuple[ApiKey, str]:  # fmt: skip
    """A key made by a key. Without `account_id` it gets the caller's own reach.

    Raises ScopeExceeded for a scope the caller lacks, NotFound for an account that it cannot see: a key bound to
    an account sees that one only and makes no key of the vendor.
    """
    lacking = sorted(scope for scope in set(scopes) if not caller.allows(scope))
    if lacking:
        raise ScopeExceeded(f"This key has no {', '.join(lacking)}.", param="scopes")
    bound_to = account_id or caller.account_id
    if bound_to is not None and not _sees(tx, caller, bound_to):
        raise NotFound("There is no such account.", param="account_id")
    return create(
        tx, secrets, name=name, scopes=scopes, account_id=bound_to, actor=caller.id, now=now, lives=lives
    )  # fmt: skip


def _sees(tx: Tx, caller: ApiKey, account_id: str) -> bool:
    if caller.account_id is not None:
        return caller.account_id == account_id
    return has_form("acc", account_id) and tx.get(Account, account_id) is not None


def visible_to(caller: ApiKey) -> Select[ApiKey]:
    """The keys that a key may list and revoke: those of its account, or all for one of the vendor."""
    every = select(ApiKey)
    return every if caller.account_id is None else every.where(col(ApiKey.account_id) == caller.account_id)


def get(tx: Tx, caller: ApiKey, key_id: str) -> ApiKey:
    """Raises NotFound, for another account's key too."""
    key = tx.execute(
        visible_to(caller).where(col(ApiKey.id) == require_form("key", key_id))
    ).scalar_one_or_none()  # fmt: skip
    if key is None:
        raise NotFound("There is no such API key.")
    return key


def revoke(tx: Tx, caller: ApiKey, key_id: str, now: datetime) -> None:
    """End a key at once; again changes nothing. Raises NotFound."""
    _end(tx, get(tx, caller, key_id), by=caller.id, details={}, now=now)


def find(tx: Tx, key_id: str) -> ApiKey:
    """Any key, for staff. Raises NotFound."""
    key = tx.get(ApiKey, require_form("key", key_id))
    if key is None:
        raise NotFound("There is no such API key.")
    return key


def revoke_for_staff(tx: Tx, key_id: str, *, by: str, why: str, now: datetime) -> None:
    """End anybody's key at once; again changes nothing. Raises NotFound."""
    _end(tx, find(tx, key_id), by=by, details={"note": why}, now=now)


def _end(tx: Tx, key: ApiKey, *, by: str, details: dict[str, str], now: datetime) -> None:
    if key.revoked_at is not None:
        return
    key.revoked_at = now
    audit.record(tx, key.account_id or audit.SYSTEM, actor=by, action="api_key.revoked", subject=key.id, now=now,
                 details=details)  # fmt: skip


def authenticate(tx: Tx, secrets: Secrets, presented: str, now: datetime, *, ip: str = "") -> ApiKey | None:
    """The live key behind a secret, or None. `now` is real time; when and from where it was used is noted (S10)."""
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
        tx.execute(update(ApiKey).where(col(ApiKey.id) == key.id).values(last_used_at=now, last_used_ip=ip or None))
    return key
