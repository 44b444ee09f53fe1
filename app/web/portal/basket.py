"""The checkout form, read: what is wanted, who buys, and what is wrong with it, by input."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import pycountry

from app.accounts.addresses import has_postcodes, normal_email
from app.accounts.models import Account, BuyerType
from app.accounts.service import BuyerDetails
from app.accounts.sessions import SignedInCustomer
from app.catalog import coupons
from app.catalog.models import Interval
from app.core.canonical import canonical_json, sha256_hex
from app.core.errors import DomainError, Invalid
from app.flows.preview import request_of
from app.flows.preview_request import TERM_MONTHS, LineRequest, PreviewRequest, TaxIdGiven
from app.orders.models import Preview
from app.subscriptions.models import Billing
from app.tax.identifiers import type_for
from app.tax.locating import STATEMENT
from app.tax.names import country_name
from app.tax.request import Evidence
from app.tax.service import normalized
from app.web.portal.pricing import parse_seats
from app.web.portal.render import Posted
from app.web.views import Form, Option

# Where an address needs its state or province to be taxed.
_WITH_REGIONS: Final = ("US", "CA")
_INPUTS: Final = (
    "sku", "currency", "seats", "term", "email", "full_name", "company", "tax_id", "country", "region", "address",
    "city", "postcode", "payment", "po_number", "accept", "terms_id", "preview_id", "coupon",
    "residence", "ownership", "trial",
)  # fmt: skip
_NEEDED: Final = {
    "full_name": "Give the name of the person who accepts the terms.",
    "company": "We sell to businesses; give the company you buy for.",
    "address": "Give the street and number; they go on the invoice.",
    "city": "Give the city; it goes on the invoice.",
    "postcode": "Give the postcode; it goes on the invoice.",
}
# Which input a refusal of the flows is about.
_INPUT_OF: Final = {
    "email": "email", "name": "full_name", "company": "company", "line1": "address", "city": "city",
    "postcode": "postcode", "country": "country", "tax_id": "tax_id", "currency": "term", "terms": "accept",
    "lines.0.quantity": "seats", "coupon": "coupon", "term_years": "term", "billing": "term",
    "residence": "residence", "ownership": "ownership",
}  # fmt: skip


# How the form names terms: month, year, and years by their number, paid in advance or billed yearly.
TERMS: Final[dict[str, tuple[Interval, int, Billing]]] = {
    "year": (Interval.YEAR, 12, Billing.PREPAID), "2years": (Interval.YEAR, 24, Billing.PREPAID),
    "3years": (Interval.YEAR, 36, Billing.PREPAID), "2years-yearly": (Interval.YEAR, 24, Billing.YEARLY),
    "3years-yearly": (Interval.YEAR, 36, Billing.YEARLY), "month": (Interval.MONTH, 1, Billing.PREPAID),
}  # fmt: skip


def term_of(preview: Preview) -> str:
    """What the form calls the term of a stored offer."""
    request = request_of(preview)
    return term_name(request.interval, request.months, request.billing)


def term_name(interval: Interval, months: int | None, billing: Billing = Billing.PREPAID) -> str:
    """What forms call a term; without `months` it is one interval."""
    asked = (interval, months or TERM_MONTHS[interval][0], billing)
    return next(name for name, meant in TERMS.items() if meant == asked)


@cache
def countries() -> tuple[Option, ...]:
    """Every ISO 3166-1 country by its common English name."""
    named = {country.alpha_2: country_name(country.alpha_2) for country in pycountry.countries}
    return tuple(Option(value=code, label=name) for code, name in sorted(named.items(), key=lambda each: each[1]))


@cache
def regions(country: str) -> tuple[Option, ...]:
    """States or provinces as `US-NY`, by name."""
    found = pycountry.subdivisions.get(country_code=country)  # type: ignore[no-untyped-call]  # not annotated there
    return tuple(Option(value=each.code, label=each.name) for each in sorted(found, key=lambda each: each.name))


def input_of(refused: DomainError) -> str:
    """The input a refusal is linked to; empty where it is about the whole."""
    return _INPUT_OF.get(refused.param or "", "")


@dataclass(frozen=True, slots=True)
class Basket:
    """A checkout form as read. `values` go back into the page, whatever was wrong; `addons` are ticked skus."""

    values: dict[str, str]
    addons: tuple[str, ...]
    errors: dict[str, str]
    wanted: PreviewRequest | None  # None while something that decides the price is missing or wrong

    def form(self, **errors: str) -> Form:
        return Form(values=self.values, errors={**self.errors, **errors})

    def value(self, name: str) -> str:
        return self.values.get(name, "")


def read(
    posted: Posted, *, locale: str, account: Account | None, complete: bool, consumers: bool = False,
    seen: tuple[Evidence, ...] = (),
) -> Basket:  # fmt: skip
    """Read a form. `complete` also demands what an order needs and an estimate does not; where `consumers` are served,
    nobody needs a company. `seen` is what the connection says of where they are.
    """
    values = {name: posted.text(name) for name in _INPUTS}
    addons = tuple(dict.fromkeys(sku.strip()[:61] for sku in posted.many("addon")))
    errors: dict[str, str] = {}
    seats = parse_seats(values["seats"])
    if seats is None:
        errors["seats"] = "Write the seats as a whole number, such as 25."
    term = TERMS.get(values["term"])
    if term is None:
        errors["term"] = "Choose a term from the list."
    _read_place(values, errors, complete=complete)
    tax_ids = _read_tax_id(values, errors)
    if complete:
        errors |= _incomplete(values)
        if consumers:
            errors.pop("company", None)
    if errors or seats is None or term is None or not values["country"]:
        return Basket(values, addons, errors, None)
    wanted = PreviewRequest(
        lines=tuple(LineRequest(sku, seats) for sku in (values["sku"], *addons)), interval=term[0],
        term_months=term[1], billing=term[2], coupon=values["coupon"],
        currency=values["currency"], buyer=_buyer(values, locale, business=not (complete or consumers)),
        tax_ids=tax_ids, account_id=account.id if account else None, seen=(*seen, *_stated(values)),
    )  # fmt: skip
    return Basket(values, addons, errors, wanted)


def _read_place(values: dict[str, str], errors: dict[str, str], *, complete: bool) -> None:
    country = values["country"]
    if country and country not in {option.value for option in countries()}:
        errors["country"] = "Choose a country from the list."
    elif not country and complete:
        errors["country"] = "Choose the country; it decides the tax."
    elif country in _WITH_REGIONS and values["region"] not in {option.value for option in regions(country)}:
        errors["region"] = "Choose the state or province; it decides the tax."


def _read_tax_id(values: dict[str, str], errors: dict[str, str]) -> tuple[TaxIdGiven, ...]:
    number, country = values["tax_id"], values["country"]
    if not number or not country or "country" in errors:
        return ()
    kind = type_for(country, number)
    if kind is None:
        errors["tax_id"] = f"No tax number is needed for {country_name(country)}; leave this empty."
        return ()
    try:
        return (TaxIdGiven(kind, normalized(kind, number, country)),)
    except Invalid as refused:
        errors["tax_id"] = refused.detail
        return ()


def _incomplete(values: dict[str, str]) -> dict[str, str]:
    errors = {name: sentence for name, sentence in _NEEDED.items() if not values[name]}
    if not has_postcodes(values["country"]):
        errors.pop("postcode", None)
    try:
        normal_email(values["email"])
    except Invalid as refused:
        errors["email"] = refused.detail
    return errors


def _stated(values: dict[str, str]) -> tuple[Evidence, ...]:
    """That they live where the address is, where they said so."""
    return (Evidence(STATEMENT, values["country"]),) if values["residence"] else ()


def _buyer(values: dict[str, str], locale: str, *, business: bool) -> BuyerDetails:
    """Whoever names no company is a consumer, but for an estimate that is made for a `business` until then."""
    business = bool(values["company"]) or business
    region = values["region"].partition("-")[2] if values["country"] in _WITH_REGIONS else ""
    return BuyerDetails(
        email=values["email"].lower(), name=values["full_name"], company=values["company"],
        type=BuyerType.BUSINESS if business else BuyerType.CONSUMER, country=values["country"], region=region,
        postcode=values["postcode"], city=values["city"], line1=values["address"], line2="", locale=locale,
    )  # fmt: skip


def fingerprint(wanted: PreviewRequest) -> str:
    """A hash of everything that was chosen and typed; the reader's language is not of it."""
    buyer = wanted.buyer
    return sha256_hex(canonical_json({
        "lines": [[line.sku, line.quantity] for line in wanted.lines], "interval": wanted.interval.value,
        "months": wanted.months, "billing": wanted.billing.value, "coupon": coupons.normal(wanted.coupon),
        "currency": wanted.currency, "tax_ids": [[each.type, each.value] for each in wanted.tax_ids],
        "buyer": [
            buyer.email, buyer.name, buyer.company, buyer.type.value, buyer.country, buyer.region, buyer.postcode,
            buyer.city, buyer.line1, buyer.line2,
        ],
        "residence": [each.country for each in wanted.seen if each.kind == STATEMENT],
    }))  # fmt: skip


def answers(preview: Preview, request: PreviewRequest, wanted: PreviewRequest) -> bool:
    """Whether a stored preview is about exactly what is wanted now; `request` is the one it answered."""
    mine = wanted.account_id is None or preview.account_id == wanted.account_id
    return mine and preview.subscription_id is None and fingerprint(request) == fingerprint(wanted)


def prefilled(posted: Posted, account: Account | None, who: SignedInCustomer | None) -> Posted:
    """The form of a first visit: the link's choices, and what a signed-in buyer need not type again."""
    known: dict[str, tuple[str, ...]] = {}
    if account is not None and who is not None:
        region = f"{account.country}-{account.region}" if account.region else ""
        known = {
            "email": (who.email,), "full_name": (who.name,), "company": (account.name,), "country": (account.country,),
            "region": (region,), "address": (account.line1,), "city": (account.city,),
            "postcode": (account.postcode,),
        }  # fmt: skip
    return Posted({**known, **posted.values})
