from http import HTTPStatus

from app.core.errors import DomainError


class CreditTooLarge(DomainError):
    """More than is left of the invoice, a line or a tax; `left` is in minor units."""

    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "credit-too-large", "More than can still be credited"


class NothingToCredit(DomainError):
    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "nothing-to-credit", "Nothing would be given back"


class NotCreditable(DomainError):
    """Drafts and void invoices have nothing to correct."""

    slug, title = "not-creditable", "This invoice cannot be credited"
