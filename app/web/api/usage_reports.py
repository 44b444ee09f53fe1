"""What products tell of their use, and where a license stands: both with the license file as the credential."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import ApiKey
from app.core import ids, paging, policy
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotFound
from app.core.keys import NoSigningKey
from app.flows import true_up
from app.flows.ports import Ports
from app.licenses.errors import NothingBought, ReportRefused
from app.licenses.formats.enforcement import ENFORCEMENT
from app.licenses.models import License, LicenseState
from app.licenses.usage import Stated
from app.licenses.usage_models import ReportedBy, UsageReport
from app.licenses.validating import Presented
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState
from app.web.api import validation
from app.web.api.access import KEYED, find, key_with
from app.web.api.shapes import In, JsonRoute, Limit, PageOut, cursor
from app.web.api.validation import FileText
from app.web.deps import Now, Tx, Wired, count_try
from app.web.portal.subscription_page import OVER, RUNNING, opens_on
from app.web.problems import problems

router = APIRouter(prefix="/v1/licenses", tags=["licenses"], route_class=JsonRoute)
Reader = Annotated[ApiKey, key_with("licenses:read")]
# A server reports once a day or so, and asks for its standing when somebody looks.
_TRIES: Final = (300, 3600)


class UsageReportOut(BaseModel):
    """`missing` is how many seats a true-up would add now: POST /v1/subscriptions/{id}/changes/preview prices them."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "usg_01ka8qj6x0c5q4m3t2r1p0n9mk", "license_id": "lic_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "subscription_id": "sub_01ka8qj6x0c5q4m3t2r1p0n9mk", "server_id": "ehsr1oaxbty8bmw6xqhp8pj7pe", "sequence": 7,
        "period_from": "2026-11-01", "period_to": "2026-12-01", "active_users": 31, "source": "product", "seats": 25,
        "missing": 6, "received_at": "2026-12-01T00:05:00Z",
    }})  # fmt: skip

    id: str
    license_id: str
    subscription_id: str
    server_id: str
    sequence: int
    period_from: date
    period_to: date
    active_users: int
    source: ReportedBy
    seats: int
    missing: int
    received_at: datetime

    @classmethod
    def of(cls, row: UsageReport, seats: int) -> "UsageReportOut":
        own = {name: getattr(row, name) for name in cls.model_fields if name not in {"seats", "missing"}}
        return cls(**own, seats=seats, missing=max(row.active_users - seats, 0))


class UsageReportList(PageOut[UsageReportOut]):
    pass


class StatusIn(In):
    """The text of the license that the server has installed: a file of any format, or a token."""

    license: FileText = Field(examples=["eyJpZCI6…"])


class StepOut(BaseModel):
    """`begins_at` None: not for the time alone. `above_users` None: not for the seats."""

    step: str
    begins_at: datetime | None
    above_users: int | None


