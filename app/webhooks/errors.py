from http import HTTPStatus

from app.core.errors import DomainError, NotFound


class EndpointNotFound(NotFound):
    """No such endpoint, or one of somebody else."""


class DeliveryNotFound(NotFound):
    """No such delivery or event for this endpoint."""


class AddressRefused(DomainError):
    """We do not call this address (S21); the detail says why in words for its owner."""

    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "address-refused", "This address cannot be called"


class TooManyEndpoints(DomainError):
    status, slug, title = HTTPStatus.CONFLICT, "too-many-endpoints", "No further endpoint can be added"


class EndpointDisabled(DomainError):
    status, slug, title = HTTPStatus.CONFLICT, "endpoint-disabled", "This endpoint is disabled"


class NothingToRotate(DomainError):
    status, slug, title = HTTPStatus.CONFLICT, "nothing-to-rotate", "This endpoint has no signing secret"
