"""What the vendor decides and watches about tax: overrides, registration thresholds, the tax provider's books."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import ApiKey
from app.core import ids, paging, policy
from app.core.clock import local_date
from app.core.errors import Invalid, NotFound, Unavailable
from app.flows import nexus_alerts, provider_books
from app.reports.nexus_meter import WHOLE, Meter
from app.tax import overruling, records
from app.tax.errors import TaxRefused, TaxUnavailable
from app.tax.models import NexusAlert, RecordState, TaxOverride, TaxRecord
from app.tax.overrides import ANY
from app.tax.overruling import OverrideEnded, OverrideOverlaps, Wanted
from app.tax.records import RecordSettled
from app.web.api.access import KEYED, vendor_with
from app.web.api.previews import named
from app.web.api.shapes import ID, In, JsonRoute, Limit, Line, MoneyOut, Note, PageOut, cursor, percent
from app.web.deps import Now, Tx, Wired
from app.web.problems import problems

router = APIRouter(prefix="/v1/tax", tags=["tax"], route_class=JsonRoute)

Reader = Annotated[ApiKey, vendor_with("tax:read")]
Writer = Annotated[ApiKey, vendor_with("tax:write")]
Treated = Literal[
    "standard", "product_exempt", "zero_rated", "reverse_charge", "outside_scope", "needs_review"
]  # fmt: skip
Percent = Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d{1,5})?$"), Field(examples=["8.875"])]
Words = Annotated[Note, Field(min_length=1, max_length=1000)]


# --- Overrides ----------------------------------------------------------------------------------------------------


class OverrideIn(In):
    """`rate` in percent only with `standard`; left out it is the rate on file. `portion`: the taxed part of the price.
    `alone`: nothing local is added. Both days are included; without `valid_to` it holds until it is ended.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "jurisdiction": "US-DC", "treatment": "standard", "rate": "6", "valid_from": "2026-12-01",
        "source": "Letter of the tax adviser, 2026-11-20", "why": "The District's new rule is not on file",
    }})  # fmt: skip

    jurisdiction: Annotated[Line, Field(description="DE, US-DC, CA-BC or a city, US-IL-CHICAGO.", min_length=2)]
    treatment: Treated
    rate: Percent | None = None
    portion: Percent = "100"
    alone: bool = False
    tax_code: Line = ANY
    buyer_type: Literal["any", "business", "consumer"] = "any"
    note: Annotated[Note, Field(max_length=1000, description="Printed on documents.")] = ""
    valid_from: date
    valid_to: date | None = None
    source: Annotated[Words, Field(description="On whose word.")]
    why: Annotated[Words, Field(description="Goes into the audit log.")]

    def wanted(self) -> Wanted:
        return Wanted(
            jurisdiction=self.jurisdiction, treatment=self.treatment, source=self.source, why=self.why,
            valid_from=self.valid_from, valid_to=self.valid_to, tax_code=self.tax_code, buyer=self.buyer_type,
            rate=Decimal(self.rate) if self.rate is not None else None, portion=Decimal(self.portion),
            alone=self.alone, note=self.note,
        )  # fmt: skip


