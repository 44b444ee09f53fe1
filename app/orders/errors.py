from http import HTTPStatus

from app.core.errors import DomainError


class SeatsOutOfRange(DomainError):
    status, slug = HTTPStatus.UNPROCESSABLE_ENTITY, "seats-out-of-range"
    title = "This number of seats is not sold on this plan"


class PreviewExpired(DomainError):
    status, slug, title = HTTPStatus.GONE, "preview-expired", "This offer has expired"


class PreviewChanged(DomainError):
    """Something the offer rests on is different now; nothing was ordered and a new preview shows the new figures."""

    slug, title = "preview-changed", "The offer has changed since you saw it"


class NeedsQuote(DomainError):
    slug, title = "needs-quote", "This order goes through sales"


class ConsumersNotServed(DomainError):
    status, slug = HTTPStatus.UNPROCESSABLE_ENTITY, "consumers-not-served"
    title = "This vendor sells to businesses only"


class AlreadyRenewed(DomainError):
    slug, title = "already-renewed", "This term is renewed already"


class ChangeRefused(DomainError):
    """`reason`: state, ended, not_renewing, unpaid_invoice, renewal_under_way, order_under_way, mixed, nothing_changes,
    add_on; `invoice` or `order` name what is in the way.
    """

    slug, title = "change-refused", "This subscription cannot be changed so now"


class OrderClosed(DomainError):
    slug, title = "order-closed", "This order can no longer be paid"
