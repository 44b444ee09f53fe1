"""United States (R-TAX-4): one state at a time, and only where the seller is registered.

The state rate is exact where a state has no local taxes; elsewhere an area row (by ZIP or city) or a remote
seller's election makes it exact, and without either the engine refuses.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from app.tax.local_rates import Locality, on_portion
from app.tax.places import Place
from app.tax.products import Product
from app.tax.rates import on_day
from app.tax.request import Request
from app.tax.ruling import Charge, Ruling, Treatment, exempt, not_collecting, percent, review
from app.tax.us_data import Election, State, TaxabilityRow, UnitedStates, matches_city


def rule(
    request: Request, place: Place, product: Product, us: UnitedStates, imported: Locality | None = None
) -> Ruling:
    """The state's ruling, with the tax of a city that collects its own where the seller is registered with it."""
    state = us.states.get(place.region or "")
    if state is None:
        return _no_state(request, place)
    ruling = _state_ruling(request, place, product, state, us, imported)
    return _with_city(request, place, product, ruling, us)


def _no_state(request: Request, place: Place) -> Ruling:
    registered = [r.jurisdiction for r in request.seller.registrations if r.in_force(request.date)]
    code = f"US-{place.region}" if place.region else "US"
    if place.region and code not in registered and place.region not in registered:
        return not_collecting(code, place.territory.name if place.territory else code)
    if not place.region and not any(r.startswith("US-") for r in registered):
        return not_collecting("US", "any state of the United States")
    return review(code, "The buyer's state is missing or its rules are not kept here; the tax depends on it.")


def _state_ruling(
    request: Request, place: Place, product: Product, state: State, us: UnitedStates, imported: Locality | None
) -> Ruling:
    """The state's own sales tax and the local taxes it administers."""
    on, code = request.date, state.jurisdiction
    if not request.seller.registration(code, on):
        return not_collecting(code, state.name)
    use = product.used_by(request.buyer.type)
    row = on_day(state.taxability(product.kind, use), on)
    election = us.election(state, request.seller, on)
    what = f"{'Software as a service' if product.kind == 'saas' else 'Downloaded software'} for {use} use"
    if isinstance(election, str):
        return review(code, f"The election {election!r} in {state.name} has no rule on {on}.")
    if row is None or row.validity.grade == "C" or (election is not None and election.effect == "review"):
        return review(code, f"{what} in {state.name}: whether it is taxed on {on} is not certain.")
    if not row.taxable or (election is not None and election.effect == "not_taxable"):
        return _not_taxed(state, what, row, election)
    certificate = next((e for e in request.buyer.exemptions if e.relieves(code, on)), None)
    if certificate is not None:
        return exempt(code, state.name, certificate)
    return _charged(request, state, row, election, what, lambda: _local(state, place, on, us, imported))


def _not_taxed(state: State, what: str, row: TaxabilityRow, election: Election | None) -> Ruling:
    if not row.taxable:
        held = f", as long as {row.condition}" if row.condition else ""
        why = "has no sales tax" if state.without_tax else f"does not tax it{held}"
    else:
        why = f"does not tax it under {election.name if election else 'the law'}"
    return Ruling(Treatment.PRODUCT_EXEMPT, state.jurisdiction, f"{what}: {state.name} {why}.", "state")


def _charged(
    request: Request,
    state: State,
    row: TaxabilityRow,
    election: Election | None,
    what: str,
    find_local: "Callable[[], _Local | str]",
) -> Ruling:
    """The state's rate with whatever local rates this address or this election adds; refuses if those are unknown."""
    rate = on_day(state.rates, request.date)
    if rate is None or rate.validity.grade == "C":
        return review(state.jurisdiction, f"The sales tax rate of {state.name} on {request.date} is not certain.")
    base = Charge(state.jurisdiction, f"{state.name} sales tax", row.rate or rate.rate, row.portion)
    if election is not None and election.effect == "flat":
        return _ruling(state, election.charges, what, f"{election.name} election", "state")
    if election is not None:
        return _ruling(
            state, (base, *on_portion(election.charges, row.portion)), what, f"{election.name} election", "state"
        )
    local = find_local()
    if isinstance(local, str):
        return review(
            state.jurisdiction,
            f"{what} is taxed in {state.name} at {percent(base.rate)} % and at local rates not known for this address"
            f"{local}.",
            "state",
        )
    return _ruling(state, (base, *on_portion(local.charges, row.portion)), what, local.name, local.precision)


@dataclass(frozen=True, slots=True)
class _Local:
    charges: tuple[Charge, ...]
    name: str
    precision: str


def _local(state: State, place: Place, on: date, us: UnitedStates, imported: Locality | None) -> _Local | str:
    """What is added to the state's rate at this address, or why that is unknown (the tail of a sentence).

    What the operator imported comes before our own areas.
    """
    if imported is not None:
        return _Local(imported.charges, f"imported local rates {imported.version}", imported.precision)
    area = us.area(state, place, on) if state.local != "none" else None
    if isinstance(area, str):
        return f": {area}"
    if area is not None:
        known = area.validity.grade != "C"
        return _Local(area.charges, area.name, _area_precision(place)) if known else f" in {area.name}"
    if state.local == "add_on":
        return ""
    return _Local((), "no local tax outside a few named cities" if state.local == "few" else "", "state")


def _area_precision(place: Place) -> str:
    return "zip5" if place.postcode else "city"


def _ruling(state: State, charges: tuple[Charge, ...], what: str, how: str, precision: str) -> Ruling:
    rates = " + ".join(f"{percent(charge.rate)} %" for charge in charges)
    share = "" if charges[0].portion == 100 else f" on {percent(charges[0].portion)} % of the price"
    return Ruling(
        Treatment.STANDARD,
        state.jurisdiction,
        f"{what} is taxed in {state.name}: {rates}{share}{f' ({how})' if how else ''}.",
        precision,
        charges=charges,
    )


def _with_city(request: Request, place: Place, product: Product, ruling: Ruling, us: UnitedStates) -> Ruling:
    """Add what cities collect by themselves, where the seller holds the city's own registration."""
    prefix = f"US-{place.region}-"
    for registration in request.seller.registrations:
        if registration.jurisdiction.startswith(prefix) and registration.in_force(request.date):
            ruling = _add_city(request, place, product, ruling, registration.jurisdiction, us)
    return ruling


def _add_city(
    request: Request, place: Place, product: Product, ruling: Ruling, jurisdiction: str, us: UnitedStates
) -> Ruling:
    city = us.cities.get(jurisdiction)
    inside = matches_city(place, city, jurisdiction.split("-", 2)[2])
    if inside is False or ruling.treatment is Treatment.NEEDS_REVIEW:
        return ruling
    if inside is None or city is None:
        why = "the buyer's city is not stated" if city else "its tax is not kept here"
        return review(jurisdiction, f"The seller collects for {jurisdiction}, but {why}.")
    exempt = any(e.relieves(jurisdiction, request.date) for e in request.buyer.exemptions)
    if product.kind not in city.taxed or exempt:
        return ruling
    row = on_day(city.rates, request.date)
    if row is None or row.validity.grade == "C":
        return review(jurisdiction, f"No rate of the {city.name} is certain for {request.date}.")
    return replace(
        ruling,
        treatment=Treatment.STANDARD,
        charges=(*ruling.charges, Charge(jurisdiction, city.name, row.rate)),
        reason=f"{ruling.reason} {city.name}: {percent(row.rate)} %.",
        precision=_area_precision(place),
    )