class OverrideOut(BaseModel):
    """One decision. `state` is scheduled, active, expired or withdrawn; a determination names it by its id."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "txo_01ka8qj6x0c5q4m3t2r1p0n9mk", "jurisdiction": "US-DC", "tax_code": "saas_business",
        "buyer_type": "any", "treatment": "standard", "rate": "7", "portion": "100", "alone": False, "note": "",
        "valid_from": "2026-11-22", "valid_to": None, "state": "active", "source": "Adviser's letter of 2026-11-20",
        "why": "The rate is confirmed.", "recorded_by": "stf_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "recorded_at": "2026-11-22T09:00:00Z", "ended_by": None, "ended_at": None, "ended_why": None,
    }})  # fmt: skip

    id: str
    jurisdiction: str
    tax_code: str
    buyer_type: str
    treatment: str
    rate: str | None
    portion: str
    alone: bool
    note: str
    valid_from: date
    valid_to: date | None
    state: Literal["scheduled", "active", "expired", "withdrawn"]
    source: str
    why: str
    recorded_by: str
    recorded_at: datetime
    ended_by: str | None
    ended_at: datetime | None
    ended_why: str | None

    @classmethod
    def of(cls, row: TaxOverride, today: date) -> Self:
        return cls(
            id=row.id, jurisdiction=row.jurisdiction, tax_code=row.tax_code, buyer_type=row.buyer_type,
            treatment=row.treatment, rate=percent(row.rate) if row.rate is not None else None,
            portion=percent(row.portion), alone=row.alone, note=row.note, valid_from=row.valid_from,
            valid_to=row.valid_to, state=overruling.state_of(row, today), source=row.source, why=row.why,
            recorded_by=row.recorded_by, recorded_at=row.recorded_at, ended_by=row.ended_by, ended_at=row.ended_at,
            ended_why=row.ended_why,
        )  # fmt: skip


class OverrideList(PageOut[OverrideOut]):
    pass


class EndIn(In):
    """`last_day` is yesterday at the earliest; before its first day the override is withdrawn."""

    model_config = ConfigDict(json_schema_extra={"example": {"last_day": "2026-12-31", "why": "The rule is on file"}})

    last_day: date
    why: Words


def _today(tx: Tx, now: datetime) -> date:
    return local_date(now, accounts.seller(tx).time_zone)


@router.get("/overrides", responses=problems(*KEYED, Unavailable))
def list_tax_overrides(
    tx: Tx, now: Now, _key: Reader,
    jurisdiction: Annotated[str | None, Query(max_length=60, description="Only of this one, such as US-DC.")] = None,
    limit: Limit = 20, starting_after: Annotated[str | None, cursor("tov")] = None,
) -> OverrideList:  # fmt: skip
    """What was decided instead of the tax data on file, newest first, ended ones too."""
    query = select(TaxOverride)
    if jurisdiction is not None:
        query = query.where(col(TaxOverride.jurisdiction) == jurisdiction.upper())
    found = paging.page(tx, query, col(TaxOverride.id), limit=limit, starting_after=starting_after)
    today = _today(tx, now)
    return OverrideList(data=[OverrideOut.of(row, today) for row in found.data], has_more=found.has_more)


@router.post("/overrides", status_code=201, responses=problems(*KEYED, Invalid, OverrideOverlaps, Unavailable))
def create_tax_override(body: OverrideIn, tx: Tx, now: Now, key: Writer) -> OverrideOut:
    """Decide for a jurisdiction. It counts for supplies from its first day; issued documents keep their tax."""
    return OverrideOut.of(overruling.record(tx, body.wanted(), by=key.id, now=now), _today(tx, now))


@router.get("/overrides/{override_id}", responses=problems(*KEYED, NotFound, Unavailable))
def get_tax_override(override_id: str, tx: Tx, now: Now, _key: Reader) -> OverrideOut:
    """One decision, with its source."""
    return OverrideOut.of(overruling.get(tx, ids.require_form("tov", override_id)), _today(tx, now))


@router.post(
    "/overrides/{override_id}/end", responses=problems(*KEYED, NotFound, Invalid, OverrideEnded, Unavailable)
)  # fmt: skip
def end_tax_override(override_id: str, body: EndIn, tx: Tx, now: Now, key: Writer) -> OverrideOut:
    """Let it hold up to a day. It is never edited: to change one, end it and record the next."""
    today = _today(tx, now)
    with named(note="why"):
        row = overruling.end(
            tx, ids.require_form("tov", override_id), last_day=body.last_day, why=body.why, by=key.id, now=now,
            today=today,
        )  # fmt: skip
    return OverrideOut.of(row, today)


# --- Registration thresholds --------------------------------------------------------------------------------------


class MeterOut(BaseModel):
    """`percent` of the threshold by sales or documents, whichever counts. `grade` C: the sources compared disagree.
    `unconverted` amounts lack an exchange rate and are not in `sales`.
    """

    jurisdiction: str
    name: str
    registered: bool
    percent: int
    sales: MoneyOut
    threshold: MoneyOut
    transactions: int
    threshold_transactions: int | None
    both: bool = Field(description="Whether sales and documents have to reach theirs together.")
    counts: str = Field(description="Which sales count.", examples=["gross", "retail", "taxable"])
    since: date
    until: date
    grade: str
    note: str
    unconverted: list[MoneyOut]

    @classmethod
    def of(cls, meter: Meter) -> Self:
        threshold = meter.threshold
        return cls(
            jurisdiction=meter.jurisdiction, name=meter.name, registered=meter.registered, percent=meter.percent,
            sales=MoneyOut.of(meter.sales), threshold=MoneyOut.of(threshold.amount), transactions=meter.transactions,
            threshold_transactions=threshold.transactions, both=threshold.both, counts=str(threshold.counts),
            since=meter.since, until=meter.until, grade=meter.grade, note=threshold.note,
            unconverted=[MoneyOut.of(each) for each in meter.unconverted],
        )  # fmt: skip


class AlertOut(BaseModel):
    """A crossing that nobody has seen to yet, or one that somebody just did."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "tna_01ka8qj6x0c5q4m3t2r1p0n9mk", "jurisdiction": "US-TX", "level": 80, "percent": 85,
        "raised_at": "2026-11-22T09:00:00Z", "seen_by": None, "seen_at": None, "seen_note": None,
    }})  # fmt: skip

    id: str
    jurisdiction: str
    level: int = Field(description="Percent of the threshold that was crossed; 100: a registration is due.")
    percent: int
    raised_at: datetime
    seen_by: str | None
    seen_at: datetime | None
    seen_note: str | None

    @classmethod
    def of(cls, alert: NexusAlert) -> Self:
        return cls(
            id=alert.id, jurisdiction=alert.jurisdiction, level=alert.level, percent=int(alert.figures["percent"]),
            raised_at=alert.raised_at, seen_by=alert.seen_by, seen_at=alert.seen_at, seen_note=alert.seen_note,
        )  # fmt: skip


