"""Tax numbers that an account keeps, checked with their registry when they are given."""

from app.accounts import service as accounts
from app.accounts.models import TaxIdStatus
from app.core import audit, events
from app.core.db import Tx
from app.core.errors import DomainError, Invalid
from app.flows import confirming, late_confirmation, tax_id_checks
from app.flows.ports import Ports
from app.flows.preview_request import TaxIdGiven
from app.tax import identifiers, matching


class AlreadySo(DomainError):
    """Somebody was quicker."""

    slug, title = "tax-id-already-confirmed", "This number is confirmed already"


def add(ports: Ports, account_id: str, *, kind: str, value: str, by: str) -> None:
    """Keep a number with what its registry says now; one it cannot reach is asked about again (R-TAX-5).

    Raises Invalid for an unknown type or a malformed number.
    """
    if kind not in identifiers.types():
        raise Invalid("Choose a kind from the list.", param="kind")
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        account = accounts.get(tx, account_id)
    who = matching.Buyer(account.name, account.postcode)
    given = confirming.confirm(ports, TaxIdGiven(kind, value), account.country, now, who=who)
    with ports.db.transaction() as tx:
        accounts.keep_tax_ids(tx, account_id, [(given.type, given.value, given.status)], now)
        audit.record(tx, account_id, actor=by, action="tax_id.added", subject=account_id, now=now,
                     details={"type": given.type, "status": given.status})  # fmt: skip


def remove(tx: Tx, ports: Ports, account_id: str, tax_id: str, *, by: str) -> None:
    """Forget a number; documents that carry it are frozen and stay. Raises NotFound."""
    row = accounts.tax_id(tx, account_id, tax_id)
    audit.record(tx, account_id, actor=by, action="tax_id.removed", subject=account_id, now=ports.clock.now(),
                 details={"type": row.type})  # fmt: skip
    tx.delete(row)


def confirm_by_hand(ports: Ports, account_id: str, tax_id: str, *, by: str, reason: str) -> None:
    """Staff answer for a number: orders of this account are taxed as with a valid one, and invoices of late are
    corrected. `reason` is not empty. Raises NotFound, AlreadySo.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        row = accounts.tax_id(tx, account_id, tax_id)
        if row.status is TaxIdStatus.MANUAL_OVERRIDE:
            raise AlreadySo("It is confirmed by hand already.")
        before = row.status
        row.status, row.override_by, row.override_reason = TaxIdStatus.MANUAL_OVERRIDE, by, reason
        row.checked_at, row.tries, row.next_check_at = now, 0, None
        tx.flush()
        events.append(tx, "tax_id.confirmed", row.id, now=now, account_id=account_id, type=row.type)
        audit.record(tx, account_id, actor=by, action="tax_id.confirmed_by_hand", subject=row.id, now=now,
                     details={"type": row.type, "before": before.value, "why": reason})  # fmt: skip
        late_confirmation.enqueue(tx, account_id, row.type, row.value, now)


def ask_the_registry(ports: Ports, account_id: str, tax_id: str, *, by: str, reason: str) -> None:
    """Ask again now, by a job; what staff confirmed by hand ends with it. Raises NotFound."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        row = accounts.tax_id(tx, account_id, tax_id)
        if row.status is TaxIdStatus.MANUAL_OVERRIDE:
            row.status, row.override_by, row.override_reason = TaxIdStatus.UNCHECKED, "", ""
        row.tries, row.next_check_at = 0, now
        tx.flush()
        audit.record(tx, account_id, actor=by, action="tax_id.asked_again", subject=row.id, now=now,
                     details={"type": row.type, "why": reason})  # fmt: skip
        tax_id_checks.defer(tx, row)
