from http import HTTPStatus

from app.core.errors import DomainError, NotFound


class SurveyNotFound(NotFound):
    """A token that was altered or never given out, and an invitation of somebody else, look alike."""


class SurveyClosed(DomainError):
    """The link died (R-NPS-1); the last answer stays as it is."""

    status, slug, title = HTTPStatus.GONE, "survey-closed", "This survey has closed"


class TooManyAnswers(DomainError):
    """Every change is kept as a version, and nobody changes an honest answer this often."""

    status, slug = HTTPStatus.TOO_MANY_REQUESTS, "too-many-answers"
    title = "This answer has been changed too often"


class InvitationDiffers(DomainError):
    """The same reference of the same outside system was given before for another kind of survey."""

    status, slug, title = HTTPStatus.CONFLICT, "invitation-differs", "This reference was used for another survey"
