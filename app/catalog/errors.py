from http import HTTPStatus

from app.core.errors import DomainError


class UnknownPlan(DomainError):
    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "unknown-plan", "This plan is not in the catalog"


class NoPrice(DomainError):
    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "no-price", "There is no price for this combination"


class CatalogInvalid(DomainError):
    """The file cannot be applied; nothing of it was."""

    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "catalog-invalid", "The catalog file cannot be applied"
