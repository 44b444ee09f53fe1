"""View models of the console's staff pages. Conventions: see `app.web.console.views`."""

from dataclasses import dataclass, field
from typing import ClassVar

from app.web.console.views import Cell
from app.web.views import Form, Option


@dataclass(frozen=True, kw_only=True)
class StaffView:
    """`/console/staff`: everybody who may come into the console."""

    template: ClassVar[str] = "console/staff.html"
    section: ClassVar[str] = "staff"
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, kw_only=True)
class NewPersonView:
    """`/console/staff/new`. Inputs, posted to `/console/staff`: email, name, role."""

    template: ClassVar[str] = "console/staff_new.html"
    section: ClassVar[str] = "staff"
    roles: tuple[Option, ...]
    form: Form = field(default_factory=Form)
