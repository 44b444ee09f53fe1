"""Refusals.

A refusal is an expected answer with a stable slug, rendered once as an RFC 9457 problem
(`web/problems.py`). Anything else that is raised is a bug and becomes a 500.
"""

from http import HTTPStatus
from typing import ClassVar

Extra = str | int | bool | None


class DomainError(Exception):
    """Base of every refusal; subclasses fix `status`, `slug` and `title`, the occurrence gives `detail`.

    `slug` is public and stable: the problem's type is `/problems/<slug>` and its `code` the slug with
    underscores. `param` names the input that has to change, as the API or the form spells it.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.CONFLICT
    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, *, param: str | None = None, **extra: Extra) -> None:
        super().__init__(detail)
        self.detail, self.param, self.extra = detail, param, extra

    @property
    def code(self) -> str:
        return self.slug.replace("-", "_")


class NotFound(DomainError):
    """Nothing there, or not yours: the two look alike on purpose."""

    status, slug, title = HTTPStatus.NOT_FOUND, "not-found", "There is no such thing here"


class Invalid(DomainError):
    """One input is malformed or out of range; `param` names it and `detail` says what would do."""

    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "An input cannot be used as it is"


class NotAllowed(DomainError):
    status, slug, title = HTTPStatus.FORBIDDEN, "not-allowed", "This is not open to you"


class Unavailable(DomainError):
    """An outside party did not answer; the same call may work later."""

    status, slug, title = HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "A service we depend on is not answering"
