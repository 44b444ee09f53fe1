"""United States (R-TAX-4): one state at a time, and only where the seller is registered.

The state rate is exact where a state has no local taxes; elsewhere an area row (by ZIP or city) or a remote
seller's election makes it exact, and without either the engine refuses.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from app.tax.local_rates import Locality, on_portion
from app.tax.overrides import Standing, cited, uncharged
from app.tax.places import Place
from app.tax.products import Product
from app.tax.rates import Source, Validity, on_day
from app.tax.request import Request
from app.tax.ruling import Charge, Override, Ruling, Treatment, exempt, not_collecting, percent, review
from app.tax.us_data import Election, State, TaxabilityRow, UnitedStates, matches_city


def rule(
    request: Request, place: Place, product: Product, us: UnitedStates, standing: Standing,
    imported: Locality | None = None,
) -> Ruling:  # fmt: skip
    """The state's ruling, with the tax of a city that collects its own where the seller is registered with it."""
    state = us.states.get(place.region or "")
    if state is None:
        return _no_state(request, place)
    ruling = _state_ruling(request, place, product, state, us, standing, imported)
    return _with_city(request, place, product, ruling, us, standing)


def _no_state(request: Request, place: Place) -> Ruling:
    """A territory is asked for by its own registration; a state that is missing or is none could be any of them."""
    registered = [r.jurisdiction for r in request.seller.registrations if r.in_force(request.date)]
    if place.territory is not None:
        code = f"US-{place.region}"
        if code not in registered and place.region not in registered:
            return not_collecting(code, place.territory.name)
    elif not any(r.startswith("US-") for r in registered):
        return not_collecting("US", "any state of the United States")
    else:
        code = "US"
    return review(code, "The buyer's state is missing, or no state or not kept here; the tax depends on it.")


def _state_ruling(
    request: Request, place: Place, product: Product, state: State, us: UnitedStates, standing: Standing,
    imported: Locality | None,
) -> Ruling:  # fmt: skip
    """The state's own sales tax and the local taxes it administers."""
    on, code = request.date, state.jurisdiction
    if not request.seller.registration(code, on):
        return not_collecting(code, state.name)
    decided = standing.of(code)
    use = product.used_by(request.buyer.type)
    row = on_day(state.taxability(product.kind, use), on)
    election = us.election(state, request.seller, on)
    what = f"{'Software as a service' if product.kind == 'saas' else 'Downloaded software'} for {use} use"
    if isinstance(election, str):
        untaxed = decided is None and row is not None and row.validity.grade != "C" and not row.taxable
        if not untaxed or not us.knows(state, election):
            return review(code, f"The election {election!r} in {state.name} has no rule on {on}.")
        election = None  # of other days: what is not taxed on this one leaves nothing to elect
    if election is not None and election.effect == "review" and row is not None and not row.condition:
        election = None  # it denies a condition (hosted elsewhere), and what is sold here has none
    if decided is not None:
        return (
            uncharged(decided, state.name, "state")
            or _certified(request, state)
            or _overruled(request, state, row, election, what, lambda: _local(state, place, on, us, imported), decided)
        )
    if row is None or row.validity.grade == "C" or (election is not None and election.effect == "review"):
        return review(code, f"{what} in {state.name}: whether it is taxed on {on} is not certain.")
    if not row.taxable or (election is not None and election.effect == "not_taxable"):
        return _not_taxed(state, what, row, election)
    return _certified(request, state) or _charged(
        request, state, row, election, what, lambda: _local(state, place, on, us, imported)
    )


def _certified(request: Request, state: State) -> Ruling | None:
    """The ruling of a certificate for the state, where the buyer has one."""
    held = (e for e in request.buyer.exemptions if e.relieves(state.jurisdiction, request.date))
    certificate = next(held, None)
    return None if certificate is None else exempt(state.jurisdiction, state.name, certificate)


