"""Finance reports for download, and what was invoiced month by month."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response, StreamingResponse

from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core.errors import DomainError, Invalid, NotFound
from app.reports import formats, registry
from app.reports.shape import AsOf, Format, Period, read_as_of, read_day
from app.web import auth
from app.web.api.reports import closing
from app.web.console.operations_views import ExportsView, ReportRow
from app.web.console.overview import by_month
from app.web.console.render import page
from app.web.deps import Now, Tx, Wired
from app.web.views import Form, Link, Option

router = APIRouter()
Bookkeeper = Annotated[SignedInStaff, Depends(auth.staff(May.REPORTS_READ))]
_NAMES: Final = {Format.CSV: "CSV", Format.JSONL: "JSON Lines"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The dates as they were typed."""

    first: str
    last: str
    as_of: str

    def read(self) -> tuple[Period, AsOf]:
        """Raises Invalid, naming the input."""
        period = Period(read_day(self.first, "from"), read_day(self.last, "to"))
        return period, read_as_of(self.as_of) if self.as_of else None

    @property
    def query(self) -> str:
        given = {"from": self.first, "to": self.last} | ({"as_of": self.as_of} if self.as_of else {})
        return urlencode(given)


def _asked(
    first: Annotated[str, Query(alias="from")] = "", last: Annotated[str, Query(alias="to")] = "", as_of: str = ""
) -> Asked:
    return Asked(first, last, as_of)


Dates = Annotated[Asked, Depends(_asked)]


@router.get("/console/exports")
def choose(
    request: Request, tx: Tx, now: Now, who: Bookkeeper, asked: Dates, report: str = "",
    file_format: Annotated[str, Query(alias="format")] = "csv",
) -> Response:  # fmt: skip
    """The form, and with all its inputs given the address of the file."""
    today = now.date()
    last_month = today.replace(day=1) - timedelta(days=1)
    values = {
        "report": report, "from": asked.first or str(last_month.replace(day=1)), "to": asked.last or str(last_month),
        "as_of": asked.as_of, "format": file_format,
    }  # fmt: skip
    links: tuple[Link, ...] = ()
    errors: dict[str, str] = {}
    if report and asked.first:
        try:
            links = (_link(report, asked, file_format),)
        except DomainError as exc:
            errors[exc.param or ""] = exc.detail
    view = ExportsView(
        form=Form(values=values, errors=errors), action="/console/exports", links=links, charts=by_month(tx, today),
        reports=tuple(
            ReportRow(name=each.name, title=each.title, about=each.about, href=_chosen(each.name, values))
            for each in registry.REPORTS.values()
        ),
        formats=tuple(Option(value=str(each), label=_NAMES[each]) for each in Format),
    )  # fmt: skip
    return page(request, tx, view, who, status=422 if errors else 200)


def _chosen(name: str, values: dict[str, str]) -> str:
    """The form with this report chosen, the dates as they are."""
    return "/console/exports?" + urlencode({key: value for key, value in (values | {"report": name}).items() if value})


def _link(name: str, asked: Asked, ending: str) -> Link:
    if ending not in set(Format):
        raise Invalid(f"Choose one of {', '.join(Format)}.", param="format")
    period, known = asked.read()
    return Link(
        label=registry.file_name(name, period, known, Format(ending)),
        href=f"/console/exports/{name}.{ending}?{asked.query}",
    )


@router.get("/console/exports/{name}.{ending}")
def download(ports: Wired, _who: Bookkeeper, name: str, ending: str, asked: Dates) -> StreamingResponse:
    """The same bytes as over the API: one query, streamed."""
    if ending not in set(Format):
        raise NotFound(f"Reports come as {' and '.join(Format)}.")
    period, known = asked.read()
    chosen = Format(ending)
    pieces = registry.run(ports.db, name, period, known, chosen)
    file_name = registry.file_name(name, period, known, chosen)
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return StreamingResponse(closing(pieces), headers=headers, media_type=formats.MEDIA_TYPES[chosen])
