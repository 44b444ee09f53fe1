"""`blp explain tax`: one JSON request a line in, one JSON answer a line out (INTERFACES).

A malformed line is answered with `{"id", "error"}` that names the field and the remedy, and the run goes on.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Self

from app.core.json_lines import Fields, Malformed, answer_lines, is_text
from app.tax.dataset import load
from app.tax.determination import determine
from app.tax.names import country_codes
from app.tax.request import Buyer, Evidence, Exemption, Line, Registration, Request, Seller, TaxId

LARGEST_AMOUNT = 10**15  # minor units; far above any invoice, far below what the ledger's columns hold
STATUSES = ("valid", "invalid", "unavailable", "unchecked")
EVIDENCE_KINDS = ("billing_address", "ip", "card", "sim", "landline", "other")
# Keys that may stand anywhere: for people and for finding a line again, they decide nothing.
_WORDS = ("id", "name", "description", "note", "comment")
_JURISDICTION = re.compile(r"[A-Z]{2}(-[A-Z0-9][A-Z0-9 .'-]{0,40})?")


def explain_lines(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """For each input line that is not blank: the JSON to print, and whether the line was malformed."""
    return answer_lines(lines, _answer)


def _answer(given: dict[str, Any]) -> dict[str, Any]:
    answer = determine(read_request(given)).to_json()
    shown = {key: answer[key] for key in ("treatment", "tax", "components", "note", "reason", "precision")}
    return {**shown, "lines": [{"net": line["net"], "tax": line["tax"]} for line in answer["lines"]]}


class _Fields(Fields):
    """Fields of a tax request: places besides what every request has."""

    def keys(self, *names: str) -> Self:
        """These fields, with no other key: a misspelt `registrations` would be a seller who collects nothing."""
        self.only(*names, *_WORDS)
        return self

    def nothing_misspelt(self, *names: str) -> None:
        """These fields, and whatever else a line carries about itself, such as what somebody expects of it."""
        for name in self.values:
            if name not in names and (meant := get_close_matches(name.lower(), names, 1)):
                self.refuse(name, f"give {meant[0]} instead, or leave it out")

    def country(self, name: str) -> str:
        code = (self.optional_text(name) or "").strip().upper()
        if code not in country_codes():
            self.refuse(name, "give a two-letter ISO 3166-1 country code such as DE")
        return load().places.country(code)

    def jurisdiction(self, name: str) -> str:
        return _jurisdiction(self.text(name), self.at(name))


def _jurisdiction(text: str, path: str) -> str:
    code = text.strip().upper()
    head, dash, tail = code.partition("-")
    code = load().places.country(head) + dash + tail
    known = head in country_codes() or head == "EU"
    part = code.split("-")[1] if known and "-" in code else ""
    if not known or not _JURISDICTION.fullmatch(code) or (part and part not in _parts().get(head, {part})):
        raise Malformed(f"{path}: cannot be used: give a jurisdiction such as DE, US-NY, CA-QC or US-IL-CHICAGO")
    return code


@cache
def _parts() -> Mapping[str, frozenset[str]]:
    """States and provinces where they tax for themselves; a registration in one that does not exist counts nowhere."""
    data = load()
    islands = {t.region for t in data.places.territories if t.country == "US" and t.region}
    return {"US": frozenset({*data.united_states.states, *islands}), "CA": frozenset(data.canada.provinces)}


def read_request(given: Any) -> Request:
    """A request from parsed JSON. Raises Malformed naming the first field that cannot be used."""
    top = _Fields(given, "") if isinstance(given, dict) else None
    if top is None:
        raise Malformed("the request is not an object")
    top.nothing_misspelt("id", "seller", "buyer", "evidence", "lines", "currency", "date")
    currency = top.currency("currency")
    lines = tuple(_line(entry) for entry in top.objects("lines"))
    if not lines:
        top.refuse("lines", "give at least one line with tax_code and amount")
    return Request(
        seller=_seller(top.object("seller")),
        buyer=_buyer(top.object("buyer")),
        evidence=tuple(
            Evidence(entry.choice("kind", EVIDENCE_KINDS), entry.country("country"))
            for entry in (each.keys("kind", "country", "value", "captured_at") for each in top.objects("evidence"))
        ),
        lines=lines,
        currency=currency,
        date=top.day("date"),
    )


def _seller(fields: _Fields) -> Seller:
    fields.keys("country", "established", "registrations", "oss", "below_eu_threshold", "elections")
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
        registrations=tuple(map(_registration, fields.objects("registrations"))),
        oss="union" if oss == "union" else "non_union" if oss else None,
        below_eu_threshold=fields.flag("below_eu_threshold"),
        elections={_jurisdiction(key, f"{fields.at('elections')}.{key}"): value for key, value in elections.items()},
    )


def _registration(fields: _Fields) -> Registration:
    fields.keys("jurisdiction", "scheme", "from", "to", "number")
    first, last = fields.optional_day("from"), fields.optional_day("to")
    if first is not None and last is not None and last < first:
        fields.refuse("to", "give a last day that is not before the first")
    scheme = fields.optional_text("scheme") or "standard"
    return Registration(fields.jurisdiction("jurisdiction"), scheme, first, last, fields.optional_text("number"))


def _buyer(fields: _Fields) -> Buyer:
    fields.keys("country", "region", "postcode", "city", "street", "type", "tax_ids", "exemptions")
    return Buyer(
        country=fields.country("country"),
        region=fields.optional_text("region"),
        postcode=fields.optional_text("postcode"),
        city=fields.optional_text("city"),
        type="business" if fields.choice("type", ("business", "consumer")) == "business" else "consumer",
        tax_ids=tuple(
            TaxId(entry.text("type").lower(), entry.text("value"), entry.choice("status", STATUSES))
            for entry in (each.keys("type", "value", "status") for each in fields.objects("tax_ids"))
        ),
        exemptions=tuple(map(_exemption, fields.objects("exemptions"))),
    )


def _exemption(fields: _Fields) -> Exemption:
    fields.keys("jurisdiction", "reason", "number", "signed", "expires", "status")
    return Exemption(
        fields.jurisdiction("jurisdiction"),
        fields.optional_text("reason") or "",
        fields.optional_text("number") or "",
        fields.optional_day("signed"),
        fields.optional_day("expires"),
        fields.optional_text("status") or "active",
    )


def _line(fields: _Fields) -> Line:
    fields.keys("tax_code", "amount", "quantity", "inclusive")
    amount = fields.whole("amount", most=LARGEST_AMOUNT)
    quantity = fields.whole("quantity", 1, most=LARGEST_AMOUNT)
    if quantity < 0:
        fields.refuse("quantity", "give a whole number from 0; a credit has a negative amount")
    if abs(amount * quantity) > LARGEST_AMOUNT:
        fields.refuse("quantity", f"give less: amount times quantity is at most {LARGEST_AMOUNT}")
    return Line(fields.text("tax_code"), amount * quantity, fields.flag("inclusive"))
