"""The European Union (R-TAX-4, R-TAX-5).

Software licenses, downloads and SaaS are electronically supplied services at the standard rate. Place of supply:
business buyers Directive 2006/112/EC Art. 44, consumers Art. 58, micro-business relief Art. 59c. An unregistered
seller is late, not free: a consumer is always charged.
"""

from collections import Counter
from datetime import date

from app.tax.overrides import Standing, cited, uncharged
from app.tax.places import Member, Place, Places
from app.tax.rates import RateRow, RateSource, on_day
from app.tax.request import Buyer, Request, TaxId
from app.tax.ruling import Charge, Override, Ruling, Treatment, percent, review

ARTICLE_196 = "Reverse charge, Art. 196 Directive 2006/112/EC"


def rule(request: Request, place: Place, places: Places, rates: RateSource, standing: Standing) -> Ruling:
    """Any supply of software to a buyer inside the VAT area."""
    member = places.members[place.country]
    if not places.is_member(member.code, request.date):
        return review(member.code, f"{member.name} was not a member of the Union on {request.date}.", place.precision)
    if (decided := uncharged(standing.of(place.jurisdiction), _where(place, member), place.precision)) is not None:
        return decided
    established = {
        code for code in map(places.seat, request.seller.established_in()) if places.is_member(code, request.date)
    }
    if request.buyer.type == "business":
        if member.code in established:
            why = f"The seller is established in {member.name}, the buyer's own state: domestic VAT"
            return _charge(place, places, rates, standing, why)
        return _business(request, place, places, rates, established, standing)
    if doubt := evidence_doubt(request, places, alone_suffices=request.seller.below_eu_threshold and bool(established)):
        return review(place.jurisdiction, doubt, place.precision)
    suffix = "" if request.evidence else ". The location rests on the billing address alone"
    who = f"Consumer in {_where(place, member)}"
    return _as_consumer(request, place, places, rates, established, standing, who, suffix)


def _where(place: Place, member: Member) -> str:
    return member.name if place.territory is None else f"{place.territory.name} ({member.name})"


def _as_consumer(
    request: Request,
    place: Place,
    places: Places,
    rates: RateSource,
    established: set[str],
    standing: Standing,
    who: str,
    suffix: str = "",
) -> Ruling:
    """Art. 58: the buyer's rate, or the seller's own while Art. 59c spares it the buyer's."""
    seller, member = request.seller, places.members[place.country]
    if member.code in established:
        return _charge(place, places, rates, standing, f"{who}: domestic VAT of the seller's own state{suffix}")
    relieved = seller.below_eu_threshold and seller.one_stop_shop(request.date) != "union" and len(established) == 1
    if relieved:
        home = places.members[next(iter(established))]
        origin = Place(home.code, None, "", "", None)
        why = f"{who}; the seller stays below EUR 10,000 a year across borders (Art. 59c): VAT of {home.name}{suffix}"
        return _charge(origin, places, rates, standing, why)
    if seller.registration(member.code, request.date):
        channel = f"declared under the seller's registration in {member.name}"
    elif seller.one_stop_shop(request.date) == "union":
        channel = "declared through the Union one-stop shop"
    elif seller.one_stop_shop(request.date) == "non_union":
        channel = "declared through the non-Union one-stop shop"
    else:
        channel = "due although the seller states neither a one-stop shop nor a registration there, and must register"
    return _charge(place, places, rates, standing, f"{who}: VAT of {_where(place, member)}, {channel}{suffix}")


