"""Stripe Tax on a loopback port that remembers on disk: calculations, transactions, reversals, the keys they came with.

It taxes by `places`, state by state, and answers badly when told to. What it refuses is what Stripe documents: a
reference that is taken, a calculation that expired, more taken back than a line holds.
"""

import json
import socket
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from app.core.clock import transport_now

# What happens to the next calls, one word each; afterwards all goes well.
Fault = Literal[
    "drop_after",  # done, then the connection dies
    "drop_before",  # the connection dies, nothing was done
    "fail_after",  # done, then a 500 that is remembered for the key
    "fail_before",  # a 500 that is remembered for the key, nothing was done
    "busy",  # 429 with Retry-After
]
DAYS: Final = 86400
CALCULATIONS, SALES, REVERSALS = (
    "/v1/tax/calculations", "/v1/tax/transactions/create_from_calculation", "/v1/tax/transactions/create_reversal",
)  # fmt: skip


@dataclass(frozen=True)
class Levy:
    """One jurisdiction's: level, name, what it calls its tax, percent, the taxed part of the price, Stripe's word."""

    level: str
    name: str
    tax: str = "Sales Tax"
    rate: str | None = None
    portion: str = "100"
    word: str = "standard_rated"


TEXAS: Final = (
    Levy("state", "Texas", rate="6.25", portion="80", word="taxable_basis_reduced"),
    Levy("city", "Austin", rate="1", portion="80", word="taxable_basis_reduced"),
    Levy("district", "Capital Metro Transit", rate="1", portion="80", word="taxable_basis_reduced"),
)
NEW_YORK: Final = (
    Levy("state", "New York", rate="4.0"), Levy("county", "Erie", rate="4.75"),
)  # fmt: skip


@dataclass
class FakeStripeTax:
    """`base` is where the SDK is sent. `restart` is a crash: what was done and which keys were used stays."""

    file: Path
    faults: list[Fault] = field(default_factory=list)
    places: dict[str, tuple[Levy, ...]] = field(default_factory=lambda: {"TX": TEXAS, "NY": NEW_YORK})
    lives: int = 90 * DAYS
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)  # path, key, form
    bend: Callable[[dict[str, Any]], None] | None = None  # changes a calculation before it is answered
    on_request: Callable[[], None] | None = None
    shut: bool = False  # takes no sale, as an account that is not set up
    port: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        with self.table() as table:
            table.execute("CREATE TABLE IF NOT EXISTS calculation (id INTEGER PRIMARY KEY, body TEXT)")
            table.execute(
                "CREATE TABLE IF NOT EXISTS booked (id INTEGER PRIMARY KEY, reference TEXT UNIQUE, body TEXT)"
            )
            table.execute("CREATE TABLE IF NOT EXISTS key (key TEXT PRIMARY KEY, asked TEXT, status INT, body TEXT)")
        self.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def table(self) -> sqlite3.Connection:
        return sqlite3.connect(self.file, isolation_level=None)

    def start(self) -> None:
        fake = self

        class Handler(_Handler):
            stripe = fake

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(timeout=5)

    def restart(self) -> None:
        self.stop()
        self.start()

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _, _ in self.asked)

    def booked(self) -> list[dict[str, Any]]:
        """Every transaction and reversal, the oldest first."""
        with self.table() as table:
            return [json.loads(body) for (body,) in table.execute("SELECT body FROM booked ORDER BY id")]

    def calculations(self) -> list[dict[str, Any]]:
        with self.table() as table:
            return [json.loads(body) for (body,) in table.execute("SELECT body FROM calculation ORDER BY id")]

    def expire_all(self) -> None:
        """Ninety days have passed."""
        for each in self.calculations():
            with self.table() as table:
                body = json.dumps(each | {"expires_at": int(transport_now().timestamp()) - 1})
                table.execute("UPDATE calculation SET body = ? WHERE id = ?", (body, int(each["id"][8:])))


class Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.body = {"error": {"type": "invalid_request_error", "code": code, "message": message}}


