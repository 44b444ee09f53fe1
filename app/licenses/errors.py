from http import HTTPStatus

from app.core.errors import DomainError


class AlreadyRevoked(DomainError):
    status, slug, title = HTTPStatus.CONFLICT, "license-already-revoked", "This license was revoked before"


class NotReleased(DomainError):
    slug, title = "license-not-released", "This license is handed over later"


class ActivationLimitReached(DomainError):
    slug, title = "activation-limit-reached", "Every activation of this license is in use"


class LicenseNotUsable(DomainError):
    """What online validation would refuse binds no server; `reason` is its code."""

    slug, title = "license-not-usable", "This license can bind no server now"


class TransfersSpent(DomainError):
    slug, title = "transfers-spent", "This license was moved as often as its plan allows"


class HeartbeatsOff(DomainError):
    slug, title = "heartbeats-off", "This license wants no heartbeats"


class LeaseEnded(DomainError):
    """Too late to come back: the server has to activate again."""

    status, slug, title = HTTPStatus.GONE, "activation-ended", "This activation has ended"
