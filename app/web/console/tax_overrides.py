"""What was decided instead of the tax data on file: listed, recorded with its source, ended (R-TAX-7)."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi import Form as FormField
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.clock import local_date
from app.core.db import Tx as Session
from app.core.errors import Invalid
from app.tax import overruling
from app.tax.dataset import load
from app.tax.models import TaxOverride
from app.tax.overrides import ANY
from app.tax.overruling import BUYERS, TREATMENTS, Wanted
from app.web import auth
from app.web.console.render import Note, Reader, actor_name, attempt, can, form_for, page, reason
from app.web.console.tax_views import OverrideRow, OverridesView
from app.web.deps import Now, Tx, Wired
from app.web.portal.render import Form as Filled
from app.web.portal.render import Posted
from app.web.views import Choice, Fact, Form, Option

router = APIRouter()
TaxKeeper = Annotated[SignedInStaff, Depends(auth.staff(May.TAX_WRITE))]
AT: Final = "/console/tax/overrides"
_INPUTS: Final = (
    "jurisdiction", "tax_code", "buyer_type", "treatment", "rate", "portion", "alone", "note", "valid_from",
    "valid_to", "source", "why",
)  # fmt: skip
_LONGEST: Final = 1000
_MEANINGS: Final = {
    "standard": "Taxed", "product_exempt": "Not taxed there", "zero_rated": "Taxed at zero",
    "reverse_charge": "The buyer accounts for it", "outside_scope": "Outside the scope of the tax",
    "needs_review": "Held for a person",
}  # fmt: skip


def tabs(current: str) -> tuple[Choice, ...]:
    """The pages about tax."""
    pages = (("/console/tax/nexus", "Thresholds"), (AT, "Overrides"), ("/console/tax/exemptions", "Exemptions"))
    return tuple(Choice(label=label, href=href, current=href == current) for href, label in pages)


@router.get(AT)
def listed(request: Request, tx: Tx, now: Now, who: Reader) -> Response:
    """All of them, and the form for another."""
    return _page(request, tx, now, who, Form(values={"portion": "100", "valid_from": str(_today(tx, now))}), 200)


@router.post(AT)
def add(request: Request, ports: Wired, now: Now, who: TaxKeeper, form: Filled) -> Response:
    """Record an override."""

    def deed() -> None:
        wanted = _wanted(form)
        with ports.db.session() as tx:
            overruling.record(tx, wanted, by=who.staff_id, now=now)

    def again(tx: Session, told: Form, status: int) -> Response:
        return _page(request, tx, now, who, told, status)

    values = {name: form.prose(name, _LONGEST) for name in _INPUTS}
    return attempt(ports, "add", values, deed, again, to=AT, done="override-recorded")


@router.post(AT + "/{override_id}/end")
def end(
    request: Request, ports: Wired, now: Now, who: TaxKeeper, override_id: str,
    last_day: Annotated[str, FormField()] = "", note: Note = "",
) -> Response:  # fmt: skip
    """Let it hold up to a day."""
    ids.require_form("tov", override_id)
    with ports.db.session() as tx:
        overruling.get(tx, override_id)

    def deed() -> None:
        with ports.db.session() as tx:
            overruling.end(
                tx, override_id, last_day=_day(last_day, "last_day"), why=reason(note), by=who.staff_id, now=now,
                today=_today(tx, now),
            )  # fmt: skip

    def again(tx: Session, told: Form, status: int) -> Response:
        return _page(request, tx, now, who, told, status)

    values = {"last_day": last_day, "note": note}
    return attempt(ports, f"end-{override_id}", values, deed, again, to=AT, done="override-ended")


def _today(tx: Session, now: datetime) -> date:
    return local_date(now, accounts.seller(tx).time_zone)


def _wanted(form: Posted) -> Wanted:
    last, rate = form.text("valid_to"), form.text("rate")
    return Wanted(
        jurisdiction=form.text("jurisdiction"), treatment=form.text("treatment"), source=form.prose("source", _LONGEST),
        why=form.prose("why", _LONGEST), valid_from=_day(form.text("valid_from"), "valid_from"),
        valid_to=_day(last, "valid_to") if last else None, tax_code=form.text("tax_code") or ANY,
        buyer=form.text("buyer_type") or ANY, rate=_percent(rate, "rate") if rate else None,
        portion=_percent(form.text("portion") or "100", "portion"), alone=form.text("alone") == "yes",
        note=form.prose("note", _LONGEST),
    )  # fmt: skip


def _day(text: str, param: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise Invalid("Write the day as 2026-12-31.", param=param) from exc


def _percent(text: str, param: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise Invalid("Write percent as 8.875.", param=param) from exc


def _page(request: Request, tx: Session, now: datetime, who: SignedInStaff, form: Form, status: int) -> Response:
    today, writes = _today(tx, now), can(who, May.TAX_WRITE)
    ranked = sorted(overruling.every(tx), key=lambda each: _ended(each, today))
    codes = sorted({product.code for product in load().products.values()})
    view = OverridesView(
        tabs=tabs(AT), action=AT if writes else "", whole=form,
        rows=tuple(_row(tx, each, today, writes=writes, form=form) for each in ranked),
        form=form if form.value("_form") in {"", "add"} else Form(),
        treatments=tuple(Option(value=str(each), label=_MEANINGS[each]) for each in TREATMENTS),
        buyers=tuple(Option(value=each, label=each.capitalize()) for each in BUYERS),
        tax_codes=(Option(value=ANY, label="Any"), *(Option(value=code, label=code) for code in codes)),
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _ended(row: TaxOverride, today: date) -> bool:
    return overruling.state_of(row, today) in {"expired", "withdrawn"}


def _shown(day: date | None) -> str:
    return f"{day:%d %b %Y}" if day is not None else ""


def _row(tx: Session, row: TaxOverride, today: date, *, writes: bool, form: Form) -> OverrideRow:
    facts = [
        Fact(name="For", value=f"{_any(row.tax_code, 'any product')}, {_any(row.buyer_type, 'any buyer')}"),
        Fact(name="Holds", value=f"{_shown(row.valid_from)} to {_shown(row.valid_to) or 'further notice'}"),
        Fact(name="Source", value=row.source),
        Fact(name="Recorded", value=f"{_shown(row.recorded_at)} by {actor_name(tx, row.recorded_by)}: {row.why}"),
    ]
    if row.note:
        facts.append(Fact(name="Printed on documents", value=row.note))
    if row.ended_at is not None:
        who = actor_name(tx, row.ended_by or "")
        facts.append(Fact(name="Ended", value=f"{_shown(row.ended_at)} by {who}: {row.ended_why}"))
    open_still = writes and row.ended_at is None and not _ended(row, today)
    return OverrideRow(
        id=row.id, title=f"{row.jurisdiction}: {_says(row)}", state=overruling.state_of(row, today), facts=tuple(facts),
        end_href=f"{AT}/{row.id}/end" if open_still else "", form=form_for(f"end-{row.id}", form),
    )  # fmt: skip


def _any(text: str, words: str) -> str:
    return words if text == ANY else text


def _says(row: TaxOverride) -> str:
    if row.treatment != "standard":
        return _MEANINGS[row.treatment].lower()
    rate = "taxed at the rate on file" if row.rate is None else f"{row.rate.normalize():f} %"
    part = "" if row.portion == 100 else f" on {row.portion.normalize():f} % of the price"
    return f"{rate}{part}{', nothing local added' if row.alone else ''}"
