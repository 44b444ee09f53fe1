"""The sandbox's business clock: what time it is, what comes next, and a walk into the future."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import func, select
from sqlmodel import col
from starlette.responses import RedirectResponse, Response

from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import audit
from app.core.clock import transport_now
from app.core.db import Tx as Session
from app.core.errors import DomainError, Invalid, NotFound
from app.core.events import Event
from app.flows import tick
from app.flows.ports import Ports
from app.web import auth
from app.web.console.operations_views import ClockView
from app.web.console.render import clock_of, page
from app.web.deps import Wired
from app.web.views import Fact
from app.web.views import Form as FormView

router = APIRouter()
Walker = Annotated[SignedInStaff, Depends(auth.staff(May.CLOCK_WRITE))]
_MOST_DAYS: Final = 400


@router.get("/console/clock")
def show(request: Request, ports: Wired, who: Walker, since: str = "") -> Response:
    """`since`, an instant, tells what has happened from then on."""
    _require_sandbox(request)
    return _show(request, ports, who, FormView(), 200, _instant(since))


@router.post("/console/clock")
def advance(request: Request, ports: Wired, who: Walker, days: Annotated[str, Form()] = "") -> Response:
    """Walk from one due instant to the next; the answer comes when everything on the way is done."""
    walk = _require_sandbox(request)
    before = ports.clock.now()
    try:
        wanted = _days(days)
        with ports.db.session() as tx:
            audit.record(tx, audit.SYSTEM, actor=who.staff_id, action="clock.advanced", subject="clock", now=before,
                         details={"days": wanted})  # fmt: skip
        walk(before + timedelta(days=wanted))
    except DomainError as exc:
        known = exc.param if exc.param == "days" else ""
        form = FormView(values={"days": days}, errors={known or "": f"{exc.title}. {exc.detail}"})
        return _show(request, ports, who, form, exc.status, before)
    return RedirectResponse(f"/console/clock?done=clock-advanced&since={before:%Y-%m-%dT%H:%M:%S}", 303)


def _days(typed: str) -> int:
    if not typed.isascii() or not typed.isdigit() or not 1 <= int(typed[:4]) <= _MOST_DAYS or len(typed) > 3:
        raise Invalid(f"A whole number of days, 1 to {_MOST_DAYS}.", param="days")
    return int(typed)


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError:
        return None


def _require_sandbox(request: Request) -> Callable[[datetime], int]:
    walk = clock_of(request)
    if walk is None:
        raise NotFound("Business time is real time here.")
    return walk


def _show(
    request: Request, ports: Ports, who: SignedInStaff, form: FormView, status: int, since: datetime | None
) -> Response:
    now = ports.clock.now()
    following = tick.next_due(ports, now)
    due = (Fact(name="The next thing is due", value=_written(following, now)),) if following else ()
    with ports.db.session() as tx:
        happened = _happened(tx, since) if since else ()
        view = ClockView(now=now, real=transport_now(), action="/console/clock", form=form, log=happened, due=due)
        return page(request, tx, view, who, status=status)


def _written(at: datetime, now: datetime) -> str:
    days, hours = (at - now).days, int((at - now).total_seconds() // 3600)
    return f"{at:%Y-%m-%d %H:%M} UTC, in {f'{days} days' if days > 1 else f'{hours} hours'}"


def _happened(tx: Session, since: datetime) -> tuple[Fact, ...]:
    """How often each kind of event happened from `since` on."""
    query = select(col(Event.type), func.count()).where(col(Event.occurred_at) >= since)
    rows = tx.execute(query.group_by(col(Event.type)).order_by(func.min(col(Event.sequence))))
    return tuple(
        Fact(name=kind.replace(".", " ").replace("_", " ").capitalize(), value=f"{count:,}") for kind, count in rows
    )