class NexusOut(BaseModel):
    """Every place with a threshold, the nearest first. `warns_at` is the percent from which finance is told."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "warns_at": 80, "data": [{"jurisdiction": "US-TX", "name": "Texas", "registered": False, "percent": 85,
        "sales": {"amount": 42500000, "currency": "USD"}, "threshold": {"amount": 50000000, "currency": "USD"},
        "transactions": 120, "threshold_transactions": None, "both": False, "counts": "taxable and exempt sales",
        "since": "2025-11-23", "until": "2026-11-22", "grade": "A", "note": "", "unconverted": []}],
        "alerts": [{"id": "tna_01ka8qj6x0c5q4m3t2r1p0n9mk", "jurisdiction": "US-TX", "level": 80, "percent": 85,
        "raised_at": "2026-11-22T09:00:00Z", "seen_by": None, "seen_at": None, "seen_note": None}],
    }})  # fmt: skip

    warns_at: int
    data: list[MeterOut]
    alerts: list[AlertOut]


class SeenIn(In):
    model_config = ConfigDict(json_schema_extra={"example": {"note": "Registered from 2027-01-01 on"}})

    note: Words


@router.get("/nexus", responses=problems(*KEYED, Unavailable))
def read_tax_nexus(tx: Tx, now: Now, _key: Reader) -> NexusOut:
    """How near each registration threshold is, by issued invoices less credit notes, as of now."""
    waiting: Sequence[NexusAlert] = nexus_alerts.waiting(tx)
    return NexusOut(
        warns_at=min(policy.get(tx, nexus_alerts.NEAR, now), WHOLE),
        data=[MeterOut.of(each) for each in nexus_alerts.meters(tx, now)],
        alerts=[AlertOut.of(each) for each in waiting],
    )


@router.post("/nexus/alerts/{alert_id}/seen", responses=problems(*KEYED, NotFound))
def see_tax_nexus(alert_id: str, body: SeenIn, tx: Tx, now: Now, key: Writer) -> AlertOut:
    """Somebody knows, and says what comes of it; only a registration makes the engine collect."""
    alert = nexus_alerts.see(tx, ids.require_form("tna", alert_id), note=body.note, by=key.id, now=now)
    return AlertOut.of(alert)


# --- The tax provider's books ---------------------------------------------------------------------------------------


class RecordOut(BaseModel):
    """A document that belongs in the provider's books under its number, and how far it got."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "txr_01ka8qj6x0c5q4m3t2r1p0n9mk", "provider": "http", "invoice_id": "inv_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "credit_note_id": None, "reference": "ACME-000001", "state": "recorded", "ref": "tx-8812", "code": "",
        "detail": "", "created_at": "2026-11-22T09:00:00Z", "recorded_at": "2026-11-22T09:00:00Z",
    }})  # fmt: skip

    id: str
    provider: str
    invoice_id: str | None
    credit_note_id: str | None
    reference: str
    state: RecordState
    ref: str | None = Field(description="The provider's id of it.")
    code: str
    detail: str
    created_at: datetime
    recorded_at: datetime | None

    @classmethod
    def of(cls, row: TaxRecord) -> Self:
        return cls(
            id=row.id, provider=row.provider, invoice_id=row.invoice_id, credit_note_id=row.credit_note_id,
            reference=row.reference, state=row.state, ref=row.ref, code=row.code, detail=row.detail,
            created_at=row.created_at, recorded_at=row.recorded_at,
        )  # fmt: skip


