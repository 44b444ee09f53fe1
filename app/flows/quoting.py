"""The same button above the threshold: a request that staff see, with every reason (R-THR)."""

from app.accounts import service as accounts
from app.core import jobs
from app.flows import preview as previews
from app.flows.ports import Ports
from app.flows.purchase import require_complete
from app.orders import service as orders
from app.orders.errors import PreviewExpired
from app.quotes import service as quotes
from app.quotes.models import Quote


def request(ports: Ports, preview_id: str, *, note: str = "", account_id: str | None = None) -> Quote:
    """Ask for a quote on the figures of a preview, whatever its route.

    Raises NotFound, PreviewExpired, Invalid (a missing detail).
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        preview = orders.lock_preview(tx, preview_id)
        if preview.expires_at <= now:
            raise PreviewExpired("Prices are shown for a day; look at them again.", param="preview")
        require_complete(preview)
        buyer = previews.request_of(preview).buyer
        account = accounts.get(tx, account_id) if account_id else accounts.account_for_buyer(tx, buyer, now)
        quote = quotes.request(
            tx, account_id=account.id, preview_id=preview.id, reasons=preview.reasons, contact_name=buyer.name,
            contact_email=buyer.email, note=note, now=now,
        )  # fmt: skip
        jobs.defer(tx, "notify.quote_requested", quote_id=quote.id, once=f"quote:{quote.id}")
    return quote
