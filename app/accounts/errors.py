"""What the accounts room refuses."""

from http import HTTPStatus
from typing import ClassVar

from app.core.errors import DomainError


class TooManyTries(DomainError):
    """A limit of S19; `retry_after` is in seconds."""

    status, slug, title = HTTPStatus.TOO_MANY_REQUESTS, "too-many-tries", "Too many tries in a short time"

    def __init__(self, *, retry_after: int) -> None:
        minutes = -(-retry_after // 60)
        wait = f"{minutes} minutes" if minutes > 1 else "a minute"
        super().__init__(f"Wait {wait}, then try again.", retry_after=retry_after)


class AlreadyMember(DomainError):
    slug, title = "already-member", "This person already belongs to the account"


class LastOwner(DomainError):
    slug, title = "last-owner", "An account keeps at least one owner"


class OwnersOnly(DomainError):
    status: ClassVar[HTTPStatus] = HTTPStatus.FORBIDDEN
    slug, title = "owners-only", "Only an owner may do this"


class AlreadyStaff(DomainError):
    slug, title = "already-staff", "This person already belongs to staff"


class LastAdministrator(DomainError):
    slug, title = "last-administrator", "Staff keeps at least one administrator"


class ScopeExceeded(DomainError):
    status: ClassVar[HTTPStatus] = HTTPStatus.FORBIDDEN
    slug, title = "scope-exceeded", "A key cannot give away what it may not do itself"
