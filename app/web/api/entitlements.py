"""What the licenses of an account give together at an instant, why, and what comes next (R-LIC-3)."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from app.accounts.models import Account, ApiKey
from app.core import ids
from app.core.errors import Invalid, NotFound
from app.entitlements import service as entitlements
from app.flows import merging as keeping
from app.licenses import merge, merging
from app.licenses.merge import Change, Rule, Source, Timeline, Value
from app.licenses.models import LicenseEnvironment
from app.orders import service as orders
from app.web import together
from app.web.api.access import KEYED, key_with, sees
from app.web.api.shapes import ID, JsonRoute, PageOut
from app.web.deps import Now, Tx
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/accounts", tags=["accounts"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("accounts:read")]
_MOST_WITHOUT = 20


class EntitlementOut(BaseModel):
    """`key` holds `value` until `ends_at`, from the subscription named."""

    key: str
    value: bool | int | str
    subscription_id: str
    starts_at: datetime
    ends_at: datetime


class ShareOut(BaseModel):
    """What a license brings to an entitlement; `counts` where the value rests on it."""

    license: str
    value: bool | int | str
    counts: bool


class ExplainedOut(BaseModel):
    """One entitlement. By `rule`, the shares that count make the value: seats add up, the highest tier, one flag that
    is on, and the largest limit win.
    """

    name: str
    rule: Rule
    value: bool | int | str
    shares: list[ShareOut]


class SourceOut(BaseModel):
    """A license that counts: through its grace, and no longer than until another takes its place."""

    license: str
    label: str
    server: str
    plan: str
    tier: str
    seats: int
    starts_at: datetime
    expires_at: datetime
    counts_until: datetime
    in_grace: bool
    renews_itself: bool

    @classmethod
    def of(cls, source: Source, renewing: set[str]) -> Self:
        part = source.part
        return cls(
            license=part.id, label=part.label, server=part.server, plan=part.plan, tier=part.tier, seats=part.seats,
            starts_at=part.starts_at, expires_at=part.expires_at, counts_until=part.until, in_grace=source.in_grace,
            renews_itself=part.chain in renewing,
        )  # fmt: skip


class DifferenceOut(BaseModel):
    """null is not held."""

    name: str
    before: bool | int | str | None
    after: bool | int | str | None


class ComingOut(BaseModel):
    """What becomes different at an instant: `drop` where something is less. `ended` and `began` are licenses."""

    at: datetime
    drop: bool
    says: str
    seats_before: int
    seats_after: int
    differences: list[DifferenceOut]
    ended: list[str]
    began: list[str]

    @classmethod
    def of(cls, change: Change, time_zone: str) -> Self:
        return cls(
            at=change.at, drop=change.drop, says=together.sentence(change, time_zone),
            seats_before=change.seats_before, seats_after=change.seats_after,
            differences=[DifferenceOut(name=each.name, before=each.before, after=each.after)
                         for each in change.differences],
            ended=[part.id for part in change.ended], began=[part.id for part in change.began],
        )  # fmt: skip


class TogetherOut(BaseModel):
    """The licenses of one environment as one. It holds from `starts_at` to `ends_at`; null is without bound."""

    seats: int
    entitlements: dict[str, Value]
    explanation: list[ExplainedOut]
    sources: list[SourceOut]
    starts_at: datetime | None
    ends_at: datetime | None
    next: list[ComingOut]

    @classmethod
    def of(cls, timeline: Timeline, instant: datetime, renewing: set[str], time_zone: str) -> Self:
        found = merge.at(timeline, instant)
        return cls(
            seats=found.seats, entitlements=found.values,
            explanation=[
                ExplainedOut(name=each.name, rule=each.rule, value=each.value, shares=[
                    ShareOut(license=share.part, value=share.value, counts=share.counts) for share in each.shares
                ])
                for each in found.entitlements
            ],
            sources=[SourceOut.of(source, renewing) for source in found.sources],
            starts_at=found.starts_at, ends_at=found.ends_at,
            next=[ComingOut.of(each, time_zone) for each in merge.changes(timeline) if each.at > instant],
        )  # fmt: skip


class EntitlementList(PageOut[EntitlementOut]):
    """`production` and `non_production` are what the licenses give together; they never add up with each other.

    `data` is what was granted by orders, each by itself. `at` and `without` repeat the question.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "data": [{"key": "users", "value": 80, "subscription_id": "sub_01ka8qj6x0c5q4m3t2r1p0n9mk",
                  "starts_at": "2026-11-22T09:00:00Z", "ends_at": "2027-11-22T05:00:00Z"}],
        "has_more": False, "at": None, "without": [],
        "production": {"seats": 80, "entitlements": {"users": 80, "tier": "professional"}, "explanation": [],
                       "sources": [], "starts_at": "2026-11-22T09:00:00Z", "ends_at": "2027-12-02T05:00:00Z",
                       "next": []},
        "non_production": {"seats": 0, "entitlements": {}, "explanation": [], "sources": [], "starts_at": None,
                           "ends_at": None, "next": []},
    }})  # fmt: skip

    at: datetime | None
    without: list[str]
    production: TogetherOut
    non_production: TogetherOut


