"""Previews: what it would cost, taxed, and which way the deal would go. Kept, so that what is charged equals it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from app.accounts.models import ApiKey, BuyerType
from app.accounts.service import BuyerDetails
from app.agreements import service as agreements
from app.agreements.models import TermsVersion
from app.catalog import coupons
from app.catalog import service as catalog
from app.catalog.coupons import CouponRefused
from app.catalog.errors import NoPrice, UnknownPlan
from app.catalog.models import Interval
from app.core.errors import DomainError, Invalid, Unavailable
from app.core.money import Money
from app.flows import preview as previews
from app.flows.ports import Ports
from app.flows.preview_request import LineRequest, PreviewRequest, TaxIdGiven
from app.orders.errors import ConsumersNotServed, SeatsOutOfRange
from app.orders.models import OrderKind, Preview, Route
from app.screening.destinations import DestinationRefused
from app.subscriptions.models import Billing
from app.subscriptions.replay import model_of
from app.tax import service as tax
from app.tax.dataset import load
from app.tax.determination import Determination, Treatment
from app.tax.locating import STATEMENT
from app.tax.names import country_codes
from app.tax.request import Evidence
from app.web import whereabouts
from app.web.api.access import KEYLESS, Anyone
from app.web.api.shapes import Email, In, Line, MoneyOut, ReasonOut, StrictRoute, TaxPartOut, percent
from app.web.deps import Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/previews", tags=["previews"], route_class=StrictRoute
)  # fmt: skip

_BUYER_FIELDS = frozenset(BuyerDetails.__slots__)
_MOST_TAX_IDS = 10


class LineIn(In):
    """How many of what. The first line is the plan, further ones its add-ons."""

    sku: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
    quantity: Annotated[int, Field(strict=True, description="Seats, within the plan's `min_seats` and `max_seats`.")]


class BuyerIn(In):
    """Who buys. `type` and `country` suffice for an estimate; an order needs the rest for its invoice."""

    email: Email | None = None
    name: Line = ""
    company: Line = ""
    type: BuyerType = BuyerType.BUSINESS
    country: Annotated[str, StringConstraints(to_upper=True, min_length=2, max_length=2)] = Field(
        description="ISO 3166-1 alpha-2.", examples=["DE"]
    )
    region: Annotated[Line, Field(description="The short code: NY, ON.")] = ""
    postcode: Line = ""
    city: Line = ""
    line1: Line = ""
    line2: Line = ""
    locale: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)] = "en"

    @field_validator("country")
    @classmethod
    def known_country(cls, code: str) -> str:
        if code not in country_codes():
            raise ValueError(f"there is no country {code!r}; give its ISO 3166-1 alpha-2 code, such as DE or US")
        return load().places.country(code)

    def details(self) -> BuyerDetails:
        return BuyerDetails(**(self.model_dump() | {"email": self.email or ""}))


class TaxIdIn(In):
    """`type` as Stripe names them: eu_vat, gb_vat, ch_vat, au_abn, …"""

    type: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}_[a-z_]{1,20}$")]
    value: Annotated[Line, Field(min_length=1, max_length=40)]


class PreviewIn(In):
    """`term` is another name for `interval`; `term_years` prepays a yearly plan for two or three years at once.

    With `billing` yearly it is billed year by year: `total` is then the first year's, `committed` the whole term's.
    `coupon` is a code for a discount; one that cannot be used is refused with `reason`.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "lines": [{"sku": "professional", "quantity": 25}], "interval": "year", "currency": "EUR",
        "buyer": {"email": "ada@example.org", "name": "Ada Example", "company": "Example GmbH", "type": "business",
                  "country": "DE", "postcode": "10115", "city": "Berlin", "line1": "Invalidenstr. 1"},
        "tax_ids": [{"type": "eu_vat", "value": "DE136695976"}],
    }})  # fmt: skip

    lines: Annotated[list[LineIn], Field(min_length=1, max_length=20)]
    interval: Interval | None = None
    term: Interval | None = None
    term_years: Annotated[int | None, Field(strict=True, ge=1, le=3)] = None
    billing: Billing = Billing.PREPAID
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
    coupon: Annotated[Line, Field(max_length=40, description="A code; upper or lower case.")] = ""
    buyer: BuyerIn
    residence: Annotated[
        str,
        StringConstraints(to_upper=True, pattern="^([A-Za-z]{2})?$"),
        Field(description="The country in which a consumer says to live, after `residence_needed`."),
    ] = ""
    tax_ids: Annotated[list[TaxIdIn], Field(max_length=_MOST_TAX_IDS, default_factory=list)]

    @model_validator(mode="after")
    def one_interval(self) -> Self:
        if (self.interval is None) == (self.term is None):
            raise ValueError("give `interval` (or its other name, `term`): month or year")
        if self.term_years is not None and (self.interval or self.term) is not Interval.YEAR:
            raise ValueError("`term_years` goes with the interval year")
        return self

    def wanted(self, key: ApiKey | None, seen: tuple[Evidence, ...] = ()) -> PreviewRequest:
        """As the flow asks; a key of an account buys for that account. Raises Invalid for a malformed tax id."""
        interval = self.interval or self.term
        assert interval is not None  # one_interval has seen to it
        for index, each in enumerate(self.tax_ids):
            with named(tax_id=f"tax_ids.{index}.value"):
                tax.normalized(each.type, each.value, self.buyer.country)
        return PreviewRequest(
            lines=tuple(LineRequest(line.sku, line.quantity) for line in self.lines), interval=interval,
            currency=self.currency, buyer=self.buyer.details(),
            tax_ids=tuple(TaxIdGiven(each.type, each.value) for each in self.tax_ids),
            account_id=key.account_id if key else None, term_months=self.term_years * 12 if self.term_years else None,
            coupon=self.coupon, billing=self.billing,
            seen=(*seen, *((Evidence(STATEMENT, self.residence),) if self.residence else ())),
        )  # fmt: skip


