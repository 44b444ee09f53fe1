"""The same button above the threshold: a request that staff see, with every reason (R-THR)."""

from typing import Final

from app.accounts import service as accounts
from app.accounts.errors import TooManyTries
from app.core import jobs
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.security import allow
from app.flows import preview as previews
from app.flows.ports import Ports
from app.flows.purchase import require_complete
from app.orders import service as orders
from app.orders.errors import PreviewExpired
from app.quotes import service as quotes
from app.quotes.models import Quote

# Requests (tries, seconds) that one contact may make: each is a mail to an address that somebody only typed.
_PER_CONTACT: Final = (10, 3600)


def request(ports: Ports, preview_id: str, *, note: str = "", account_id: str | None = None) -> Quote:
    """Ask for a quote on the figures of a preview, whatever its route.

    Raises NotFound, PreviewExpired, Invalid (a missing detail), TooManyTries where this contact asked too often.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        preview = orders.lock_preview(tx, preview_id)
        if preview.expires_at <= now:
            raise PreviewExpired("Prices are shown for a day; look at them again.", param="preview")
        require_complete(preview)
        buyer = previews.request_of(preview).buyer
        if quotes.of_preview(tx, preview.id) is None:
            _count(tx, ports, buyer.email)
        account = accounts.get(tx, account_id) if account_id else accounts.account_for_buyer(tx, buyer, now)
        quote = quotes.request(
            tx, account_id=account.id, preview_id=preview.id, reasons=preview.reasons, contact_name=buyer.name,
            contact_email=buyer.email, note=note, now=now,
        )  # fmt: skip
        jobs.defer(tx, "notify.quote_requested", quote_id=quote.id, once=f"quote:{quote.id}")
    return quote


def _count(tx: Tx, ports: Ports, email: str) -> None:
    tries, seconds = _PER_CONTACT
    now = transport_now()
    who = ports.secrets.fingerprint("rate", f"email/{email.strip().lower()}")
    if not allow(tx, "quote", who, limit=tries, seconds=seconds, now=now):
        raise TooManyTries(retry_after=seconds - int(now.timestamp()) % seconds)
