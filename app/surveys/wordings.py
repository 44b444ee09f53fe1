"""What is asked, word for word. A changed wording gets a new id, and its answers are a series of their own.

The sentences are the message ids of the translations in `app/locale`; `%(vendor)s` is the vendor's name.
The scale has no colours and no preselection, runs upwards from 0 to 10 and names both ends.
"""

from dataclasses import dataclass
from typing import Final

from app.surveys.models import SurveyKind
from app.surveys.nps import Band


@dataclass(frozen=True, slots=True)
class Wording:
    """One series of answers. `lowest` and `highest` label the ends of the scale."""

    id: str
    question: str
    lowest: str = "not at all likely"
    highest: str = "extremely likely"


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

# Asked in the optional box once a score is known; before that, the neutral one is shown.
NEUTRAL_PROMPT: Final = "What is the main reason for your answer?"
PROMPTS: Final = {
    Band.DETRACTOR: "What went wrong, and what should we have done?",
    Band.PASSIVE: "What would have made this a ten?",
    Band.PROMOTER: "What did you like most?",
}


def current(kind: SurveyKind) -> Wording:
    """The wording that new invitations of this kind carry."""
    return _SERIES[kind]