class LineChangeOut(BaseModel):
    """Of a change: from `before` seats (null for a new line) to `after`, for `numerator` of `denominator` days."""

    before: int | None
    after: int
    numerator: int
    denominator: int
    rule: str
    period_from: date
    period_to: date
    carried_from: str | None = Field(description="The order whose charge was too small to be made.")


class PreviewLineOut(BaseModel):
    """`net` is after `discount` and rounded once; `tax` is the line's share of the document's tax.

    `price` says in words how the quantity is priced; `intervals` is how many of them the term prepays.
    """

    sku: str
    description: str
    quantity: int
    unit: MoneyOut
    price: str
    intervals: int
    discount: MoneyOut
    net: MoneyOut
    tax: MoneyOut
    change: LineChangeOut | None = None

    @classmethod
    def of(cls, line: dict[str, Any], currency: str) -> Self:
        model = model_of(line.get("pricing"), Money(line["unit_minor"], currency))
        return cls(
            sku=line["sku"], description=line["description"], quantity=line["quantity"], price=model.words(),
            intervals=line.get("intervals", 1), discount=MoneyOut.minor(line.get("discount_minor", 0), currency),
            change=LineChangeOut(**line["change"]) if line.get("change") else None,
            **{name: MoneyOut.minor(line[f"{name}_minor"], currency) for name in ("unit", "net", "tax")},
        )  # fmt: skip


class TaxOut(MoneyOut):
    """The tax, and why it is what it is: `reason` in words, `note` as the invoice will say it."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "amount": 0, "currency": "EUR", "treatment": "reverse_charge", "components": [],
        "note": "Reverse charge, Art. 196 Directive 2006/112/EC.", "reason": "Business in Germany …",
        "precision": "country",
    }})  # fmt: skip

    treatment: Treatment
    components: list[TaxPartOut]
    note: str
    reason: str
    precision: str

    @classmethod
    def of_determination(cls, found: Determination) -> Self:
        return cls(
            amount=found.tax.minor, currency=found.tax.currency, treatment=found.treatment, note=found.note,
            reason=found.reason, precision=found.precision,
            components=[
                TaxPartOut(jurisdiction=part.jurisdiction, name=part.name, rate=percent(part.rate),
                           taxable=MoneyOut.of(part.taxable), amount=MoneyOut.of(part.amount))
                for part in found.components
            ],
        )  # fmt: skip


class TaxIdOut(BaseModel):
    """A number as its registry writes it, and what the registry said."""

    type: str
    value: str
    status: str


class CouponOut(BaseModel):
    """The code behind the discount; `words` say what it is worth and for how long."""

    code: str
    name: str
    words: str


class TermsOut(BaseModel):
    """The terms of sale in force; an order accepts them by `id`."""

    id: str
    version: str
    title: str
    sha256: str

    @classmethod
    def of(cls, terms: TermsVersion) -> Self:
        return cls(id=terms.id, version=terms.version, title=terms.title, sha256=terms.sha256)


# An offer as documents show it; what builds on it says what it has more.
EXAMPLE: Final[dict[str, Any]] = {
    "id": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk", "kind": "purchase", "interval": "year", "term_months": 12,
    "billing": "prepaid", "committed": None,
    "currency": "EUR", "coupon": None,
    "lines": [{"sku": "professional", "description": "Professional", "quantity": 25,
               "unit": {"amount": 11000, "currency": "EUR"}, "price": "110.00 EUR", "intervals": 1,
               "discount": {"amount": 0, "currency": "EUR"}, "net": {"amount": 275000, "currency": "EUR"},
               "tax": {"amount": 0, "currency": "EUR"}}],
    "discount": {"amount": 0, "currency": "EUR"}, "net": {"amount": 275000, "currency": "EUR"},
    "tax": {"amount": 0, "currency": "EUR", "treatment": "reverse_charge", "components": [],
            "note": "Reverse charge, Art. 196 Directive 2006/112/EC.", "reason": "Business in Germany …",
            "precision": "country"},
    "total": {"amount": 275000, "currency": "EUR"}, "own_credit": {"amount": 0, "currency": "EUR"},
    "amount_due": {"amount": 275000, "currency": "EUR"}, "route": "automatic",
    "reasons": [{"code": "below_threshold", "sentence": "2,750.00 EUR before tax is below 5,000.00 EUR: …",
                 "figure": {"amount": 500000, "currency": "EUR"}}],
    "tax_ids": [{"type": "eu_vat", "value": "DE136695976", "status": "valid"}],
    "terms": {"id": "trm_01ka8qj6x0c5q4m3t2r1p0n9mk", "version": "2026-01", "title": "Terms of sale",
              "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    "created_at": "2026-11-22T09:00:00Z", "expires_at": "2026-11-23T09:00:00Z",
}  # fmt: skip


class PreviewOut(BaseModel):
    """An offer. Ordering it by card charges exactly `amount_due`, or is refused with a new preview.

    That is `total` less `own_credit`, what the account's customer credit pays of it; only a key of the account sees it.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    id: str
    kind: OrderKind
    interval: Interval
    term_months: int
    billing: Billing
    committed: MoneyOut | None = Field(description="Before tax, for the whole term; null where it is paid at once.")
    currency: str
    lines: list[PreviewLineOut]
    discount: MoneyOut
    coupon: CouponOut | None
    net: MoneyOut
    tax: TaxOut
    total: MoneyOut
    own_credit: MoneyOut
    amount_due: MoneyOut
    route: Route
    reasons: list[ReasonOut]
    tax_ids: list[TaxIdOut]
    terms: TermsOut
    created_at: datetime
    expires_at: datetime


