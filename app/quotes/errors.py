from http import HTTPStatus

from app.core.errors import DomainError


class QuoteNotReady(DomainError):
    slug, title = "quote-not-ready", "This quote cannot be sent yet"


class DiscountNeedsApproval(DomainError):
    slug, title = "discount-needs-approval", "Somebody else has to approve this discount"


class ApprovalRefused(DomainError):
    status, slug, title = HTTPStatus.FORBIDDEN, "approval-refused", "You cannot approve this discount"


class QuoteClosed(DomainError):
    """It expired, was withdrawn, declined, superseded or accepted: `state` says which."""

    status, slug, title = HTTPStatus.CONFLICT, "quote-closed", "This quote can no longer be accepted"


class SignatureNeeded(DomainError):
    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "signature-needed", "This quote needs a signed paper"
