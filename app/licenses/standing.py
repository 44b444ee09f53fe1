"""How a license stands on a day: what its record says, unless its time has not come or is over."""

from datetime import datetime, timedelta
from enum import StrEnum

from app.licenses.models import License, LicenseState


class Standing(StrEnum):
    """`lapsed`: the term is over, the grace is not."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    LAPSED = "lapsed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


def standing(license_: License, now: datetime) -> Standing:
    """Terms end without a write, so that a record goes on saying `active`."""
    if license_.state is not LicenseState.ACTIVE:
        return Standing(license_.state.value)
    if now < license_.starts_at:
        return Standing.SCHEDULED
    if now < license_.expires_at:
        return Standing.ACTIVE
    return Standing.LAPSED if now < works_until(license_) else Standing.EXPIRED


def works_until(license_: License) -> datetime:
    """The end of the grace."""
    return license_.expires_at + timedelta(days=license_.grace_days)
