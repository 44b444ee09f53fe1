from http import HTTPStatus

from app.core.errors import DomainError


class AlreadyRevoked(DomainError):
    status, slug, title = HTTPStatus.CONFLICT, "license-already-revoked", "This license was revoked before"


class NotReleased(DomainError):
    slug, title = "license-not-released", "This license is handed over later"


class NotInForce(DomainError):
    slug, title = "license-not-in-force", "Nothing more is signed for this license"


class NothingBought(DomainError):
    slug, title = "license-is-a-trial", "This is not open to a trial"


class TrialRefused(DomainError):
    """`reason` is server, company, mailbox, held, plan or terms."""

    slug, title = "trial-refused", "No trial can be given here"


class ReportRefused(DomainError):
    """A report of usage that does not fit what was reported before; `reason` is replayed, older or ended."""

    slug, title = "usage-report-refused", "This report of usage cannot be taken"
