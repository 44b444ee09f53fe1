from typing import ClassVar

from app.core.errors import DomainError, Unavailable


class TaxUnavailable(Unavailable):
    """The provider of tax gave no answer; nothing is known, and it may be asked again. `spent` where it keeps to that
    for the key it was asked with.
    """


class TaxRefused(DomainError):
    """The provider of tax answered that it cannot; `reason` is its word for why."""

    slug: ClassVar[str] = "tax-refused"
    title: ClassVar[str] = "The tax provider refuses"
