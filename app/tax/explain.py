"""`blp explain tax`: one JSON request a line in, one JSON answer a line out (INTERFACES).

A malformed line is answered with `{"id", "error"}` that names the field and the remedy, and the run goes on.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NoReturn

from app.tax.dataset import load
from app.tax.determination import determine
from app.tax.names import country_codes, currency_codes
from app.tax.request import Buyer, Evidence, Exemption, Line, Registration, Request, Seller, TaxId

LARGEST_AMOUNT = 10**15  # minor units; far above any invoice, far below what the ledger's columns hold
STATUSES = ("valid", "invalid", "unavailable", "unchecked")
EVIDENCE_KINDS = ("billing_address", "ip", "card", "sim", "landline", "other")
_JURISDICTION = re.compile(r"[A-Z]{2}(-[A-Z0-9][A-Z0-9 .'-]{0,40})?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Malformed(ValueError):
    """A line that is not a request; the message names the field and what would do."""


def explain_lines(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """For each input line that is not blank: the JSON to print, and whether the line was malformed."""
    for number, line in enumerate(lines):
        text = line.removeprefix("\ufeff") if number == 0 else line
        if text.strip():
            yield _explain(text)


def _explain(text: str) -> tuple[str, bool]:
    given: Any = None
    try:
        given = _parse(text)
        request_id = _request_id(given)
        answer = determine(read_request(given)).to_json()
    except Malformed as problem:
        name = given.get("id") if isinstance(given, dict) else None
        known = name if isinstance(name, str | int) and not isinstance(name, bool) else None
        return json.dumps({"id": known, "error": str(problem)}), True
    shown = {key: answer[key] for key in ("treatment", "tax", "components", "note", "reason", "precision")}
    amounts = [{"net": line["net"], "tax": line["tax"]} for line in answer["lines"]]
    return json.dumps({"id": request_id, **shown, "lines": amounts}), False


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as exc:
        raise Malformed("the line is nested too deeply: give one flat request object") from exc
    except ValueError as exc:  # JSONDecodeError, and numbers of more digits than Python reads
        raise Malformed(f"the line is not JSON: {exc}") from exc


def is_text(value: str) -> bool:
    """Whether UTF-8 and the database can hold it."""
    return not any(c < " " or "\ud800" <= c <= "\udfff" for c in value)


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not a JSON number: give whole minor units")


def _request_id(given: Any) -> str | int:
    if not isinstance(given, dict):
        raise Malformed("the line is not an object: give {id, seller, buyer, lines, currency, date}")
    value = given.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Malformed("id: is missing or not text: give each line its own id")
    return value


@dataclass(frozen=True, slots=True)
class _Fields:
    """One JSON object with the path to it, for messages. JSON null stands for an absent field."""

    values: dict[str, Any]
    path: str

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def refuse(self, name: str, remedy: str) -> NoReturn:
        state = "is missing" if self.values.get(name) is None else "cannot be used"
        raise Malformed(f"{self.at(name)}: {state}: {remedy}")

    def optional_text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            self.refuse(name, "give text in quotes")
        if value is not None and not is_text(value):
            self.refuse(name, "give text without control characters or unpaired surrogates")
        return value

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if value is None or not value.strip():
            self.refuse(name, "give text in quotes")
        return value.strip()

    def choice(self, name: str, options: Sequence[str]) -> str:
        value = self.optional_text(name)
        if value is None or value not in options:
            self.refuse(name, f"give one of {', '.join(options)}")
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, "give true or false")
        return bool(value)

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.values.get(name, default)
        if value is None or isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, "give a whole number; amounts are in minor units such as cents")
        if abs(value) > LARGEST_AMOUNT:
            self.refuse(name, f"give at most {LARGEST_AMOUNT}")
        return value

    def optional_day(self, name: str) -> date | None:
        value = self.optional_text(name)
        if value is None:
            return None
        try:
            day = date.fromisoformat(value) if _DAY.fullmatch(value) else None
        except ValueError:
            day = None
        if day is None:
            self.refuse(name, "give a real day as YYYY-MM-DD")
        return day

    def day(self, name: str) -> date:
        value = self.optional_day(name)
        if value is None:
            self.refuse(name, "give a real day as YYYY-MM-DD")
        return value

    def country(self, name: str) -> str:
        code = (self.optional_text(name) or "").strip().upper()
        if code not in country_codes():
            self.refuse(name, "give a two-letter ISO 3166-1 country code such as DE")
        return load().places.country(code)

    def jurisdiction(self, name: str) -> str:
        return _jurisdiction(self.text(name), self.at(name))

    def object(self, name: str) -> "_Fields":
        value = self.values.get(name)
        if not isinstance(value, dict):
            self.refuse(name, "give an object in braces")
        return _Fields(value, self.at(name))

    def entries(self, name: str) -> list[Any]:
        value = self.values.get(name)
        if value is not None and not isinstance(value, list):
            self.refuse(name, "give a list in brackets")
        return value or []

    def objects(self, name: str) -> list["_Fields"]:
        found = [_Fields(value, f"{self.at(name)}[{i}]") for i, value in enumerate(self.entries(name))]
        for entry in found:
            if not isinstance(entry.values, dict):
                raise Malformed(f"{entry.path}: is not an object: give an object in braces")
        return found


def _jurisdiction(text: str, path: str) -> str:
    code = text.strip().upper()
    head, dash, tail = code.partition("-")
    code = load().places.country(head) + dash + tail
    known = head in country_codes() or head == "EU"
    if not known or not _JURISDICTION.fullmatch(code):
        raise Malformed(f"{path}: cannot be used: give a jurisdiction such as DE, US-NY, CA-QC or US-IL-CHICAGO")
    return code


def read_request(given: Any) -> Request:
    """A request from parsed JSON. Raises Malformed naming the first field that cannot be used."""
    top = _Fields(given, "") if isinstance(given, dict) else None
    if top is None:
        raise Malformed("the request is not an object")
    currency = top.text("currency").upper()
    if currency not in currency_codes():
        top.refuse("currency", "give an ISO 4217 code such as EUR")
    lines = tuple(_line(entry) for entry in top.objects("lines"))
    if not lines:
        top.refuse("lines", "give at least one line with tax_code and amount")
    return Request(
        seller=_seller(top.object("seller")),
        buyer=_buyer(top.object("buyer")),
        evidence=tuple(
            Evidence(entry.choice("kind", EVIDENCE_KINDS), entry.country("country"))
            for entry in top.objects("evidence")
        ),
        lines=lines,
        currency=currency,
        date=top.day("date"),
    )


def _seller(fields: _Fields) -> Seller:
    oss = None if fields.values.get("oss") is None else fields.choice("oss", ("union", "non_union"))
    elections = {} if fields.values.get("elections") is None else fields.object("elections").values
    for key, value in elections.items():
        if not isinstance(value, str) or not is_text(value):
            raise Malformed(f"{fields.at('elections')}.{key}: cannot be used: give the name of the election as text")
    established = [
        _jurisdiction(place, f"{fields.at('established')}[{i}]") if isinstance(place, str) else fields.refuse(
            "established", "give a list of country codes")
        for i, place in enumerate(fields.entries("established"))
    ]  # fmt: skip
    return Seller(
        country=fields.country("country"),
        established=frozenset(established),
        registrations=tuple(
            Registration(
                entry.jurisdiction("jurisdiction"),
                entry.optional_text("scheme") or "standard",
                entry.optional_day("from"),
                entry.optional_day("to"),
                entry.optional_text("number"),
            )
            for entry in fields.objects("registrations")
        ),
        oss="union" if oss == "union" else "non_union" if oss else None,
        below_eu_threshold=fields.flag("below_eu_threshold"),
        elections={_jurisdiction(key, f"{fields.at('elections')}.{key}"): value for key, value in elections.items()},
    )


def _buyer(fields: _Fields) -> Buyer:
    return Buyer(
        country=fields.country("country"),
        region=fields.optional_text("region"),
        postcode=fields.optional_text("postcode"),
        city=fields.optional_text("city"),
        type="business" if fields.choice("type", ("business", "consumer")) == "business" else "consumer",
        tax_ids=tuple(
            TaxId(entry.text("type").lower(), entry.text("value"), entry.choice("status", STATUSES))
            for entry in fields.objects("tax_ids")
        ),
        exemptions=tuple(
            Exemption(
                entry.jurisdiction("jurisdiction"),
                entry.optional_text("reason") or "",
                entry.optional_text("number") or "",
                entry.optional_day("signed"),
                entry.optional_day("expires"),
                entry.optional_text("status") or "active",
            )
            for entry in fields.objects("exemptions")
        ),
    )


def _line(fields: _Fields) -> Line:
    amount = fields.whole("amount")
    quantity = fields.whole("quantity", 1) if fields.values.get("quantity") is not None else 1
    if quantity < 0:
        fields.refuse("quantity", "give a whole number from 0; a credit has a negative amount")
    if abs(amount * quantity) > LARGEST_AMOUNT:
        fields.refuse("quantity", f"give less: amount times quantity is at most {LARGEST_AMOUNT}")
    return Line(fields.text("tax_code"), amount * quantity, fields.flag("inclusive"))
