"""The ladder and its limits as data (R-SUB-5): when a declined charge is tried again, when people are written to."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.core.policy import Policy, declare, minor_by_currency, whole_number

_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Rung:
    """A retry so many days after the first decline; `mail` writes to the customer if it fails too."""

    day: int
    mail: bool


def _rungs(value: Any) -> tuple[Rung, ...]:
    wanted = 'must list rungs in the order of their days, such as [{"day": 1, "mail": false}, {"day": 3, "mail": true}]'
    if not isinstance(value, list) or not value:
        raise ValueError(wanted)
    rungs: list[Rung] = []
    for each in value:
        if not isinstance(each, dict) or set(each) != {"day", "mail"}:
            raise ValueError(wanted)
        day, mail = each["day"], each["mail"]
        if type(day) is not int or type(mail) is not bool or not 1 <= day <= _LONGEST:
            raise ValueError(f"{wanted}; days are whole numbers from 1 to {_LONGEST}")
        if rungs and day <= rungs[-1].day:
            raise ValueError(wanted)
        rungs.append(Rung(day, mail))
    return tuple(rungs)


LADDER: Final = declare(
    Policy(
        "dunning_ladder",
        [
            {"day": 1, "mail": False}, {"day": 3, "mail": True}, {"day": 5, "mail": False}, {"day": 7, "mail": True},
            {"day": 14, "mail": True}, {"day": 21, "mail": True},
        ],
        _rungs,
        "Days after the first declined charge on which it is tried again, and after which tries the customer is written"
        " to. The last one ends it: if it fails, the subscription lapses (R-SUB-5).",
    )
)  # fmt: skip
BRIDGE_DAYS: Final = declare(
    Policy(
        "dunning_bridge_days", 30, whole_number(minimum=1),
        "Days past the old end that the license covers while a declined renewal is being collected.",
    )
)  # fmt: skip
MINIMUM: Final = declare(
    Policy(
        "dunning_minimum", {}, minor_by_currency,
        "Amounts below this, by currency, are not collected: the subscription waits out its grace and ends.",
    )
)  # fmt: skip
LONGEST_PAUSE_DAYS: Final = declare(
    Policy("dunning_pause_days", 30, whole_number(minimum=1), "The longest pause of a collection, in days.")
)
CHARGES_A_DAY: Final = declare(
    Policy(
        "automatic_charges_a_day", 5, whole_number(minimum=1),
        "At most this many automatic charges are tried for one subscription within 24 hours; reaching it parks the"
        " subscription until a person has looked.",
    )
)  # fmt: skip


def due_days(rungs: tuple[Rung, ...], start: datetime) -> list[datetime]:
    """When each rung is due, counted from the first decline."""
    return [start + timedelta(days=rung.day) for rung in rungs]
