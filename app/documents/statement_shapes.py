"""What the statement of an account needs to be told (see `shapes`)."""

from dataclasses import dataclass
from datetime import date

from app.core.money import Money, total
from app.documents.shapes import InconsistentDocument, Party


@dataclass(frozen=True, slots=True)
class StatementRow:
    """`kind` is invoice, payment, credit_note, refund or moved; `amount` below zero is in the customer's favour.

    Of a `moved` row the amount is nothing and `moved` is what went from credit to an invoice, or back.
    """

    booked_on: date
    kind: str
    document: str
    detail: str
    amount: Money
    moved: Money
    balance: Money


@dataclass(frozen=True, slots=True)
class OpenRow:
    number: str
    due_on: date
    left: Money
    overdue_days: int


@dataclass(frozen=True, slots=True)
class StatementDocument:
    """Raises InconsistentDocument where the rows do not lead from `opening` to `closing`, or the open ones to `owed`.

    `first` and `last` are both included.
    """

    first: date
    last: date
    seller: Party
    buyer: Party
    opening: Money
    closing: Money
    owed: Money
    credit: Money
    returning: Money
    rows: tuple[StatementRow, ...]
    open_rows: tuple[OpenRow, ...]
    legal_footer: tuple[str, ...]
    message: str | None = None  # how to pay
    test_mode: bool = False

    def __post_init__(self) -> None:
        currency = self.closing.currency
        if self.opening + total([row.amount for row in self.rows], currency) != self.closing:
            raise InconsistentDocument(f"the rows do not lead from {self.opening} to {self.closing}")
        if total([row.left for row in self.open_rows], currency) != self.owed:
            raise InconsistentDocument(f"the open invoices do not make {self.owed}")
