"""Finance reports over HTTP, for the vendor's own keys."""

from collections.abc import AsyncIterator, Generator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse

from app.accounts.models import ApiKey
from app.core import ids
from app.core.errors import Invalid, NotAllowed, NotFound
from app.invoices import service as invoices
from app.reports import formats, registry, tax_evidence
from app.reports.oss_return import RatesMissing
from app.reports.shape import AsOf, Format, Kind, Period, Report, read_as_of, read_day
from app.web.deps import NotSignedIn, ScopeMissing, Tx, Wired, requires
from app.web.idempotent import IdempotentRoute
from app.web.problems import problems


def vendor_key(key: Annotated[ApiKey, Depends(requires("reports:read"))]) -> ApiKey:
    """Reports hold every account's figures, so a key of one account may not read them."""
    if key.account_id is not None:
        raise NotAllowed("Reports are the vendor's; this key belongs to one account.")
    return key


_REFUSALS: Final = problems(NotSignedIn, ScopeMissing, NotAllowed)
router = APIRouter(
    prefix="/v1/reports", tags=["reports"], route_class=IdempotentRoute, dependencies=[Depends(vendor_key)]
)


class ColumnOut(BaseModel):
    """`name` heads the CSV column, `jsonl_name` is the key in JSON Lines, where money is in minor units."""

    name: str
    jsonl_name: str
    kind: Kind
    about: str


class ReportOut(BaseModel):
    """`version` grows when a column changes its meaning."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "name": "invoice_register", "title": "Invoice register", "about": "Every invoice and credit note.",
        "version": 1, "formats": ["csv", "jsonl"], "columns": [{"name": "number", "jsonl_name": "number",
        "kind": "text", "about": "The document's number."}],
    }})  # fmt: skip

    name: str
    title: str
    about: str
    version: int
    formats: list[Format]
    columns: list[ColumnOut]

    @classmethod
    def of(cls, report: Report) -> "ReportOut":
        columns = [
            ColumnOut(name=each.name, jsonl_name=each.written_as(Format.JSONL), kind=each.kind, about=each.about)
            for each in report.columns
        ]
        return cls(
            name=report.name, title=report.title, about=report.about, version=report.version, formats=list(Format),
            columns=columns,
        )  # fmt: skip


class ReportList(BaseModel):
    data: list[ReportOut]
    has_more: bool = False


@router.get("", responses=_REFUSALS)
def list_reports() -> ReportList:
    """Every report with its columns."""
    return ReportList(data=[ReportOut.of(each) for each in registry.REPORTS.values()])


def asked_period(
    from_: Annotated[str, Query(alias="from", description="First accounting date", examples=["2026-11-01"])],
    to: Annotated[str, Query(description="Last accounting date, included", examples=["2026-11-30"])],
) -> Period:
    return Period(read_day(from_, "from"), read_day(to, "to"))


def asked_knowledge(
    as_of: Annotated[
        str | None,
        Query(description="Only what was recorded by this date or instant", examples=["2026-12-05"]),
    ] = None,
) -> AsOf:
    return None if as_of is None else read_as_of(as_of)


Asked = Annotated[Period, Depends(asked_period)]
Known = Annotated[AsOf, Depends(asked_knowledge)]
Name = Annotated[str, Path(description="A report's name, such as invoice_register")]
Ending = Annotated[str, Path(description="csv or jsonl")]


def _format(ending: str) -> Format:
    if ending not in list(Format):
        raise NotFound(f"Reports come as {' and '.join(Format)}.")
    return Format(ending)


@router.get(
    "/tax_evidence/{invoice_id}", response_class=Response,
    responses=problems(NotSignedIn, ScopeMissing, NotAllowed, NotFound)
    | {200: {"content": {"application/json": {"schema": {"type": "object"}, "example": {
        "form": tax_evidence.FORM, "invoice": {"number": "ACME-000001", "net": 275000, "tax": 0, "currency": "EUR"},
        "determination": {"result": {"treatment": "reverse_charge"}, "inputs_are_those_of_then": True},
        "sha256": {"invoice": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    }}}}},
)  # fmt: skip
def tax_evidence_of_invoice(invoice_id: Annotated[str, Path(description="An invoice's id")], tx: Tx) -> Response:
    """Why an invoice bears the tax it bears: the determination with its inputs, checks, sources and entries."""
    found = invoices.get(tx, ids.require_form("inv", invoice_id))
    headers = {"Content-Disposition": f'attachment; filename="{tax_evidence.file_name(found)}"'}
    return Response(tax_evidence.write(tx, found), media_type="application/json", headers=headers)


_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file, streamed",
        "content": {media: {"schema": {"type": "string"}} for media in formats.MEDIA_TYPES.values()},
    }
}


@router.get(
    "/{name}.{ending}",
    response_class=StreamingResponse,
    responses=_FILE | problems(NotSignedIn, NotAllowed, NotFound, Invalid, RatesMissing),
)
def download(name: Name, ending: Ending, period: Asked, as_of: Known, ports: Wired) -> StreamingResponse:
    """One report for a period. The same question over the same knowledge gives the same bytes."""
    fmt = _format(ending)
    pieces = registry.run(ports.db, name, period, as_of, fmt)
    file_name = registry.file_name(name, period, as_of, fmt)
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return StreamingResponse(closing(pieces), headers=headers, media_type=formats.MEDIA_TYPES[fmt])


async def closing(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """A reader who leaves in the middle gives the database connection back at once, not when memory is tidied."""
    try:
        async for piece in iterate_in_threadpool(pieces):
            yield piece
    finally:
        await run_in_threadpool(pieces.close)


@router.get(
    "/{name}.{ending}/manifest",
    responses=problems(NotSignedIn, NotAllowed, NotFound, Invalid, RatesMissing)
    | {200: {"content": {"application/json": {"example": {
        "report": "invoice_register", "version": 1, "format": "csv", "file": "invoice_register-2026-11.csv",
        "from": "2026-11-01", "to": "2026-11-30", "as_of": "2026-12-01", "rows": 7, "bytes": 1841,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "totals": {"EUR": {"rows": 7, "total": 854645}},
    }}}}},
)  # fmt: skip
def manifest(name: Name, ending: Ending, period: Asked, as_of: Known, ports: Wired) -> dict[str, Any]:
    """What proves that file: rows, SHA-256, control totals, and how far the ledger had got."""
    return registry.write(ports.db, name, period, as_of, _format(ending))