def _business(
    request: Request, place: Place, places: Places, rates: RateSource, established: set[str], standing: Standing
) -> Ruling:
    """Art. 44 and 196 with a number confirmed valid (Reg. 282/2011 Art. 18); else charged as a consumer would be."""
    member = places.members[place.country]
    confirmed = [
        (tax_id, of)
        for tax_id in request.buyer.tax_ids
        if tax_id.type == "eu_vat" and tax_id.status == "valid" and (of := number_state(tax_id.value, member, places))
    ]
    confirmed.sort(key=lambda found: found[1] != member.code)  # the number of the buyer's own state speaks first
    if not confirmed:
        who = f"Business in {_where(place, member)} {unconfirmed(request.buyer, ('eu_vat',))}, charged as a consumer"
        return _as_consumer(request, place, places, rates, established, standing, who)
    tax_id, of = confirmed[0]
    if of != member.code and of in established:
        return review(
            place.jurisdiction,
            f"The buyer's address is in {member.name} but its VAT number is of {places.members[of].name}, where the "
            "seller is established: domestic VAT or reverse charge depends on which establishment buys.",
            place.precision,
        )
    number = "".join(c for c in tax_id.value.upper() if c.isalnum() and c.isascii())
    own = next(
        (
            r.number
            for r in request.seller.registrations
            if r.number and r.in_force(request.date) and places.is_member(r.jurisdiction, request.date)
        ),
        None,
    )
    parties = f" Customer VAT number {number}." + (f" Supplier VAT number {own}." if own else "")
    abroad = "" if of == member.code else f" The number is of {places.members[of].name}; no VAT is due either way."
    return Ruling(
        Treatment.REVERSE_CHARGE,
        place.jurisdiction,
        f"Business in {_where(place, member)} with a VAT number confirmed valid, and the seller is not established "
        f"there: the customer accounts for the VAT.{abroad}",
        place.precision,
        note=f"{ARTICLE_196}.{parties}",
    )


def number_state(value: str, home: Member, places: Places) -> str | None:
    """The member state of a VAT number, or None where it proves nothing for services.

    Numbers with prefix XI serve goods in Northern Ireland only, EU and IM belong to sellers under one-stop shops.
    A number written without its prefix is taken to be of the buyer's state.
    """
    compact = "".join(c for c in value.upper() if c.isalnum())
    prefix = compact[:2]
    by_prefix = {member.vat_prefix: member.code for member in places.members.values()} | {"GR": "GR"}
    if prefix in by_prefix:
        return by_prefix[prefix]
    if prefix in {"XI", "EU", "IM", "GB"}:
        return None
    french_key = home.code == "FR" and len(compact) == 11  # two check characters, letters or digits, and nine digits
    return home.code if len(compact) >= 7 and (french_key or not prefix.isalpha()) else None


def unconfirmed(buyer: Buyer, types: tuple[str, ...]) -> str:
    """Why a business is not treated as one: the worst-to-best status of its numbers, in words."""
    statuses = {tax_id.status for tax_id in buyer.tax_ids if tax_id.type in types}
    if "unavailable" in statuses:
        return (
            "whose tax number could not be checked because the register did not answer (it is checked again; "
            "if valid, a credit note and a new invoice follow)"
        )
    if "unchecked" in statuses:
        return "whose tax number is not checked yet"
    if "invalid" in statuses:
        return "whose tax number the register calls invalid"
    return "without a confirmed tax number that applies here"


def special_territory(request: Request, place: Place, places: Places, standing: Standing) -> Ruling:
    """Territories that Art. 6 leaves outside the VAT area, the small states around it, and the unclear ones."""
    territory = place.territory
    assert territory is not None
    found = standing.of(territory.code)
    registered = request.seller.registration(territory.code, request.date) is not None
    if (decided := uncharged(found, territory.name, "territory")) is not None:
        return decided
    if found is not None and found.rate is not None and (registered or territory.handling == "review"):
        return _overruled(place, found, f"Sale in {territory.name}")
    if territory.handling == "review":
        return review(
            territory.code,
            f"{territory.name} needs a decision: {territory.local_tax}.",
            "territory",
        )
    if registered:
        return review(
            territory.code, f"The seller is registered in {territory.name}, whose tax is not kept here.", "territory"
        )
    if request.buyer.type == "consumer" and (doubt := evidence_doubt(request, places)):
        return review(territory.code, doubt, "territory")
    return Ruling(
        Treatment.OUTSIDE_SCOPE,
        territory.code,
        f"{territory.name} lies outside the EU VAT area: {territory.local_tax}.",
        "territory",
    )


