"""Every artifact is checked without the portal: from the files alone."""

import csv
import json
from pathlib import Path
from typing import Final

from app.core.signing import load_public_keys
from app.demo.cast import Vendor, must
from app.demo.house import FOLDER
from app.demo.show import Teller
from app.demo.story import Told
from app.licenses.formats.verify import load_keys, verify_license_file

_FLIPS: Final = 32


def check(vendor: Vendor, told: Told, teller: Teller) -> list[Path]:
    """Verify licenses offline, flip their bytes, read the PDF, add up the CSV. Returns the files made here."""
    step = teller.step("Verify both license files offline")
    key_file = FOLDER / "license-public-key.pem"
    key_file.write_bytes(_published_pem(vendor))
    keys = load_keys(key_file.read_bytes())
    flipped = 0
    for path in (told.license_file, told.renewed_file):
        data = path.read_bytes()
        must(verify_license_file(data, keys, told.checked_at).accepted, f"{path.name} is not accepted")
        for position in range(0, len(data), max(1, len(data) // _FLIPS)):
            forged = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
            must(
                not verify_license_file(forged, keys, told.checked_at).accepted,
                f"{path.name} is accepted with byte {position} flipped",
            )
            flipped += 1
    step.done(f"both accepted; {flipped} single-byte changes, all refused", flips=flipped)
    step = teller.step("Check the documents")
    pdf = (FOLDER / "invoice-reverse-charge.pdf").read_bytes()
    must(pdf.startswith(b"%PDF-1.") and b"pdfaid" in pdf, "the invoice is not a PDF/A")
    with (FOLDER / "invoice_register.csv").open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    must(all(row["open"] in {"0.00", "0"} for row in rows), "an invoice is still open")
    must(not _books_findings(vendor), "the books do not hold")
    step.done(f"PDF/A of {len(pdf) // 1024} KiB; register of {len(rows)} rows; books balance", rows=len(rows))
    return [key_file]


def _published_pem(vendor: Vendor) -> bytes:
    published = vendor.get("/v1/licenses/keys")
    pems = [key["pem"] for key in published["keys"] if key["kty"] == "RSA"]
    must(pems, "no license key is published")
    joined = "".join(pems).encode()
    must(load_public_keys(joined), "the published key does not load")
    return joined


def _books_findings(vendor: Vendor) -> list[str]:
    """The journal's debits equal its credits, per currency."""
    answer = vendor.client.get("/v1/reports/ledger_journal.jsonl", params={"from": "2020-01-01", "to": "2100-01-01"})
    must(answer.status_code == 200, f"the journal answered {answer.status_code}")
    sums: dict[str, int] = {}
    for line in answer.text.splitlines():
        row = json.loads(line)
        sums[row["currency"]] = sums.get(row["currency"], 0) + (row["debit_minor"] or 0) - (row["credit_minor"] or 0)
    must(sums, "the journal is empty")
    return [f"{currency}: {amount}" for currency, amount in sums.items() if amount]
