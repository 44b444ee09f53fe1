"""How a license stands on a day, which its record alone does not say."""

from datetime import UTC, datetime, timedelta

import pytest

from app.licenses.models import License, LicenseState
from app.licenses.standing import standing

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def of(state: LicenseState) -> License:
    return License.model_construct(state=state, starts_at=START, expires_at=END, grace_days=10)


@pytest.mark.parametrize(
    ("at", "stands"),
    [
        (START - SECOND, "scheduled"), (START, "active"), (END - SECOND, "active"), (END, "lapsed"),
        (END + timedelta(days=10) - SECOND, "lapsed"), (END + timedelta(days=10), "expired"),
    ],
)  # fmt: skip
def test_a_license_in_force_begins_lapses_and_expires_without_a_write(at: datetime, stands: str) -> None:
    assert standing(of(LicenseState.ACTIVE), at) == stands


@pytest.mark.parametrize("state", [LicenseState.SUPERSEDED, LicenseState.SUSPENDED, LicenseState.REVOKED])
def test_what_a_record_says_of_itself_holds_on_any_day(state: LicenseState) -> None:
    assert {standing(of(state), at).value for at in (START - SECOND, START, END + timedelta(days=99))} == {state.value}
