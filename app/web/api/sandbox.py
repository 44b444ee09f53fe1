"""The sandbox over the API: its clock, and what a buyer or a bank would do. There is none of it in production."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import RedirectResponse

from app.accounts.models import ApiKey
from app.core.clock import StoredClock, transport_now
from app.core.errors import DomainError, Invalid, NotAllowed
from app.flows import tick
from app.flows.ports import Ports
from app.web.api.access import KEYED, key_with, vendor_with
from app.web.api.shapes import In, JsonRoute
from app.web.deps import Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/sandbox", tags=["sandbox"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("sandbox:write")]
Vendor = Annotated[ApiKey, vendor_with("sandbox:write")]


class NoSandbox(DomainError):
    status, slug, title = HTTPStatus.NOT_FOUND, "no-sandbox", "This installation is not a sandbox"


class ClockOut(BaseModel):
    """Business time and how far it is ahead of real time; `stops` is how often the walk stopped to do what was due."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "now": "2027-11-02T09:00:00Z", "ahead_seconds": 29808000, "stops": 12,
    }})  # fmt: skip

    now: datetime
    ahead_seconds: int
    stops: int = 0


class ClockIn(In):
    """One of the two: to an instant, or by whole days. Time only goes forward."""

    model_config = ConfigDict(json_schema_extra={"example": {"advance_days": 30}})

    to: datetime | None = None
    advance_days: Annotated[int, Field(strict=True, ge=1, le=tick.LONGEST_WALK.days)] | None = None

    @model_validator(mode="after")
    def one_of_them(self) -> Self:
        if (self.to is None) == (self.advance_days is None):
            raise ValueError("give either `to` or `advance_days`")
        return self


def _clock(ports: Ports) -> StoredClock:
    if not ports.test_mode or not isinstance(ports.clock, StoredClock):
        raise NoSandbox("Business time is real time here.")
    return ports.clock


def _shown(clock: StoredClock, stops: int = 0) -> ClockOut:
    offset = clock.offset()
    return ClockOut(now=transport_now() + offset, ahead_seconds=int(offset.total_seconds()), stops=stops)


@router.get("/clock", responses=problems(*KEYED, NoSandbox))
def get_clock(ports: Wired, _key: Reader) -> ClockOut:
    """What time it is for terms, reminders and licenses."""
    return _shown(_clock(ports))


@router.post("/clock", responses=problems(*KEYED, NoSandbox, NotAllowed, Invalid))
def move_clock(request: Request, body: ClockIn, ports: Wired, _key: Vendor) -> ClockOut:
    """Walk business time forward, doing at each stop what has come due; the answer comes when all is done."""
    clock = _clock(ports)
    now = clock.now()
    target = body.to or now + timedelta(days=body.advance_days or 0)
    if target.tzinfo is None:
        raise Invalid("Give the instant with its time zone: 2027-03-01T00:00:00Z.", param="to")
    target = target.astimezone(UTC)
    if target > now + tick.LONGEST_WALK:
        raise Invalid(f"Walk at most {tick.LONGEST_WALK.days} days at a time.", param="to")
    stops: int = request.app.state.advance_clock(target)
    return _shown(clock, stops)


@router.post(
    "/payments/{payment}", status_code=HTTPStatus.TEMPORARY_REDIRECT, response_class=RedirectResponse,
    responses=problems(*KEYED, NoSandbox, NotAllowed),
)  # fmt: skip
def play_payment(
    payment: Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,80}$")], ports: Wired, _key: Vendor
) -> RedirectResponse:
    """Leads (307, same method and body) to the provider's own control: succeed, decline, expire, refund or dispute.

    The provider is an outside party even here; it takes a checkout, intent or charge reference or a payment attempt.
    """
    _clock(ports)
    return RedirectResponse(f"/sandbox/payments/{payment}", HTTPStatus.TEMPORARY_REDIRECT)
