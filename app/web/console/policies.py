"""The numbers the rules run on: what is in force, since when and why; changed by administrators only."""

import json
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import policy
from app.core.db import Tx as Session
from app.core.errors import DomainError, Invalid
from app.core.policy import Policy, PolicyValue
from app.web import auth
from app.web.console.operations_views import PoliciesView, PolicyRow
from app.web.console.render import Reader, actor_name, back, can, page, reason
from app.web.console.views import Cell
from app.web.deps import Now, Tx, Wired
from app.web.views import Form as FormView

router = APIRouter()
Ruler = Annotated[SignedInStaff, Depends(auth.staff(May.POLICIES_WRITE))]
_LONGEST_VALUE = 10_000


@router.get("/console/policies")
def listed(request: Request, tx: Tx, now: Now, who: Reader) -> Response:
    return _show(request, tx, now, who, FormView(), "", 200)


@router.post("/console/policies")
def change(
    request: Request, ports: Wired, now: Now, who: Ruler, key: Annotated[str, Form()] = "",
    value: Annotated[str, Form()] = "", first: Annotated[str, Form(alias="from")] = "",
    why: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Record a new value, in force from a day on; the past keeps its values."""
    try:
        valid_from = _valid_from(first, now)
        with ports.db.session() as tx:
            policy.change(tx, key, _json(value), valid_from=valid_from, by=who.staff_id, why=_why(why), now=now)
    except DomainError as exc:
        if exc.param == "name":  # a policy that does not exist is no slip of the pen
            raise
        form = FormView(values={"value": value, "from": first, "why": why}, errors={exc.param or "": exc.detail})
        with ports.db.session() as tx:
            return _show(request, tx, now, who, form, key, exc.status)
    return back("/console/policies", "policy-changed")


def _json(value: str) -> Any:
    """The value as JSON. Raises Invalid."""
    if len(value) > _LONGEST_VALUE:
        raise Invalid("This is too long for a policy.", param="value")
    try:
        return json.loads(value)
    except ValueError as exc:
        raise Invalid('Write the value as JSON: 30, ["eu", "us"] or {"USD": 500000}.', param="value") from exc


def _valid_from(first: str, now: datetime) -> datetime:
    """A day that is not over: today means from now on. Raises Invalid."""
    try:
        day = date.fromisoformat(first)
    except ValueError as exc:
        raise Invalid("This is not a date such as 2026-11-30.", param="from") from exc
    if day < now.date():
        raise Invalid("The past keeps its values; choose today or a later day.", param="from")
    return now if day == now.date() else datetime.combine(day, time.min, UTC)


def _why(why: str) -> str:
    try:
        return reason(why)
    except Invalid as exc:
        raise Invalid(exc.detail, param="why") from exc


def _show(
    request: Request, tx: Session, now: datetime, who: SignedInStaff, form: FormView, open_key: str, status: int
) -> Response:  # fmt: skip
    writes = can(who, May.POLICIES_WRITE)
    rows = tuple(
        _row(tx, each, now, writes=writes) for each in sorted(policy.declared().values(), key=lambda each: each.name)
    )
    return page(request, tx, PoliciesView(policies=rows, form=form, open_key=open_key), who, status=status)


def _row(tx: Session, declared: Policy[Any], now: datetime, *, writes: bool) -> PolicyRow:
    history = policy.history(tx, declared.name)
    begun = [each for each in history if each.valid_from <= now]
    current = max(begun, key=lambda each: (each.valid_from, each.id or 0), default=None)
    return PolicyRow(
        key=declared.name, title=declared.meaning,
        value=_written(declared.default if current is None else current.value),
        since=current.valid_from.date() if current else None, who=actor_name(tx, current.set_by) if current else "",
        why=current.why if current else "", history=tuple(_told(tx, each) for each in history),
        change_href="/console/policies" if writes else "",
    )  # fmt: skip


def _told(tx: Session, each: PolicyValue) -> tuple[Cell, ...]:
    return (
        Cell(day=each.valid_from.date()), Cell(text=_written(each.value), mono=True),
        Cell(text=actor_name(tx, each.set_by)), Cell(text=each.why),
    )  # fmt: skip


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
