"""View models of screening. Conventions: see `app.web.portal.views`."""

from dataclasses import dataclass, field
from typing import ClassVar

from app.web.console.views import Related
from app.web.views import Form


@dataclass(frozen=True, kw_only=True)
class ScreeningView:
    """`/console/screening`. The search (GET) sends `q`, and `country` where the hits shall say what would be refused.

    `classes` are the plans with how they are classified; `warnings` are sentences about lists that are missing or too
    old; `found` is None before anything was asked.
    """

    template: ClassVar[str] = "console/screening.html"
    section: ClassVar[str] = "screening"
    cases: Related
    lists: Related
    decided: Related
    classes: Related
    progress: str
    warnings: tuple[str, ...]
    form: Form = field(default_factory=Form)
    found: Related | None = None
