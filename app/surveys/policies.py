"""What an operator may decide about surveys (ADR 0016, ADR 0018)."""

from collections.abc import Mapping
from typing import Any, Final

from app.core.policy import Policy, declare, whole_number
from app.surveys.models import SurveyKind


def _days_by_kind(value: Any) -> Mapping[str, int]:
    kinds = {kind.value for kind in SurveyKind}
    if (
        not isinstance(value, dict)
        or set(value) != kinds
        or not all(type(days) is int and days >= 0 for days in value.values())
    ):
        raise ValueError('must give whole days for each kind, such as {"purchase": 3, "renewal": 1, "expansion": 1}')
    return value


def _countries(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(
        isinstance(code, str) and len(code) == 2 and code.isascii() and code.isupper() for code in value
    ):
        raise ValueError('must be a list of country codes, such as ["DE", "AT"]')
    return frozenset(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 -- the contract of Policy.read is ValueError
    return value


MAIL_AFTER_DAYS: Final = declare(Policy(
    "survey_mail_after_days", {"purchase": 3, "renewal": 1, "expansion": 1}, _days_by_kind,
    "Days from the purchase, renewal or expansion to the survey mail, if the page was not answered",
))  # fmt: skip
REMINDER_AFTER_DAYS: Final = declare(Policy(
    "survey_reminder_after_days", 7, whole_number(minimum=1), "Days from the survey mail to its only reminder",
))  # fmt: skip
OPEN_DAYS: Final = declare(Policy(
    "survey_open_days", 30, whole_number(minimum=1), "Days until a survey link dies",
))  # fmt: skip
QUIET_DAYS: Final = declare(Policy(
    "survey_quiet_days", 90, whole_number(), "Days in which one person gets one survey mail (and its reminder)",
))  # fmt: skip
# Germany: asking how satisfied a customer is counts as advertising by mail (BGH, 10 July 2018, VI ZR 225/17; UWG § 7).
# Austria: TKG 2021 § 174, companies too. Poland: Prawo komunikacji elektronicznej art. 398, companies too.
COUNTRIES_OFF: Final = declare(Policy(
    "survey_countries_off", ["AT", "DE", "PL"], _countries,
    "Countries whose people get no survey mail, because it would need their consent; pages still ask",
))  # fmt: skip
NAMES_IN_EVENTS: Final = declare(Policy(
    "survey_names_in_events", False, _switch, "Whether survey events say who answered, for which company",
))  # fmt: skip
COMMENTS_IN_EVENTS: Final = declare(Policy(
    "survey_comments_in_events", True, _switch, "Whether survey events carry the comment, without contact data in it",
))  # fmt: skip
RETENTION_MONTHS: Final = declare(Policy(
    "survey_retention_months", 24, whole_number(minimum=1),
    "Months after which an answer keeps its score and loses comment, person and order",
))  # fmt: skip
