from collections.abc import Iterable
from http import HTTPStatus
from typing import Self

from app.core.errors import DomainError
from app.licenses.formats.findings import Finding


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


class ActivationLimitReached(DomainError):
    slug, title = "activation-limit-reached", "Every activation of this license is in use"


class LicenseNotUsable(DomainError):
    """What online validation would refuse binds no server; `reason` is its code."""

    slug, title = "license-not-usable", "This license can bind no server now"

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Self:
        """From the first finding that blocks."""
        said = next(each for each in findings if each.blocks)
        return cls(f"{said.detail} {said.remedy}", reason=said.code)


class TransfersSpent(DomainError):
    slug, title = "transfers-spent", "This license was moved as often as its plan allows"


class HeartbeatsOff(DomainError):
    slug, title = "heartbeats-off", "This license wants no heartbeats"


class LeaseEnded(DomainError):
    """Too late to come back: the server has to activate again."""

    status, slug, title = HTTPStatus.GONE, "activation-ended", "This activation has ended"


class OfflineNotOffered(DomainError):
    slug, title = "offline-not-offered", "This license binds no servers without a network"


class ProofNeeded(DomainError):
    """A server that was activated by a file runs on unless it was told; its own request shows that it was."""

    slug, title = "deactivation-proof-needed", "The server has to give this activation up itself"