class _Handler(BaseHTTPRequestHandler):
    stripe: FakeStripeTax

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.stripe.asked.append((path, "", {}))
        wanted = path.rpartition("/")[2]
        found = next((each for each in self.stripe.booked() if each["id"] == wanted), None)
        missing = {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such thing."}}
        self._answer(200 if found else 404, found or missing)

    def do_POST(self) -> None:
        path, key = urlsplit(self.path).path, self.headers["idempotency-key"]
        raw = parse_qs(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
        form = {name: values[0] for name, values in raw.items()}
        self.stripe.asked.append((path, key, form))
        if self.stripe.on_request is not None:
            self.stripe.on_request()
        with self.stripe.lock:
            self._do(path, key, form)

    def _do(self, path: str, key: str, form: dict[str, str]) -> None:
        fault, asked = self.stripe.faults.pop(0) if self.stripe.faults else None, json.dumps([path, form])
        if fault == "drop_before":
            self._die()
        elif fault == "busy":
            error = {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Not now."}}
            self._answer(429, error, {"Retry-After": "1"})
        elif (known := self._known(key, asked)) is not None:
            self._answer(*known, {"Idempotent-Replayed": "true", "Stripe-Should-Retry": "false"})
        else:
            status, body = self._decide(path, form, fault)
            with self.stripe.table() as table:
                table.execute("INSERT INTO key VALUES (?, ?, ?, ?)", (key, asked, status, json.dumps(body)))
            if fault == "drop_after":
                self._die()
            else:
                self._answer(status, body, {"Stripe-Should-Retry": "false"} if status >= 500 else {})

    def _decide(self, path: str, form: dict[str, str], fault: Fault | None) -> tuple[int, dict[str, Any]]:
        failure = {"error": {"type": "api_error", "message": "An unknown error occurred."}}
        if fault == "fail_before":
            return 500, failure
        act = {CALCULATIONS: self._calculate, SALES: self._sell, REVERSALS: self._reverse}[path]
        try:
            done = act(form)
        except Refused as refused:
            return 400, refused.body
        return (500, failure) if fault == "fail_after" else (200, done)

    def _calculate(self, form: dict[str, str]) -> dict[str, Any]:
        address = {k[26:-1]: v for k, v in form.items() if k.startswith("customer_details[address][")}
        if address["country"] == "US" and not address.get("postal_code", "").isdigit():
            raise Refused("customer_tax_location_invalid", f"No tax location at {address.get('postal_code')}.")
        items: list[dict[str, Any]] = []
        while f"line_items[{len(items)}][amount]" in form:
            items.append(self._item(form, len(items), address))
        with self.stripe.table() as table:
            row = table.execute("INSERT INTO calculation (body) VALUES ('')").lastrowid
            tax = sum(each["amount_tax"] for each in items)
            body = {
                "id": f"taxcalc_{row}", "object": "tax.calculation", "livemode": False, "currency": form["currency"],
                "amount_total": tax + sum(each["amount"] for each in items), "customer": None,
                "customer_details": {"address": address, "tax_ids": [], "address_source": "billing"},
                "expires_at": int(transport_now().timestamp()) + self.stripe.lives, "shipping_cost": None,
                "line_items": {"object": "list", "data": items, "has_more": False, "url": f"{CALCULATIONS}/line_items"},
                "tax_amount_exclusive": tax, "tax_amount_inclusive": 0, "tax_breakdown": [],
                "tax_date": int(form["tax_date"]),
            }  # fmt: skip
            if self.stripe.bend is not None:
                self.stripe.bend(body)
            table.execute("UPDATE calculation SET body = ? WHERE id = ?", (json.dumps(body), row))
        return body

    def _item(self, form: dict[str, str], n: int, address: dict[str, str]) -> dict[str, Any]:
        given = {name: form[f"line_items[{n}][{name}]"] for name in ("amount", "reference", "tax_behavior", "tax_code")}
        amount = int(given["amount"])
        exempt = form["customer_details[taxability_override]"] == "customer_exempt"
        levies = self.stripe.places.get(address.get("state", ""), (Levy("state", "Nowhere", word="not_collecting"),))
        parts = [_part(levy, amount, address, exempt=exempt) for levy in levies]
        return {
            "id": f"tax_li_{n}", "object": "tax.calculation_line_item", "livemode": False, "quantity": 1,
            **given, "amount": amount, "amount_tax": sum(part["amount"] for part in parts), "tax_breakdown": parts,
        }  # fmt: skip

    def _sell(self, form: dict[str, str]) -> dict[str, Any]:
        if self.stripe.shut:
            raise Refused("account_invalid", "Set the address of your head office first.")
        found = next((c for c in self.stripe.calculations() if c["id"] == form["calculation"]), None)
        if found is None or found["expires_at"] < transport_now().timestamp():
            raise Refused("tax_calculation_expired", "This calculation has expired.")
        items = [
            {**{k: each[k] for k in ("amount", "amount_tax", "reference", "tax_code", "quantity")},
             "id": f"tax_li_{form['reference']}_{each['reference']}", "object": "tax.transaction_line_item",
             "livemode": False, "type": "transaction"}
            for each in found["line_items"]["data"]
        ]  # fmt: skip
        return self._book(form["reference"], {"type": "transaction", "reversal": None}, items, found["currency"])

    def _reverse(self, form: dict[str, str]) -> dict[str, Any]:
        sale = next((b for b in self.stripe.booked() if b["id"] == form["original_transaction"]), None)
        if sale is None or form["mode"] != "partial":
            raise Refused("resource_missing", "No such transaction.")
        left = {each["id"]: [each["amount"], each["amount_tax"]] for each in sale["line_items"]["data"]}
        for before in self.stripe.booked():
            for each in before["line_items"]["data"] if before["type"] == "reversal" else ():
                if each["reversal"]["original_line_item"] in left:
                    left[each["reversal"]["original_line_item"]][0] += each["amount"]
                    left[each["reversal"]["original_line_item"]][1] += each["amount_tax"]
        items: list[dict[str, Any]] = []
        while f"line_items[{len(items)}][amount]" in form:
            given = {name: form[f"line_items[{len(items)}][{name}]"]
                     for name in ("amount", "amount_tax", "original_line_item", "reference")}  # fmt: skip
            amount, tax, of = int(given["amount"]), int(given["amount_tax"]), given["original_line_item"]
            if amount > 0 or tax > 0 or left[of][0] + amount < 0 or left[of][1] + tax < 0:
                raise Refused("parameter_invalid", "More is reversed than the line holds.")
            items.append({"id": f"tax_li_{form['reference']}_{given['reference']}", "amount": amount, "amount_tax": tax,
                          "reference": given["reference"], "reversal": {"original_line_item": of}})  # fmt: skip
        origin = {"type": "reversal", "reversal": {"original_transaction": sale["id"]}}
        return self._book(form["reference"], origin, items, sale["currency"])

    def _book(
        self, reference: str, origin: dict[str, Any], items: list[dict[str, Any]], currency: str
    ) -> dict[str, Any]:  # fmt: skip
        with self.stripe.table() as table:
            try:
                row = table.execute("INSERT INTO booked (reference, body) VALUES (?, '')", (reference,)).lastrowid
            except sqlite3.IntegrityError as taken:
                raise Refused("resource_already_exists", f"A transaction with reference {reference} exists.") from taken
            body = {
                "id": f"tax_{row}", "object": "tax.transaction", "livemode": False, "reference": reference,
                "currency": currency, **origin,
                "line_items": {"object": "list", "data": items, "has_more": False, "url": "/v1/tax/transactions/lines"},
            }  # fmt: skip
            table.execute("UPDATE booked SET body = ? WHERE id = ?", (json.dumps(body), row))
        return body

    def _known(self, key: str, asked: str) -> tuple[int, dict[str, Any]] | None:
        with self.stripe.table() as table:
            row = table.execute("SELECT status, body, asked FROM key WHERE key = ?", (key,)).fetchone()
        if row and row[2] != asked:
            message = "Keys for idempotent requests can only be used with the same parameters."
            return 400, {"error": {"type": "idempotency_error", "message": message}}
        return (row[0], json.loads(row[1])) if row else None

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        usual = {"Content-Type": "application/json", "Content-Length": str(len(raw))}
        for name, value in {**(headers or {}), **usual}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def _die(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the standard library's name
        """Nothing on stderr."""


def _part(levy: Levy, amount: int, address: dict[str, str], *, exempt: bool) -> dict[str, Any]:
    rate = None if exempt else levy.rate
    base = int((Decimal(amount) * Decimal(levy.portion) / 100).quantize(Decimal(1), ROUND_HALF_UP)) if rate else 0
    tax = int((Decimal(base) * Decimal(rate) / 100).quantize(Decimal(1), ROUND_HALF_UP)) if rate else 0
    return {
        "amount": tax, "taxable_amount": base, "sourcing": "destination",
        "taxability_reason": "customer_exempt" if exempt else levy.word,
        "jurisdiction": {"country": address["country"], "level": levy.level, "display_name": levy.name,
                         "state": address.get("state")},
        "tax_rate_details": rate and {"display_name": levy.tax, "percentage_decimal": rate, "tax_type": "sales_tax"},
    }  # fmt: skip
