"""Asking registries about tax numbers, outside any transaction; what they say is kept as evidence (R-TAX-5)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import AccountTaxId, TaxIdStatus
from app.core.db import Tx
from app.flows.ports import Ports
from app.flows.preview_request import UNCHECKED, PreviewRequest, TaxIdGiven
from app.tax import matching
from app.tax import service as tax
from app.tax.models import TaxIdCheck


def confirmed(ports: Ports, wanted: PreviewRequest, now: datetime) -> list[TaxIdGiven]:
    """The tax numbers of a request with what their registries say, or what staff said of them in this account.

    Raises Invalid for a malformed one.
    """
    country, who = wanted.buyer.country, matching.Buyer(wanted.buyer.company, wanted.buyer.postcode)
    with ports.db.transaction() as tx:
        tax_ids = [_known(tx, each, country, now, wanted.account_id) for each in wanted.tax_ids]
    return [ask_registry(ports, each, country, now, who=who) for each in tax_ids]


def confirm(ports: Ports, given: TaxIdGiven, country: str, now: datetime, *, who: matching.Buyer) -> TaxIdGiven:
    """A number as its registry writes it, with what it says of it. Raises Invalid for a malformed one."""
    with ports.db.transaction() as tx:
        known = _known(tx, given, country, now, None)
    return ask_registry(ports, known, country, now, who=who)


def _known(tx: Tx, given: TaxIdGiven, country: str, now: datetime, account_id: str | None) -> TaxIdGiven:
    value = tax.normalized(given.type, given.value, country)
    if account_id is not None:
        query = select(AccountTaxId).where(
            col(AccountTaxId.account_id) == account_id, col(AccountTaxId.type) == given.type,
            col(AccountTaxId.value) == value,
        )  # fmt: skip
        row = tx.execute(query).scalar_one_or_none()
        if row is not None and (by_hand := confirmed_by_hand(row)) is not None:
            return by_hand
    recent = tax.recent_check(tx, given.type, value, now)
    return as_checked(recent) if recent else TaxIdGiven(given.type, value)


def confirmed_by_hand(row: AccountTaxId) -> TaxIdGiven | None:
    """A number that staff confirmed: the engine reads it as valid, and whose word it is stays with it."""
    if row.status is not TaxIdStatus.MANUAL_OVERRIDE:
        return None
    at = row.checked_at.isoformat() if row.checked_at is not None else None
    return TaxIdGiven(row.type, row.value, "valid", f"manual_override:{row.override_by}", at)


def as_checked(check: TaxIdCheck) -> TaxIdGiven:
    """A number with the check that says what it is."""
    return TaxIdGiven(check.type, check.value, check.status, check.id, check.checked_at.isoformat(), check.reference)


def recent(tx: Tx, values: Sequence[str], now: datetime) -> Mapping[tuple[str, str], TaxIdGiven]:
    """What registries said lately of any of these numbers, by (type, number)."""
    return {number: as_checked(check) for number, check in tax.recent_checks(tx, values, now).items()}


def ask_registry(
    ports: Ports, given: TaxIdGiven, country: str, now: datetime, *, who: matching.Buyer | None = None
) -> TaxIdGiven:  # fmt: skip
    """A registry that is down never blocks a sale: the number stays unconfirmed and tax is charged (R-TAX-5)."""
    if given.status != UNCHECKED:
        return given
    return as_checked(ask(ports, given.type, given.value, country, now, who or matching.Buyer()))


def ask(ports: Ports, kind: str, value: str, country: str, now: datetime, who: matching.Buyer) -> TaxIdCheck:
    """Ask now, whatever was said before, and keep the answer."""
    answer = ports.tax_ids.check(kind, value, country)
    with ports.db.transaction() as tx:
        return tax.record_check(tx, kind, value, answer, now, secrets=ports.secrets, buyer=who)