def evidence_doubt(request: Request, places: Places, *, alone_suffices: bool = False) -> str | None:
    """Why the location is not proven, or None (Reg. 282/2011 Art. 24b, 24f).

    Two kinds of evidence must name the stated country, and no other country may be named as often. The stated
    address counts as the billing address. A request without any evidence is not refused: a sale is then placed by
    its address, and the reason says so. `alone_suffices` where one item is enough (small sellers of the Union).
    """
    if not request.evidence:
        return None
    stated = places.seat(request.buyer.country)
    votes = _votes(request.evidence_with_address(), places)
    others = {country: n for country, n in votes.items() if country != stated}
    if votes[stated] <= max(others.values(), default=0):
        named = ", ".join(sorted(others))
        return f"The evidence of the buyer's location contradicts the address in {stated}: it also names {named}."
    if votes[stated] < 2 and not alone_suffices:
        return f"Only one item of evidence places the buyer in {stated}; two that agree are needed (Art. 24b)."
    return None


def hidden_member(request: Request, places: Places) -> str | None:
    """The member state that two kinds of evidence name although a consumer's address lies elsewhere."""
    if request.buyer.type != "consumer" or not request.evidence:
        return None
    stated = places.seat(request.buyer.country)
    votes = _votes(request.evidence_with_address(), places)
    found = [
        country
        for country, n in votes.items()
        if country != stated and n >= max(2, votes[stated]) and places.is_member(country, request.date)
    ]
    return min(found, default=None)


def _votes(evidence: tuple[tuple[str, str], ...], places: Places) -> Counter[str]:
    seen = {(kind if kind != "other" else f"other {i}", places.seat(c)) for i, (kind, c) in enumerate(evidence)}
    return Counter(country for _, country in seen)


def standard_rate(jurisdiction: str, places: Places, rates: RateSource, on: date) -> RateRow | None:
    """A territory's own row, else the member state's."""
    own = places.rates.get(jurisdiction)
    return on_day(own, on) if own is not None else rates.standard(jurisdiction, on)


def _overruled(place: Place, found: Override, why: str) -> Ruling:
    assert found.rate is not None
    charge = Charge(place.jurisdiction, _vat(place), found.rate, found.portion)
    reason = f"{why}. Rate {percent(found.rate)} %. {cited(found)}"
    return Ruling(Treatment.STANDARD, place.jurisdiction, reason, place.precision, (charge,), overrides=(found,))


def _vat(place: Place) -> str:
    return "VAT" if place.territory is None else f"VAT ({place.territory.name})"


def _charge(place: Place, places: Places, rates: RateSource, standing: Standing, why: str) -> Ruling:
    on, found = standing.on, standing.of(place.jurisdiction)
    if found is not None and found.rate is not None:
        return _overruled(place, found, why)
    row = standard_rate(place.jurisdiction, places, rates, on)
    if row is None or row.validity.grade == "C":
        return review(place.jurisdiction, f"No VAT rate of {place.jurisdiction} is known for {on}.", place.precision)
    charge = Charge(place.jurisdiction, _vat(place), row.rate)
    reason = f"{why}. Rate {percent(row.rate)} %."
    return Ruling(Treatment.STANDARD, place.jurisdiction, reason, place.precision, charges=(charge,))


def is_number_of(tax_id: TaxId, types: tuple[str, ...]) -> bool:
    """A confirmed number of one of these types. An `eu_vat` outside the Union is an XI number or nothing."""
    if tax_id.status != "valid" or tax_id.type not in types:
        return False
    return tax_id.type != "eu_vat" or tax_id.value.strip().upper().startswith("XI")
