from http import HTTPStatus

from app.core.errors import DomainError


class AlreadyRevoked(DomainError):
    status, slug, title = HTTPStatus.CONFLICT, "license-already-revoked", "This license was revoked before"


class NotReleased(DomainError):
    slug, title = "license-not-released", "This license is handed over later"


class NotInForce(DomainError):
    slug, title = "license-not-in-force", "Nothing more is signed for this license"