class RecordList(PageOut[RecordOut]):
    pass


class FoundIn(In):
    model_config = ConfigDict(json_schema_extra={"example": {"ref": "tax_1NaTVd2eZvKYlo2CoOX2Nf7P"}})

    ref: Annotated[Line, Field(min_length=5, max_length=100, pattern=r"^tax_\w+$", description="The provider's id.")]


@router.get("/records", responses=problems(*KEYED))
def list_tax_records(
    tx: Tx, _key: Reader, state: RecordState | None = None,
    invoice_id: Annotated[str | None, Query(pattern=f"^inv_{ID}$", description="Only of this invoice.")] = None,
    limit: Limit = 20, starting_after: Annotated[str | None, cursor("trc")] = None,
) -> RecordList:  # fmt: skip
    """Invoices and credit notes whose tax a provider computed, newest first."""
    query = select(TaxRecord)
    if state is not None:
        query = query.where(col(TaxRecord.state) == state)
    if invoice_id is not None:
        query = query.where(col(TaxRecord.invoice_id) == invoice_id)
    found = paging.page(tx, query, col(TaxRecord.id), limit=limit, starting_after=starting_after)
    return RecordList(data=[RecordOut.of(row) for row in found.data], has_more=found.has_more)


@router.get("/records/{record_id}", responses=problems(*KEYED, NotFound))
def get_tax_record(record_id: str, tx: Tx, _key: Reader) -> RecordOut:
    """One document's way into the provider's books."""
    return RecordOut.of(records.get(tx, ids.require_form("trc", record_id)))


@router.post("/records/{record_id}/retry", responses=problems(*KEYED, NotFound, RecordSettled))
def retry_tax_record(record_id: str, tx: Tx, key: Writer) -> RecordOut:
    """Try again what was refused, or has waited for long."""
    return RecordOut.of(provider_books.retry(tx, ids.require_form("trc", record_id), by=key.id))


@router.post(
    "/records/{record_id}/found",
    responses=problems(*KEYED, NotFound, Invalid, RecordSettled, TaxRefused, TaxUnavailable),
)
def find_tax_record(record_id: str, body: FoundIn, ports: Wired, key: Writer) -> RecordOut:
    """Say where a sale is in the provider's books, after its answer was lost; it is looked up there and compared."""
    row = provider_books.settle_by_hand(ports, ids.require_form("trc", record_id), ref=body.ref, by=key.id)
    return RecordOut.of(row)
