"""Endpoints: where events go, with which secret they are signed, and who may change that (R-PRV-4)."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select
from sqlmodel import col

from app.core import audit
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.ids import new_id, require_form
from app.core.security import Secrets
from app.webhooks import signing
from app.webhooks.errors import EndpointNotFound, NothingToRotate, TooManyEndpoints
from app.webhooks.models import EndpointKind, WebhookDelivery, WebhookEndpoint

# For this long after a rotation deliveries carry both signatures, so that a receiver can change over at leisure.
OVERLAP: Final = timedelta(hours=24)
_MOST_PER_OWNER: Final = 20
_PATTERN: Final = re.compile(r"\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?")
_URL: Final = "webhook-url"
_SECRET: Final = "webhook-secret"  # noqa: S105 -- the purpose a secret is sealed for


def check_event_types(patterns: Sequence[str], *, param: str = "event_types") -> list[str]:
    """Names such as `invoice.paid`, `survey.*` or `*`, each once. Raises Invalid."""
    if not patterns or len(patterns) > 50:
        raise Invalid("Name 1 to 50 event types; `*` is all of them.", param=param)
    for each in patterns:
        if len(each) > 80 or not _PATTERN.fullmatch(each):
            raise Invalid(f"{each[:80]!r} is not an event type such as invoice.paid or survey.*.", param=param)
    return list(dict.fromkeys(patterns))


def wants(patterns: Sequence[str], event_type: str) -> bool:
    """Whether any pattern covers the type: `survey.*` covers every type that begins with `survey.`."""
    return any(
        each in {"*", event_type} or (each.endswith(".*") and event_type.startswith(each[:-1])) for each in patterns
    )


def create(
    tx: Tx, secrets: Secrets, *, kind: EndpointKind, url: str, event_types: Sequence[str], description: str,
    account_id: str | None, actor: str, now: datetime,
) -> tuple[WebhookEndpoint, str | None]:  # fmt: skip
    """A new endpoint and its signing secret, which is shown this once (None for a Mattermost channel).

    The caller has checked the address (`HttpOut.refusal`) outside the transaction. Raises Invalid, TooManyEndpoints.
    """
    owner = col(WebhookEndpoint.account_id)
    mine = owner.is_(None) if account_id is None else owner == account_id
    have: int = tx.execute(select(func.count()).select_from(WebhookEndpoint).where(mine)).scalar_one()
    if have >= _MOST_PER_OWNER:
        raise TooManyEndpoints(f"There are {have} already; remove one that is no longer used.")
    secret = signing.new_signing_secret() if kind is EndpointKind.STANDARD else None
    endpoint = WebhookEndpoint(
        id=new_id("whe"), kind=kind, account_id=account_id, url_sealed=secrets.seal(_URL, url.encode()),
        secret_sealed=secrets.seal(_SECRET, secret) if secret else None, event_types=check_event_types(event_types),
        description=description, created_at=now,
    )  # fmt: skip
    tx.add(endpoint)
    tx.flush()
    _audit(tx, endpoint, actor, "created", now, host=host_of(url), event_types=endpoint.event_types)
    return endpoint, signing.shown(secret) if secret else None


def get(tx: Tx, endpoint_id: str, *, account_id: str | None, lock: bool = False) -> WebhookEndpoint:
    """For a key of `account_id`; the vendor's own (None) sees every endpoint. Raises EndpointNotFound."""
    found = tx.get(
        WebhookEndpoint, require_form("whe", endpoint_id), with_for_update=lock or None, populate_existing=lock
    )
    if found is None or account_id not in {None, found.account_id}:
        raise EndpointNotFound("There is no such webhook endpoint.", param="endpoint_id")
    return found


def change(
    tx: Tx, secrets: Secrets, endpoint: WebhookEndpoint, *, url: str | None, event_types: Sequence[str] | None,
    description: str | None, disabled: bool | None, actor: str, now: datetime,
) -> None:  # fmt: skip
    """Change what is given. Enabling again does not send what was missed: replay does."""
    if url is not None:
        endpoint.url_sealed = secrets.seal(_URL, url.encode())
    if event_types is not None:
        endpoint.event_types = check_event_types(event_types)
    if description is not None:
        endpoint.description = description
    if disabled is True and endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_reason = now, "switched off"
    if disabled is False:
        endpoint.disabled_at = endpoint.disabled_reason = None
    _audit(tx, endpoint, actor, "changed", now, host=host_of(url_of(secrets, endpoint)),
           event_types=endpoint.event_types, disabled=endpoint.disabled_at is not None)  # fmt: skip


def rotate(tx: Tx, secrets: Secrets, endpoint: WebhookEndpoint, *, actor: str, now: datetime) -> str:
    """A new signing secret, shown this once; the old one signs too for 24 hours of real time (`now`).

    Raises NothingToRotate for a Mattermost channel: make a new incoming webhook there and change the address.
    """
    if endpoint.secret_sealed is None:
        raise NothingToRotate("A Mattermost channel is protected by its address; replace the address instead.")
    secret = signing.new_signing_secret()
    endpoint.previous_secret_sealed, endpoint.previous_secret_until = endpoint.secret_sealed, now + OVERLAP
    endpoint.secret_sealed = secrets.seal(_SECRET, secret)
    _audit(tx, endpoint, actor, "rotated", now)
    return signing.shown(secret)


def remove(tx: Tx, endpoint: WebhookEndpoint, *, actor: str, now: datetime) -> None:
    """With the log of its deliveries; the events stay."""
    tx.execute(delete(WebhookDelivery).where(col(WebhookDelivery.endpoint_id) == endpoint.id))
    _audit(tx, endpoint, actor, "removed", now)
    tx.delete(endpoint)


def disable_gone(tx: Tx, endpoint: WebhookEndpoint, now: datetime) -> None:
    """The receiver answered 410: it does not want to hear from us again (Standard Webhooks)."""
    if endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_reason = now, "the receiver answered 410 Gone"
        _audit(tx, endpoint, audit.SYSTEM, "disabled", now, reason=endpoint.disabled_reason)


def url_of(secrets: Secrets, endpoint: WebhookEndpoint) -> str:
    return secrets.open(_URL, endpoint.url_sealed).decode()


def shown_url(secrets: Secrets, endpoint: WebhookEndpoint) -> str:
    """The address for its owner's eyes; of a Mattermost channel only the host, for the rest of it is a password."""
    url = url_of(secrets, endpoint)
    return url if endpoint.kind is EndpointKind.STANDARD else f"{urlsplit(url).scheme}://{host_of(url)}/…"


def signing_secrets(secrets: Secrets, endpoint: WebhookEndpoint, now: datetime) -> list[bytes]:
    """The secrets to sign with at this moment of real time, the newest first."""
    sealed = [endpoint.secret_sealed]
    if endpoint.previous_secret_until is not None and now < endpoint.previous_secret_until:
        sealed.append(endpoint.previous_secret_sealed)
    return [secrets.open(_SECRET, each) for each in sealed if each is not None]


def host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


def _audit(tx: Tx, endpoint: WebhookEndpoint, actor: str, what: str, now: datetime, **details: object) -> None:
    audit.record(
        tx, endpoint.account_id or audit.SYSTEM, actor=actor, action=f"webhook_endpoint.{what}", subject=endpoint.id,
        now=now, details=details,
    )  # fmt: skip