def facts(ports: Ports, preview: Preview) -> dict[str, Any]:
    """The fields of a PreviewOut."""
    with ports.db.transaction() as tx:
        found = tax.stored(tx, preview.tax_determination_id)
        terms = agreements.terms_in_force(tx, preview.created_at.date())
    currency, asked = preview.currency, previews.request_of(preview)
    return {
        "id": preview.id, "kind": preview.kind, "interval": preview.inputs["interval"], "currency": currency,
        "lines": [PreviewLineOut.of(line, currency) for line in preview.lines],
        "term_months": asked.months, "billing": asked.billing,
        "committed": None if preview.committed_minor is None else MoneyOut.minor(preview.committed_minor, currency),
        "discount": MoneyOut.minor(sum(line.get("discount_minor", 0) for line in preview.lines), currency),
        "coupon": _coupon(preview), "net": MoneyOut.minor(preview.net_minor, currency),
        "tax": TaxOut.of_determination(found), "total": MoneyOut.minor(preview.total_minor, currency),
        "own_credit": MoneyOut.minor(preview.credit_minor, currency), "amount_due": MoneyOut.of(preview.due),
        "route": preview.route, "reasons": [ReasonOut(**each) for each in preview.reasons],
        "tax_ids": preview.inputs["tax_ids"], "terms": TermsOut.of(terms), "created_at": preview.created_at,
        "expires_at": preview.expires_at,
    }  # fmt: skip


def _coupon(preview: Preview) -> CouponOut | None:
    kept = preview.discount
    if kept is None:
        return None
    return CouponOut(code=kept["code"], name=kept["name"], words=coupons.words(kept, preview.currency))


@contextmanager
def named(**names: str) -> Iterator[None]:
    """Refusals name the input as this API spells it; flows know the checkout form's names."""
    try:
        yield
    except DomainError as exc:
        if exc.param is not None:
            exc.param = names.get(exc.param, f"buyer.{exc.param}" if exc.param in _BUYER_FIELDS else exc.param)
        raise


def _unknown_line(ports: Ports, body: PreviewIn) -> str:
    """Which line asks for what is not in the catalog."""
    with ports.db.transaction() as tx:
        for index, line in enumerate(body.lines):
            try:
                catalog.plan_by_sku(tx, line.sku)
            except UnknownPlan:
                return f"lines.{index}.sku"
    return "lines"


@router.post("", status_code=201, responses=problems(
    *KEYLESS, Invalid, UnknownPlan, NoPrice, SeatsOutOfRange, CouponRefused, ConsumersNotServed, DestinationRefused,
    Unavailable,
))  # fmt: skip
def create_preview(body: PreviewIn, request: Request, ports: Wired, key: Anyone) -> PreviewOut:
    """Price, tax and route a purchase. Needs no key and commits nobody to anything; the answer holds for a day.

    What needs a person is not refused: `route` says `sales` or `review`, and `reasons` say why.
    """
    try:
        with named():
            preview = previews.price(ports, body.wanted(key, () if key else whereabouts.seen(request)))
    except UnknownPlan as exc:
        exc.param = _unknown_line(ports, body)
        raise
    return PreviewOut(**facts(ports, preview))
