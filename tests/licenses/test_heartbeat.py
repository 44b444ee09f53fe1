"""When an activation lives, comes back, or gives way; and how many there may be (R-LIC-5)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.catalog.activation_rules import ActivationRules, Overage, allowed, limit_fault
from app.core.errors import Invalid
from app.licenses import heartbeat
from app.licenses.activations import Binding, Terms, require_divisible
from app.licenses.heartbeat import Life

LAST = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rules(**given: Any) -> ActivationRules:
    return ActivationRules.model_validate({"heartbeat_seconds": 600} | given)


def after(seconds: float) -> datetime:
    return LAST + timedelta(seconds=seconds)


DUE = after(600)


@pytest.mark.vector(21)
@pytest.mark.parametrize(("seconds", "life"), [(0, Life.ALIVE), (599, Life.ALIVE), (600, Life.ALIVE), (601, Life.DEAD)])
def test_a_server_is_dead_once_its_interval_is_over(seconds: int, life: Life) -> None:
    assert heartbeat.life(heartbeat.lease(rules(), LAST), after(seconds)) is life
    assert heartbeat.life(heartbeat.lease(ActivationRules(), LAST), after(seconds)) is Life.UNWATCHED


@pytest.mark.vector(21)
@pytest.mark.parametrize(
    ("policy", "late", "comes_back", "gives_way"),
    [
        ({}, 0, True, False), ({}, 1, False, True),
        ({"revive": "within", "revive_minutes": 5}, 299, True, False),
        ({"revive": "within", "revive_minutes": 5}, 300, True, False),
        ({"revive": "within", "revive_minutes": 5}, 301, False, True),
        ({"cull": "keep"}, 1, False, False),
        ({"cull": "keep", "revive": "within", "revive_minutes": 1}, 61, False, False),
        ({"cull": "keep", "revive": "always"}, 10**7, True, False),
    ],
)  # fmt: skip
def test_what_falls_silent_comes_back_or_gives_way(
    policy: dict[str, Any], late: int, comes_back: bool, gives_way: bool
) -> None:
    now = DUE + timedelta(seconds=late)
    assert heartbeat.comes_back(rules(**policy), DUE, now) is comes_back
    assert heartbeat.gives_way(rules(**policy), DUE, now) is gives_way
    assert heartbeat.gives_way(rules(**policy), None, now) is False


@given(
    late=st.integers(-10_000, 200_000), keep=st.booleans(), minutes=st.none() | st.integers(1, 1440),
    always=st.booleans(),
)  # fmt: skip
def test_no_place_is_given_away_while_its_server_may_come_back(
    late: int, keep: bool, minutes: int | None, always: bool
) -> None:
    policy: dict[str, Any] = {"cull": "keep" if keep else "deactivate"}
    if keep and always:
        policy["revive"] = "always"
    elif minutes is not None:
        policy |= {"revive": "within", "revive_minutes": minutes}
    now = DUE + timedelta(seconds=late)
    both = heartbeat.comes_back(rules(**policy), DUE, now) and heartbeat.gives_way(rules(**policy), DUE, now)
    assert not both


@pytest.mark.parametrize(
    ("limit", "overage", "most"),
    [(None, "none", None), (10, "none", 10), (8, "1.25x", 10), (10, "1.5x", 15), (7, "2x", 14), (3, "always", None)],
)
def test_overage_goes_beyond_the_limit_by_its_factor(limit: int | None, overage: str, most: int | None) -> None:
    assert limit_fault(limit, Overage(overage)) is None
    assert allowed(limit, Overage(overage)) == most


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"limit": 10, "overage": "1.25x"}, "needs a limit that 4 divides; 10 is none"),
        ({"limit": 7, "overage": "1.5x"}, "needs a limit that 2 divides"),
        ({"overage": "2x"}, "overage needs a limit"),
        ({"heartbeat_seconds": 59}, "greater than or equal to 60"),
        ({"floating": True, "cull": "keep"}, "no seat would come back"),
        ({"floating": True, "heartbeat_seconds": None}, "no seat would come back"),
        ({"floating": True, "transfers": 3}, "floating gives seats back by itself"),
        ({"revive": "within"}, "revive_minutes belongs to"), ({"revive_minutes": 5}, "revive_minutes belongs to"),
        ({"revive": "always"}, "needs cull: keep"), ({"limit": 0}, "greater than or equal to 1"),
        ({"seats": 3}, "Extra inputs"),
    ],
)  # fmt: skip
def test_a_catalog_with_rules_that_do_not_fit_is_refused(block: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ActivationRules.model_validate(block)


def test_a_floating_seat_beats_every_ten_minutes_unless_told_otherwise() -> None:
    assert ActivationRules.model_validate({"floating": True}).heartbeat_seconds == 600
    assert ActivationRules.model_validate({"floating": True, "heartbeat_seconds": 90}).heartbeat_seconds == 90


def test_staff_can_give_no_limit_that_the_overage_does_not_divide() -> None:
    quarter = ActivationRules(limit=8, overage=Overage.QUARTER)
    assert Terms(quarter, require_divisible(12, quarter)).allowed == 15
    with pytest.raises(Invalid, match="4 divides"):
        require_divisible(10, quarter)


def test_those_who_gave_way_hold_no_place() -> None:
    places = {"alive": ["act_1", 1, after(600).isoformat()], "silent": ["act_2", 2, after(1).isoformat()],
              "offline": ["act_3", 3, None]}  # fmt: skip
    found = Binding.read({"limit": 2, "heartbeat_seconds": 60}, None, places)
    assert found is not None
    assert (found.in_use(LAST), found.in_use(after(2)), found.in_use(after(601))) == (3, 2, 1)
    standing = found.standing("offline", after(2))
    assert (standing.dead, standing.too_many, found.standing("silent", after(2)).dead) == (False, True, True)
    assert Binding.read(None, None, None) is None
