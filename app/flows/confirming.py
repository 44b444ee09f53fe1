"""Asking registries about tax numbers, outside any transaction; what they say is kept as evidence (R-TAX-5)."""

from datetime import datetime

from app.core.db import Tx
from app.flows.ports import Ports
from app.flows.preview_request import UNCHECKED, PreviewRequest, TaxIdGiven
from app.tax import service as tax


def confirmed(ports: Ports, wanted: PreviewRequest, now: datetime) -> list[TaxIdGiven]:
    """The tax numbers of a request with what their registries say. Raises Invalid for a malformed one."""
    with ports.db.transaction() as tx:
        tax_ids = [_known(tx, each, wanted.buyer.country, now) for each in wanted.tax_ids]
    return [ask_registry(ports, each, wanted.buyer.country, now) for each in tax_ids]


def confirm(ports: Ports, given: TaxIdGiven, country: str, now: datetime) -> TaxIdGiven:
    """A number as its registry writes it, with what it says of it. Raises Invalid for a malformed one."""
    with ports.db.transaction() as tx:
        known = _known(tx, given, country, now)
    return ask_registry(ports, known, country, now)


def _known(tx: Tx, given: TaxIdGiven, country: str, now: datetime) -> TaxIdGiven:
    value = tax.normalized(given.type, given.value, country)
    recent = tax.recent_check(tx, given.type, value, now)
    return TaxIdGiven(given.type, value, recent.status if recent else UNCHECKED)


def ask_registry(ports: Ports, given: TaxIdGiven, country: str, now: datetime) -> TaxIdGiven:
    """A registry that is down never blocks a sale: the number stays unconfirmed and tax is charged (R-TAX-5)."""
    if given.status != UNCHECKED:
        return given
    answer = ports.tax_ids.check(given.type, given.value, country)
    with ports.db.transaction() as tx:
        tax.record_check(tx, given.type, given.value, answer, now)
    return TaxIdGiven(given.type, given.value, answer.status)