@router.get("/{account_id}/entitlements", response_model=EntitlementList, responses=problems(
    *KEYED, NotFound, Invalid
) | {304: {"description": "Nothing changed since the answer with the ETag of If-None-Match"}})  # fmt: skip
def list_entitlements(
    request: Request, account_id: str, tx: Tx, now: Now, key: Reader,
    at: Annotated[datetime | None, Query(description="RFC 3339 with a time zone; now if left out.")] = None,
    without: Annotated[
        list[Annotated[str, Query(pattern=f"^lic_{ID}$")]] | None,
        Query(max_length=_MOST_WITHOUT, description="What if these licenses were not there?"),
    ] = None,
    server: Annotated[str | None, Query(max_length=120, description="Only licenses for this server.")] = None,
) -> Response:  # fmt: skip
    """What the account holds at an instant, past or to come: merged, explained, and what comes next.

    Seats add up, the highest tier wins, flags unite, of limits the largest counts. A license that ends takes away what
    it gave and nothing more. The answer carries an `ETag`.
    """
    account = tx.get(Account, ids.require_form("acc", account_id))
    if account is None or not sees(key, account.id):
        raise NotFound(f"There is no {account_id} here.")
    if at is not None and at.tzinfo is None:
        raise Invalid("Give the instant with its time zone: 2027-03-01T00:00:00Z.", param="at")
    instant, left_out = at.astimezone(UTC) if at else now, sorted(set(without or ()))
    merging.require_known(tx, account.id, left_out)
    parts = merging.parts_of(tx, account.id, without=left_out)
    if server is not None:
        parts = merging.of_server(parts, server)
    renewing = keeping.renewing_chains(tx, {part.chain for part in parts})
    both = {
        environment.value: TogetherOut.of(merge.merge(parts, environment), instant, renewing, account.time_zone)
        for environment in LicenseEnvironment
    }  # fmt: skip
    found = EntitlementList(
        data=_granted(tx, account.id, instant), has_more=False, at=at, without=left_out, **both
    )  # fmt: skip
    return _tagged(request, JSONResponse(found.model_dump(mode="json")))


def _granted(tx: Tx, account_id: str, instant: datetime) -> list[EntitlementOut]:
    held = entitlements.held(tx, account_id, instant)
    of_order = orders.subscriptions_of(tx, {row.order_id for row in held})
    return [
        EntitlementOut(
            key=row.key, value=row.value, subscription_id=of_order[row.order_id], starts_at=row.starts_at,
            ends_at=row.ends_at,
        )
        for row in held
    ]  # fmt: skip


def _tagged(request: Request, answer: Response) -> Response:
    """With the hash of its bytes as `ETag`; 304 for who has them already."""
    etag = f'"{sha256(bytes(answer.body)).hexdigest()}"'
    known: Any = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers={"ETag": etag})
    answer.headers["ETag"] = etag
    return answer
