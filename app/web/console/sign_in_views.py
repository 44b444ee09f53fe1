"""View models of the staff sign-in that `views` does not have. Conventions: see `app.web.console.views`."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from app.web.views import Form


@dataclass(frozen=True, kw_only=True)
class ConsoleCheckView:
    """`/console/sign-in/check`, after the mail was sent. Inputs: code, challenge (hidden)."""

    template: ClassVar[str] = "console/sign_in_check.html"
    section: ClassVar[str] = ""
    email: str
    challenge: str
    minutes: int
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class ConsoleLinkView:
    """Where the mailed link lands: GET shows, POST goes on to the second factor."""

    template: ClassVar[str] = "console/sign_in_link.html"
    section: ClassVar[str] = ""
    state: Literal["ready", "used", "expired", "elsewhere"]
    token: str = ""
    email: str = ""