class StatusOut(BaseModel):
    """What an administrator may do about a license, and where; what stops when if nobody does."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "trial": False, "plan": "professional", "seats": 25, "active_users": 31, "ends_at": "2027-11-22T05:00:00Z",
        "works_until": "2027-12-02T05:00:00Z", "renewable": False, "renewable_on": "2027-08-24", "expandable": True,
        "renew_url": "https://billing.example.org/account/subscriptions", "expand_url": None, "steps": [],
    }})  # fmt: skip

    trial: bool
    plan: str
    seats: int
    active_users: int | None
    ends_at: datetime
    works_until: datetime
    renewable: bool
    renewable_on: date | None
    expandable: bool
    renew_url: str | None
    expand_url: str | None
    steps: list[StepOut]


@router.post("/status", responses=problems(NotFound, NoSigningKey))
def license_status(body: StatusIn, request: Request, tx: Tx, ports: Wired, now: Now) -> StatusOut:
    """Where a license stands, for the page of it in the product. Needs no key: the file is the credential.

    The links lead to pages where somebody signs in; nothing of the account is told here.
    """
    count_try(request, "license-status", *_TRIES)
    opened = validation.open_shown(tx, Presented(body.license, None))
    found = tx.execute(select(License).where(col(License.file_id) == opened.file_id)).scalar_one_or_none()
    if opened.refused is not None or found is None or not (opened.logged_under or _is_file_of(found, body.license)):
        raise NotFound("This is no license of ours.")
    if found.state in {LicenseState.REVOKED, LicenseState.SUPERSEDED}:
        raise NotFound("This license is in force no more; install the one that took its place.")
    return _status(tx, ports, found, now)


def _is_file_of(license_: License, text: str) -> bool:
    """Whether this is the one Mattermost file on record, which a stolen key could have signed otherwise."""
    return license_.file_text == text.translate({10: None, 13: None})


def _status(tx: Unit, ports: Ports, found: License, now: datetime) -> StatusOut:
    held = tx.get(Subscription, found.subscription_id) if found.subscription_id else None
    report = true_up.standing(tx, held).report if held is not None else None
    renewal: dict[str, Any] = {"renewable": False, "renewable_on": None, "renew_url": None}
    expandable = held is not None and held.state in RUNNING
    if held is not None and held.state not in OVER:
        today = local_date(now, held.time_zone)
        opening = opens_on(tx, held, today)
        renewable = today >= opening and held.state is not SubscriptionState.PAST_DUE
        renewal = {
            "renewable": renewable, "renewable_on": opening,
            "renew_url": ports.link(f"/account/subscriptions/{held.id}/renew"),
        }  # fmt: skip
    elif found.trial:
        renewal["renew_url"] = ports.link(f"/checkout?sku={found.sku}")
    return StatusOut(
        trial=found.trial, plan=found.sku, seats=found.seats, active_users=report.active_users if report else None,
        ends_at=found.expires_at, works_until=found.expires_at + timedelta(days=found.grace_days), **renewal,
        expandable=expandable,
        expand_url=ports.link(f"/account/subscriptions/{held.id}#seats") if held is not None and expandable else None,
        steps=[
            StepOut(
                step=rung.step.value,
                begins_at=found.expires_at + timedelta(days=rung.days) if rung.days is not None else None,
                above_users=found.seats * rung.percent // 100 if rung.percent is not None else None,
            )
            for rung in policy.get(tx, ENFORCEMENT, now)
        ],
    )  # fmt: skip


class UsageReportIn(Stated):
    """As the product wrote it. `mac` shows that it has the license file."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {
        "type": "blp/usage-report/v1", "license": "7kq0c3m8x1b5n9r2t4v6w8y0zd",
        "server_id": "ehsr1oaxbty8bmw6xqhp8pj7pe", "sequence": 7, "period_from": "2026-11-01",
        "period_to": "2026-12-01", "active_users": 31, "mac": "0" * 64,
    }})  # fmt: skip


@router.post("/{license_id}/usage_reports", status_code=201, responses={
    200: {"model": UsageReportOut, "description": "This report is here already"},
    **problems(NotFound, ReportRefused, Invalid, NothingBought),
})  # fmt: skip
def report_usage(
    license_id: str, body: UsageReportIn, request: Request, response: Response, tx: Tx, now: Now
) -> UsageReportOut:  # fmt: skip
    """How many used the product. Needs no key: the code under it shows that the license file is there.

    Nothing is ordered by it, and no seat is ever taken away.
    """
    ids.require_form("lic", license_id)
    count_try(request, "usage-report", *_TRIES)
    found = tx.get(License, license_id)
    if found is None:
        raise NotFound("The report was not made with the file of this license.")
    kept, standing = true_up.receive(tx, found, body, source=ReportedBy.PRODUCT, by="product", now=now)
    if not kept.new:
        response.status_code = 200
    return UsageReportOut.of(kept.report, standing.seats)


@router.get("/{license_id}/usage_reports", responses=problems(*KEYED, NotFound))
def list_usage_reports(
    license_id: str, tx: Tx, key: Reader, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("usg")] = None,
) -> UsageReportList:  # fmt: skip
    """Of the license's subscription, newest first; `seats` and `missing` as of now."""
    license_ = find(tx, License, "lic", license_id, key)
    if license_.subscription_id is None:
        return UsageReportList(data=[], has_more=False)
    seats = true_up.standing(tx, subscriptions.get(tx, license_.subscription_id)).seats
    query = select(UsageReport).where(col(UsageReport.subscription_id) == license_.subscription_id)
    found = paging.page(tx, query, col(UsageReport.id), limit=limit, starting_after=starting_after)
    return UsageReportList(data=[UsageReportOut.of(row, seats) for row in found.data], has_more=found.has_more)
