"""Whether an activation lives, by real time (R-LIC-5). Pure.

A lease runs from the last heartbeat for the plan's interval, its last instant included: with 600 seconds a server lives
599 and 600 seconds after it and is dead after 601.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from app.catalog.activation_rules import ActivationRules, Cull, Revive


class Life(StrEnum):
    UNWATCHED = "unwatched"  # no heartbeat is wanted
    ALIVE = "alive"
    DEAD = "dead"


def life(lease_until: datetime | None, real_now: datetime) -> Life:
    if lease_until is None:
        return Life.UNWATCHED
    return Life.DEAD if lease_until < real_now else Life.ALIVE


def lease(rules: ActivationRules, real_now: datetime) -> datetime | None:
    """Until when a heartbeat of this moment holds; None where the plan wants none."""
    return None if rules.heartbeat_seconds is None else real_now + timedelta(seconds=rules.heartbeat_seconds)


def comes_back(rules: ActivationRules, lease_until: datetime, real_now: datetime) -> bool:
    """Whether a heartbeat of this moment is believed: of a dead server by the plan's `revive`."""
    if rules.revive is Revive.ALWAYS:
        return True
    return real_now <= lease_until + timedelta(seconds=rules.revive_seconds)


def gives_way(rules: ActivationRules, lease_until: datetime | None, real_now: datetime) -> bool:
    """Whether its place is free for others: silent for good, and the plan keeps no dead."""
    if lease_until is None or rules.cull is Cull.KEEP:
        return False
    return not comes_back(rules, lease_until, real_now)
