"""When a tax provider is asked, and what its answer means for a document (R-TAX-7, R-MON-2, ADR 0052): pure.

What this installation decides itself comes first: the operator's overrides, no registration (R-TAX-4), territories
apart and contradictory evidence. For the rest the provider's amounts stand as it computed them; none is computed from
sums and rates here. An answer that does not add up, or that our own facts do not bear, is `needs_review`.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final

from app.core.money import Money
from app.tax import eu
from app.tax.dataset import TaxData, load
from app.tax.determination import Component, Determination, LineTax
from app.tax.places import Place
from app.tax.provider import Computed, ComputedLine, Share
from app.tax.request import Exemption, Request
from app.tax.ruling import Treatment, exempt, percent

_ORDER: Final = list(Treatment)
_CHARGED: Final = frozenset({Treatment.STANDARD, Treatment.REDUCED})
_APART: Final = frozenset({"outside", "review"})
_PRECISION: Final = "provider"


def is_asked(request: Request, own: Determination, countries: Collection[str], data: TaxData | None = None) -> bool:
    """Whether the provider decides this document; `own` is what the engine here says of it."""
    data = data or load()
    place = data.places.locate(request.buyer)
    return (
        place.country in countries
        and any(line.amount for line in request.lines)
        and all(line.tax_code in data.products for line in request.lines)
        and not own.overrides
        and own.treatment is not Treatment.NOT_COLLECTING
        and eu.hidden_member(request, data.places) is None
        and (place.territory is None or place.territory.handling not in _APART)
    )


def cannot_be_asked(request: Request) -> str | None:
    """Why there is no use in asking, where what is known of the sale does not suffice for any provider."""
    if any(line.amount < 0 for line in request.lines):
        return "A line below zero cannot be computed by a tax provider."
    if request.buyer.country.upper() == "US" and not request.buyer.postcode:
        return "The buyer's ZIP is missing; the tax depends on it."
    return None


def certificate_of(request: Request, data: TaxData | None = None) -> Exemption | None:
    """The accepted certificate that relieves the buyer where the sale is taxed."""
    code = _taxed_in((data or load()).places.locate(request.buyer))
    return next((each for each in request.buyer.exemptions if each.relieves(code, request.date)), None)


def determination(
    request: Request, own: Determination, computed: Computed, *, title: str, calculation: str,
    data: TaxData | None = None,
) -> Determination:  # fmt: skip
    """The document's tax as a provider computed it; `calculation` is the row that keeps its answer."""
    data = data or load()
    place = data.places.locate(request.buyer)
    version = f"{computed.version}+{computed.ref}"
    wrong = _wrong(request, computed) or _unborne(request, own, computed, place, title, data)
    if wrong is not None:
        return held(request, wrong, version=version, calculation=calculation, data=data)
    lines = tuple(_line(request, i, computed, own) for i in range(len(request.lines)))
    headline = min((line.treatment for line in lines), key=_ORDER.index)
    components = _components(request.currency, list(computed.lines.values()))
    return Determination(
        treatment=headline, jurisdiction=_placed_in(place, components),
        tax=Money(sum(line.tax.minor for line in lines), request.currency),
        components=components, note=_note(request, own, headline, data), reason=_reason(computed, title),
        precision=_PRECISION, data_version=version, inputs_hash=request.inputs_hash(), lines=lines,
        calculation=calculation,
    )  # fmt: skip


def held(
    request: Request, why: str, *, version: str, calculation: str | None, data: TaxData | None = None
) -> Determination:
    """Nobody knows the tax: the order waits for a person, and nothing else is asked instead (R-TAX-3)."""
    zero = Money.zero(request.currency)
    return Determination(
        treatment=Treatment.NEEDS_REVIEW,
        jurisdiction=_taxed_in((data or load()).places.locate(request.buyer)),
        tax=zero, components=(), note="", reason=why, precision="none", data_version=version,
        inputs_hash=request.inputs_hash(),
        lines=tuple(
            LineTax(Money(line.amount, request.currency), zero, Treatment.NEEDS_REVIEW) for line in request.lines
        ),
        calculation=calculation,
    )  # fmt: skip


def _taxed_in(place: Place) -> str:
    """The state or province where these tax, else the country."""
    if place.country in {"US", "CA"} and place.region:
        return f"{place.country}-{place.region}"
    return place.jurisdiction


def _placed_in(place: Place, components: Sequence[Component]) -> str:
    """Where the buyer is, or where the tax goes if that is another country (Art. 59c: the seller's own)."""
    charged = components[0].jurisdiction if components else place.country
    return _taxed_in(place) if charged.partition("-")[0] == place.country else charged


