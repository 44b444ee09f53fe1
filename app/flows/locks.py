"""The order in which flows lock rows: two that hold what the other wants would wait in a circle, and one be killed.

1. What somebody clicked or reported: quote, preview, payment attempt, kept answer to a charge
2. account (`accounts.lock`: transfers, payments of open invoices); its tax numbers (`accounts.tax_id`)
3. orders, each in the order of ids where they are many
4. dunning runs
5. subscriptions
6. invoices, then refunds and disputes, then the payment they are of
7. licenses, workspaces, entitlements
8. the license log, then the counters of numbers: credit notes before invoices (ADR 0026)
9. a balance of customer credit (`credit.lock`, and the triggers of its tables)
10. turns of events, and the head of an account's audit chain

Rows that others refer to are locked FOR NO KEY UPDATE: with FOR UPDATE a foreign key would wait too, anywhere in a
flow. A flow skips what it does not need and never goes back. A row that it has just made is nobody else's yet and
counts nowhere. Whatever begins at an invoice and may come to its order or subscription takes those first, from here.

One exception is left: an order that is delivered with the click that places it writes its first deed, and so takes the
head of the audit chain, before its invoice has a number.
"""

from app.core.db import Tx
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.orders import service as orders
from app.subscriptions import service as subscriptions


def invoice_with_its_sale(tx: Tx, invoice_id: str) -> Invoice:
    """The invoice, locked after the order it is of and the subscription it pays. Raises NotFound."""
    known = invoices.get(tx, invoice_id)  # a document does not change whose it is
    orders.lock(tx, known.order_id)
    if known.subscription_id is not None:
        subscriptions.lock(tx, known.subscription_id)
    return invoices.lock(tx, invoice_id)
