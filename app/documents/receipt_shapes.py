"""What the receipt of a payment needs to be told (see `shapes`)."""

from dataclasses import dataclass
from datetime import date

from app.core.money import Money, total
from app.documents.shapes import InconsistentDocument, Party, PaymentView


@dataclass(frozen=True, slots=True)
class PaidInvoice:
    """An invoice that the payment went into, and what it took of it."""

    number: str
    issued_on: date
    total: Money
    applied: Money


@dataclass(frozen=True, slots=True)
class ReceiptDocument:
    """Money that arrived and what it paid; `credited` is what no invoice took.

    Raises InconsistentDocument where the parts do not make the payment.
    """

    number: str
    payment: PaymentView
    seller: Party
    buyer: Party
    invoices: tuple[PaidInvoice, ...]
    credited: Money
    legal_footer: tuple[str, ...]
    test_mode: bool = False

    def __post_init__(self) -> None:
        whole = self.payment.amount
        if total([each.applied for each in self.invoices], whole.currency) + self.credited != whole:
            raise InconsistentDocument(f"{self.number}: its parts do not make {whole}")