def _wrong(request: Request, computed: Computed) -> str | None:
    """What does not add up in an answer."""
    asked = {i for i, line in enumerate(request.lines) if line.amount}
    if set(computed.lines) != asked:
        return "The tax provider answered for other lines than it was asked about."
    return next((wrong for line in computed.lines.values() if (wrong := _wrong_with(line)) is not None), None)


def _wrong_with(line: ComputedLine) -> str | None:
    if not line.shares:
        return "The tax provider did not say why a line is taxed as it is."
    if sum(share.amount for share in line.shares) != line.tax or min(share.amount for share in line.shares) < 0:
        return "The parts of the tax that the provider computed do not make its sum."
    for share in line.shares:
        charged = share.treatment in _CHARGED
        if (share.amount and not charged) or (charged and share.rate is None):
            return f"What the tax provider charges in {share.name} does not go with {share.word}."
    due = sum((share.rate or 0) * share.taxable for share in line.shares if share.treatment in _CHARGED)
    if not line.tax and due >= 100:  # in percent of minor units: one unit at least
        return "The tax provider gives a rate and a base, and no tax."
    return None


def _unborne(
    request: Request, own: Determination, computed: Computed, place: Place, title: str, data: TaxData
) -> str | None:  # fmt: skip
    """What our own facts speak against: a relief that nobody proved, a charge where one is proved, or no registration
    where one is kept here.
    """
    for line in computed.lines.values():
        treatment = _treatment(line.shares)
        share = next(each for each in line.shares if each.treatment is treatment)
        if treatment is Treatment.NEEDS_REVIEW:
            return f"{title} cannot say how the sale is taxed in {share.name} ({share.word})."
        if treatment is Treatment.NOT_COLLECTING:
            return (
                f"A registration for {_taxed_in(place)} is kept here, but {title} has none in {share.name}: add it"
                " there, or end it here."
            )
        if treatment is Treatment.REVERSE_CHARGE and own.treatment is not Treatment.REVERSE_CHARGE:
            return f"{title} would leave the tax to the buyer, but nothing known here bears that: {own.reason}"
        if treatment in _CHARGED and own.treatment is Treatment.REVERSE_CHARGE:
            return f"{title} charges what the buyer accounts for by the rules here: {own.reason}"
        if treatment is Treatment.CUSTOMER_EXEMPT and certificate_of(request, data) is None:
            return (
                f"{title} takes the buyer for exempt, but no accepted certificate for {_taxed_in(place)} is kept here."
            )
    return None


def _treatment(shares: Sequence[Share]) -> Treatment:
    return min((share.treatment for share in shares), key=_ORDER.index)


def _line(request: Request, position: int, computed: Computed, own: Determination) -> LineTax:
    amount, found = request.lines[position].amount, computed.lines.get(position)
    if found is None:  # nothing is asked for it, so nothing was computed
        return LineTax(Money.zero(request.currency), Money.zero(request.currency), own.lines[position].treatment)
    net = amount - found.tax if request.lines[position].inclusive else amount
    return LineTax(Money(net, request.currency), Money(found.tax, request.currency), _treatment(found.shares))


def _components(currency: str, lines: Sequence[ComputedLine]) -> tuple[Component, ...]:
    """One for each jurisdiction, name and rate: the provider's own amounts of its lines added up, never computed anew.

    Where something is charged, a tax that is relieved stands beside it at 0 (R-TAX-4).
    """
    sums: dict[tuple[str, str, Decimal], list[int]] = {}
    for line in lines:
        for share in line.shares:
            if share.rate is None or _treatment(line.shares) not in _CHARGED:
                continue
            total = sums.setdefault((share.jurisdiction, share.name, share.rate), [0, 0])
            total[0] += share.taxable
            total[1] += share.amount
    return tuple(
        Component(jurisdiction, name, rate, Money(taxable, currency), Money(amount, currency))
        for (jurisdiction, name, rate), (taxable, amount) in sums.items()
    )


def _note(request: Request, own: Determination, headline: Treatment, data: TaxData) -> str:
    """What the law wants on the document: the engine's words of a reverse charge, an exemption's certificate."""
    if headline is Treatment.REVERSE_CHARGE:
        return own.note
    certificate = certificate_of(request, data) if headline is Treatment.CUSTOMER_EXEMPT else None
    return exempt("", "", certificate).note if certificate is not None else ""


def _reason(computed: Computed, title: str) -> str:
    said: Mapping[str, None] = dict.fromkeys(
        f"{share.name} {percent(share.rate)} %" if share.rate is not None else f"{share.name}: {share.word}"
        for line in computed.lines.values()
        for share in line.shares
    )
    return f"Computed by {title} ({computed.ref}): {', '.join(said)}."
