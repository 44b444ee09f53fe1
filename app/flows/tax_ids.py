"""Tax numbers that an account keeps, checked with their registry when they are given."""

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import AccountTaxId
from app.core import audit
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.flows import confirming
from app.flows.ports import Ports
from app.flows.preview_request import TaxIdGiven
from app.tax import identifiers


def add(ports: Ports, account_id: str, *, kind: str, value: str, by: str) -> None:
    """Keep a number with what its registry says now; one it cannot reach stays unconfirmed (R-TAX-5).

    Raises Invalid for an unknown type or a malformed number.
    """
    if kind not in identifiers.types():
        raise Invalid("Choose a kind from the list.", param="kind")
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        country = accounts.get(tx, account_id).country
    given = confirming.confirm(ports, TaxIdGiven(kind, value), country, now)
    with ports.db.transaction() as tx:
        accounts.keep_tax_ids(tx, account_id, [(given.type, given.value, given.status)], now)
        audit.record(tx, account_id, actor=by, action="tax_id.added", subject=account_id, now=now,
                     details={"type": given.type, "status": given.status})  # fmt: skip


def remove(tx: Tx, ports: Ports, account_id: str, tax_id: str, *, by: str) -> None:
    """Forget a number; documents that carry it are frozen and stay. Raises NotFound."""
    row = tx.execute(
        select(AccountTaxId).where(col(AccountTaxId.id) == tax_id, col(AccountTaxId.account_id) == account_id)
    ).scalar_one_or_none()
    if row is None:
        raise NotFound("There is no such number in this account.", param="tax_id")
    audit.record(tx, account_id, actor=by, action="tax_id.removed", subject=account_id, now=ports.clock.now(),
                 details={"type": row.type})  # fmt: skip
    tx.delete(row)
