"""What doors are given: a unit of work, the time, and who is asking."""

from collections.abc import Callable, Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.accounts import api_keys
from app.accounts.errors import TooManyTries
from app.accounts.models import ApiKey
from app.core.clock import transport_now
from app.core.errors import DomainError
from app.core.security import allow
from app.flows.ports import Ports
from app.web.throttle import address_block

_WRONG_KEYS: Final = (30, 300)  # tries, seconds


class NotSignedIn(DomainError):
    status, slug, title = HTTPStatus.UNAUTHORIZED, "not-signed-in", "Who is asking is not known"


class ScopeMissing(DomainError):
    status, slug, title = HTTPStatus.FORBIDDEN, "scope-missing", "This API key may not do that"


def ports_of(request: Request) -> Ports:
    return cast(Ports, request.app.state.ports)


Wired = Annotated[Ports, Depends(ports_of)]


def open_transaction(ports: Wired) -> Iterator[Session]:
    with ports.db.session() as tx:
        yield tx


# Scope "function": the commit happens before the answer leaves, so a failed commit is a 500 and never a 200.
Tx = Annotated[Session, Depends(open_transaction, scope="function")]


def business_now(ports: Wired) -> datetime:
    return ports.clock.now()


Now = Annotated[datetime, Depends(business_now)]


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn("Send `Authorization: Bearer blp_…` with an API key.")
    return token.strip()


def api_key(request: Request, ports: Wired) -> ApiKey:
    """The key that signs this request, looked up in a unit of work of its own.

    Wrong keys are counted per address like wrong codes (S11); a right one never waits for that.
    """
    now = transport_now()
    with ports.db.session() as tx:
        key = api_keys.authenticate(tx, ports.secrets, _bearer(request), now, ip=client_ip(request))
        if key is not None:
            return key
    count_try(request, "api-key", *_WRONG_KEYS)
    raise NotSignedIn("This API key is unknown, revoked or expired.")


def count_try(request: Request, deed: str, tries: int, seconds: int) -> None:
    """Count one try of this network address, in a unit of work of its own. Raises TooManyTries past the limit (S19)."""
    ports, now = ports_of(request), transport_now()
    who = ports.secrets.fingerprint("rate", f"ip/{address_block(client_ip(request))}")
    with ports.db.session() as tx:
        within = allow(tx, deed, who, limit=tries, seconds=seconds, now=now)
    if not within:
        raise TooManyTries(retry_after=seconds - int(now.timestamp()) % seconds)


def requires(scope: str) -> Callable[[ApiKey], ApiKey]:
    """A dependency that lets only keys with `scope` through."""

    def check(key: Annotated[ApiKey, Depends(api_key)]) -> ApiKey:
        if not key.allows(scope):
            raise ScopeMissing(f"This needs the scope {scope}; the key has {', '.join(key.scopes) or 'none'}.")
        return key

    return check


def client_ip(request: Request) -> str:
    """The address of the caller; proxies are believed only where uvicorn was told to trust them."""
    return request.client.host if request.client else ""
