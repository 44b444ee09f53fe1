"""One of each document as pictures, for whoever translates or changes a template: to be looked at, not asserted.

`python -m tests.documents.specimens FOLDER LANGUAGE` writes `invoice-1.png` and so on.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.core.i18n import written_in
from app.core.money import Money
from app.documents.certificate_sheet import certificate_sheet
from app.documents.invoice_sheet import invoice_sheet
from app.documents.legible import Substitution
from app.documents.press import press
from app.documents.quote_sheet import quote_sheet
from app.documents.receipt_sheet import receipt_sheet
from app.documents.shapes import (
    BankAccount,
    CopyOf,
    CreditedInvoice,
    DocumentKind,
    TaxGroupView,
    TaxInStateCurrency,
)
from app.documents.statement_sheet import statement_sheet
from tests.documents.samples import BUYER, certificate, invoice, line, quote, receipt, statement


def sheets(tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, template and sheet of each."""
    usual, note = DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE
    yield "invoice", "invoice", invoice_sheet(usual, invoice(), tag)
    vat = TaxGroupView("GB", "VAT", Decimal(20), Money(120_000, "EUR"), Money(24_000, "EUR"))
    there = TaxInStateCurrency(Money(20_160, "GBP"), Decimal("0.84"), date(2026, 11, 20), "ECB")
    open_ = invoice(
        lines=(line(tax_rates=(Decimal(20),)),), tax_groups=(vat,), reverse_charge=None, payments=(),
        due_on=date(2026, 12, 22), tax_in_state_currency=there, test_mode=True,
        bank=BankAccount("Lindenhof Software Ltd.", "INV-2026-00042", iban="IE64 IRCE 9205 0112 3456 78"),
        pay_url="https://billing.example/pay/7",
    )  # fmt: skip
    yield "invoice-open", "invoice", invoice_sheet(usual, open_, tag)
    many = tuple(line(f"{at * 137}.50", description=f"Workspace {at}, self-managed") for at in range(1, 61))
    yield "invoice-60", "invoice", invoice_sheet(usual, invoice(lines=many, copy_of=CopyOf("en", "ab" * 32)), tag)
    long = replace(BUYER, name="Donaudampfschifffahrtselektrizitäten" * 4, address=("Weg " * 40, "20457 Hamburg"))
    wide = line("98765432.10", description="Enterprise" * 20, detail="10 × 120.00 × 200/365 days")
    yield "invoice-long", "invoice", invoice_sheet(usual, invoice(buyer=long, lines=(wide, line())), tag)
    credited = CreditedInvoice("INV-2026-00042", date(2026, 11, 22), "Correction")
    yield "credit-note", "invoice", invoice_sheet(note, invoice(number="CN-7", payments=(), credits=credited), tag)
    yield "receipt", "receipt", receipt_sheet(receipt(), tag)
    yield "quote", "quote", quote_sheet(quote(), tag)
    yield "statement", "statement", statement_sheet(statement(), tag)
    yield "certificate", "certificate", certificate_sheet(certificate(), tag)


def main(folder: Path, language: str) -> None:
    """Draw them all. The pictures are what the PDF shows, at 80 dots an inch."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, template, sheet in sheets(str(written_in(language))):
        inputs = {"data": json.dumps(Substitution(()).apply(sheet)), "attachments": "[]"}
        pages = press(template, None).compiler.compile(format="png", ppi=80.0, sys_inputs=inputs)
        for at, page in enumerate(pages if isinstance(pages, list) else [pages], 1):
            (folder / f"{name}-{at}.png").write_bytes(page or b"")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