def _overruled(
    request: Request,
    state: State,
    row: TaxabilityRow | None,
    election: Election | None,
    what: str,
    find_local: "Callable[[], _Local | str]",
    decided: Override,
) -> Ruling:
    """Taxed because the operator says so, at the operator's rate or the one on file, with local rates unless alone."""
    validity = Validity(request.date, None, "A", Source(decided.source, request.date))
    taxed = TaxabilityRow(True, decided.rate or (row.rate if row else None), decided.portion, "", validity)
    kept = election if election is not None and election.effect in {"local", "flat"} else None
    if decided.rate is not None and kept is not None and kept.effect == "flat":
        kept = None  # the operator's rate comes before the flat one
    if decided.alone and decided.rate is not None:
        charge = Charge(state.jurisdiction, f"{state.name} sales tax", decided.rate, decided.portion)
        ruling = _ruling(state, (charge,), what, "", "state")
    else:
        ruling = _charged(request, state, taxed, kept, what, find_local)
    return replace(ruling, reason=f"{ruling.reason} {cited(decided)}", note=decided.note, overrides=(decided,))


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
    rate = row.rate
    if rate is None:
        on_file = on_day(state.rates, request.date)
        if on_file is None or on_file.validity.grade == "C":
            return review(state.jurisdiction, f"The sales tax rate of {state.name} on {request.date} is not certain.")
        rate = on_file.rate
    base = Charge(state.jurisdiction, f"{state.name} sales tax", rate, row.portion)
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


def _with_city(
    request: Request, place: Place, product: Product, ruling: Ruling, us: UnitedStates, standing: Standing
) -> Ruling:
    """Add what cities collect by themselves, where the seller holds the city's own registration."""
    prefix = f"US-{place.region}-"
    for registration in request.seller.registrations:
        if registration.jurisdiction.startswith(prefix) and registration.in_force(request.date):
            ruling = _add_city(request, place, product, ruling, registration.jurisdiction, us, standing)
    return ruling


def _add_city(
    request: Request, place: Place, product: Product, ruling: Ruling, jurisdiction: str, us: UnitedStates,
    standing: Standing,
) -> Ruling:  # fmt: skip
    city = us.cities.get(jurisdiction)
    inside = matches_city(place, city, jurisdiction.split("-", 2)[2])
    if inside is False or ruling.treatment is Treatment.NEEDS_REVIEW:
        return ruling
    if inside is None or city is None:
        why = "the buyer's city is not stated" if city else "its tax is not kept here"
        return review(jurisdiction, f"The seller collects for {jurisdiction}, but {why}.")
    exempt = any(e.relieves(jurisdiction, request.date) for e in request.buyer.exemptions)
    decided = standing.of(jurisdiction)
    overrides = ruling.overrides if decided is None else (*ruling.overrides, decided)
    if decided is not None and decided.treatment is Treatment.NEEDS_REVIEW:
        return replace(review(jurisdiction, f"{city.name}. {cited(decided)}"), overrides=overrides)
    taxed = product.kind in city.taxed if decided is None else decided.treatment is Treatment.STANDARD
    if not taxed or exempt:
        said = ruling.reason if decided is None else f"{ruling.reason} {city.name} is not charged. {cited(decided)}"
        return replace(ruling, reason=said, overrides=overrides)
    row = standing.row(jurisdiction)[0] or on_day(city.rates, request.date)
    if row is None or row.validity.grade == "C":
        return review(jurisdiction, f"No rate of the {city.name} is certain for {request.date}.")
    return replace(
        ruling,
        treatment=Treatment.STANDARD,
        charges=(*ruling.charges, Charge(jurisdiction, city.name, row.rate, *([decided.portion] if decided else []))),
        reason=" ".join(
            (f"{ruling.reason} {city.name}: {percent(row.rate)} %.", *([cited(decided)] if decided else []))
        ),
        precision=_area_precision(place),
        overrides=overrides,
    )
