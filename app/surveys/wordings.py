"""What is asked, word for word. A changed wording gets a new id, and its answers are a series of their own.

The sentences are the message ids of the translations in `app/locale`, the same as in the mails; `%(vendor)s` is
the vendor's name.
"""

from dataclasses import dataclass
from typing import Final

from app.surveys.models import SurveyKind


@dataclass(frozen=True, slots=True)
class Wording:
    """One series of answers."""

    id: str
    question: str


_SERIES: Final = {
    SurveyKind.PURCHASE: Wording(
        "purchase-1",
        "Based on this purchase, how likely are you to recommend buying from %(vendor)s to a colleague?",
    ),
    SurveyKind.RENEWAL: Wording(
        "renewal-1",
        "Based on this renewal, how likely are you to recommend buying from %(vendor)s to a colleague?",
    ),
    SurveyKind.EXPANSION: Wording(
        "expansion-1",
        "Based on this change of seats, how likely are you to recommend buying from %(vendor)s to a colleague?",
    ),
}


def current(kind: SurveyKind) -> Wording:
    """The wording that new invitations of this kind carry."""
    return _SERIES[kind]
