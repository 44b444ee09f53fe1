"""`blp explain tax`: one JSON request a line in, one JSON answer a line out (INTERFACES).

A malformed line is answered with `{"id", "error"}` that names the field and the remedy, and the run goes on.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from app.core.json_lines import Fields, Malformed, answer_lines, is_text
from app.tax.dataset import load
from app.tax.determination import determine
from app.tax.names import country_codes
from app.tax.request import Buyer, Evidence, Exemption, Line, Registration, Request, Seller, TaxId

LARGEST_AMOUNT = 10**15  # minor units; far above any invoice, far below what the ledger's columns hold
STATUSES = ("valid", "invalid", "unavailable", "unchecked")
EVIDENCE_KINDS = ("billing_address", "ip", "card", "sim", "landline", "other")
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
    if not known or not _JURISDICTION.fullmatch(code):
        raise Malformed(f"{path}: cannot be used: give a jurisdiction such as DE, US-NY, CA-QC or US-IL-CHICAGO")
    return code


def read_request(given: Any) -> Request:
    """A request from parsed JSON. Raises Malformed naming the first field that cannot be used."""
    top = _Fields(given, "") if isinstance(given, dict) else None
    if top is None:
        raise Malformed("the request is not an object")
    currency = top.currency("currency")
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
    amount = fields.whole("amount", most=LARGEST_AMOUNT)
    quantity = fields.whole("quantity", 1, most=LARGEST_AMOUNT)
    if quantity < 0:
        fields.refuse("quantity", "give a whole number from 0; a credit has a negative amount")
    if abs(amount * quantity) > LARGEST_AMOUNT:
        fields.refuse("quantity", f"give less: amount times quantity is at most {LARGEST_AMOUNT}")
    return Line(fields.text("tax_code"), amount * quantity, fields.flag("inclusive"))
