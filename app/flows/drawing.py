"""That a document was issued and its paper is to be drawn: a job of the transaction that issued it (ADR 0049).

It knows only numbers, so that one order serves for the hundreds that a chunk of a billing run issues.
"""

from typing import Final

from app.core import jobs
from app.core.db import Tx
from app.invoices.models import CreditNote, Invoice

DRAW: Final = "documents.draw"
# Nobody waits for it: a first download draws by itself. Whatever else is due goes first.
_PRIORITY: Final = -10
PAPERS: Final = "papers"  # the queue


def later(tx: Tx, document: Invoice | CreditNote) -> None:
    """Draw the paper of a document that has just got its number."""
    if document.sequence is None:
        raise ValueError(f"{document.id} is a draft")
    block_later(tx, document.legal_entity_id, document.series, document.sequence, document.sequence)


def block_later(tx: Tx, legal_entity_id: str, series: str, first: int, last: int) -> None:
    """Draw the papers of the numbers `first` to `last` of a series."""
    jobs.defer(
        tx, DRAW, priority=_PRIORITY, queue=PAPERS, legal_entity_id=legal_entity_id, series=series, first=first,
        last=last,
    )  # fmt: skip
