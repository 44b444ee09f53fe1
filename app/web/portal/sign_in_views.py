"""View models of signing in that `entry_views` does not have. Conventions: see `app.web.portal.views`."""

from dataclasses import dataclass, field
from typing import ClassVar

from app.web.views import Form, Option


@dataclass(frozen=True, kw_only=True)
class ElsewhereView:
    """A mailed link opened in a browser that did not ask for it: what to do there, or here."""

    template: ClassVar[str] = "portal/sign_in_elsewhere.html"
    section: ClassVar[str] = "account"


@dataclass(frozen=True, kw_only=True)
class ChooseAccountView:
    """`/sign-in/account`, for who belongs to several. Inputs: account_id, one of `accounts`; `current` is ticked."""

    template: ClassVar[str] = "portal/choose_account.html"
    section: ClassVar[str] = "account"
    accounts: tuple[Option, ...]
    current: str = ""
    form: Form = field(default_factory=Form)
