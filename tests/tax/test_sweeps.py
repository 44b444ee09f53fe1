"""Every day of eight years, and requests that nobody thought of: counted, and whole with `make test-full`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random  # noqa: TID251 -- a failing request must come back with its seed; nothing secret is drawn

import pytest

from app.tax.dataset import load
from app.tax.determination import Determination, determine
from app.tax.eu import standard_rate
from app.tax.local_rates import Locality
from app.tax.names import country_codes
from app.tax.rates import Dated
from app.tax.request import Buyer, Evidence, Exemption, Line, Registration, Request, Seller, TaxId
from app.tax.ruling import Charge, Treatment
from tests.world import full

FIRST, LAST = date(2020, 1, 1), date(2027, 12, 31)
DAYS = [FIRST + timedelta(days=i) for i in range((LAST - FIRST).days + 1)]
MEMBERS = sorted(load().places.members)
COUNTRIES = sorted(country_codes())
STATES = sorted(load().united_states.states)
PROVINCES = sorted(load().canada.provinces)
CODES = ("saas_business", "software_download_business", "saas_personal", "software_download_personal", "unheard_of")
ELECTIONS = ("single_local_rate", "ssut", "negotiable_license", "hosted_in_state", "nonsense", "")
ID_TYPES = ("eu_vat", "gb_vat", "no_vat", "ch_vat", "au_abn", "ca_gst_hst", "ca_qst", "in_gst", "kr_brn", "sg_gst")
NUMBERS = ("FR40303265045", "XI980780684", "EL094259216", "IE6433435F", "123456789RT0001", "", "\x00", "¹²³", "0" * 60)
POSTCODES = ("10001", "78701-1234", "35001", "BT1 1AA", "9500-001", "96813", "80202", "606", "", "-", "\u200b", "٣٥٠٠١")
CITIES = ("New York", "Chicago", "Denver", "Livigno", "Büsingen", "LAS  PALMAS", "", "\ud7ff", "x" * 300)


def test_every_member_state_has_exactly_one_rate_on_every_day_of_eight_years() -> None:
    days = DAYS[:: len(DAYS) // full(len(DAYS))] if full(len(DAYS)) < len(DAYS) else DAYS
    seen = 0
    for code in MEMBERS:
        rows = load().eu_rates.history(code)
        for day in days:
            in_force = [row for row in rows if row.validity.covers(day)]
            assert len(in_force) == 1, (code, day)
            assert standard_rate(code, load().places, load().eu_rates, day) == in_force[0]
            assert Decimal(15) <= in_force[0].rate <= Decimal(27)
            seen += 1
    assert len(DAYS) == 2_922
    assert seen == 27 * len(days)
    assert seen == 27 * 2_922 or full(len(DAYS)) < len(DAYS)


def days_of_change() -> Iterable[date]:
    """The first day of every row of the shipped data and the day before it: where a mistake would show."""
    us, canada = load().united_states, load().canada
    histories: list[Sequence[Dated]] = [
        *(c.rates for c in load().world.values()), *(levy.rates for levy in canada.levies),
        *load().places.rates.values(),
        *(s.rates for s in us.states.values()), *(row for s in us.states.values() for row in s.rows.values()),
    ]  # fmt: skip
    firsts = {row.validity.valid_from for rows in histories for row in rows}
    return sorted(firsts | {day - timedelta(days=1) for day in firsts})


def test_every_state_and_province_answers_or_refuses_on_every_day_of_change() -> None:
    everywhere = (*(f"US-{code}" for code in STATES), *(f"CA-{code}" for code in PROVINCES), "CA")
    seller = Seller("US", registrations=tuple(Registration(code, "standard") for code in everywhere))
    for day in days_of_change():
        for country, code in [*(("US", code) for code in STATES), *(("CA", code) for code in PROVINCES)]:
            request = Request(
                seller, Buyer(country, code, type="business"), (Line("saas_business", 1_000),), "USD", day
            )
            answer = determine(request)
            assert answer.treatment in {
                Treatment.STANDARD, Treatment.PRODUCT_EXEMPT, Treatment.NEEDS_REVIEW
            }, (code, day)  # fmt: skip
            if answer.treatment is Treatment.STANDARD:
                assert all(part.rate > 0 for part in answer.components)
                assert answer.tax.minor > 0


def test_every_row_that_charges_names_its_source() -> None:
    us = load().united_states
    rows: list[Dated] = [
        *(row for code in MEMBERS for row in load().eu_rates.history(code)),
        *(row for country in load().world.values() for row in country.rates),
        *(row for levy in load().canada.levies for row in levy.rates),
        *(row for rates in load().places.rates.values() for row in rates),
        *(row for state in us.states.values() for row in state.rates),
        *(row for state in us.states.values() for kind in state.rows.values() for row in kind),
        *us.elections, *us.areas, *(row for city in us.cities.values() for row in city.rates),
    ]  # fmt: skip
    assert len(rows) > 400
    for row in rows:
        assert len(row.validity.source.title) > 10
        assert row.validity.source.retrieved <= date(2027, 12, 31)
        assert row.validity.grade in {"A", "B", "C"}


class Wild:
    """Requests of every shape the types allow, likely and unlikely ones, repeatable by their seed."""

    def __init__(self, seed: int) -> None:
        self._any = Random(seed)  # noqa: S311 -- draws requests to ask, no secret

    def jurisdiction(self) -> str:
        pick = self._any.randrange(4)
        if pick == 0:
            return f"US-{self._any.choice(STATES)}"
        if pick == 1:
            return self._any.choice(("US-IL-CHICAGO", "US-CO-DENVER", "US-TX-NOWHERE", "EU", "CA-QC", "CA", "XX-"))
        return self._any.choice(COUNTRIES)

    def seller(self) -> Seller:
        r = self._any
        schemes = ("standard", "simplified", "oss_union", "oss_non_union", "ssut", "")
        return Seller(
            r.choice(COUNTRIES), frozenset(self.jurisdiction() for _ in range(r.randrange(3))),
            tuple(
                Registration(
                    self.jurisdiction(), r.choice(schemes), r.choice((None, *DAYS[::400])),
                    r.choice((None, None, *DAYS[::400])), r.choice((None, "N-1")),
                )
                for _ in range(r.randrange(8))
            ),
            r.choice((None, "union", "non_union")), r.random() < 0.3,
            {f"US-{r.choice(STATES)}": r.choice(ELECTIONS) for _ in range(r.randrange(3))},
        )  # fmt: skip

    def buyer(self) -> Buyer:
        r = self._any
        country = r.choice((*COUNTRIES, "US", "US", "CA", "GB", "FR", "ES"))
        region = r.choice((None, "", "ZZ", "ny", "US-TX", *STATES, *PROVINCES)) if r.random() < 0.9 else "\n"
        return Buyer(
            country, region, r.choice((None, *POSTCODES)), r.choice((None, *CITIES)),
            r.choice(("business", "consumer")),
            tuple(
                TaxId(r.choice(ID_TYPES), r.choice(NUMBERS), r.choice(("valid", "invalid", "unavailable", "odd")))
                for _ in range(r.randrange(3))
            ),
            tuple(
                Exemption(
                    self.jurisdiction(), expires=r.choice((None, *DAYS[::300])), status=r.choice(("active", "odd"))
                )
                for _ in range(r.randrange(2))
            ),
        )  # fmt: skip

    def request(self) -> Request:
        r = self._any
        lines = tuple(
            Line(r.choice(CODES), r.randrange(-(10**6), 10**9), r.random() < 0.3) for _ in range(r.randrange(1, 4))
        )
        evidence = tuple(
            Evidence(r.choice(("ip", "card", "billing_address", "other")), r.choice(COUNTRIES))
            for _ in range(r.randrange(3))
        )
        day = r.choice(DAYS) if r.random() < 0.95 else r.choice((date.min, date.max, date(2015, 12, 31)))
        return Request(self.seller(), self.buyer(), lines, r.choice(("USD", "EUR", "JPY", "KWD")), day, evidence)

    def local(self) -> Locality | None:
        if self._any.random() < 0.8:
            return None
        return Locality((Charge("US-XX", "imported", Decimal("1.25")),), "zip9", "XX-1")


def require_sound(request: Request, answer: Determination) -> None:
    """What holds of every answer."""
    assert answer.reason
    assert answer.data_version
    assert answer.tax.minor == sum(line.tax.minor for line in answer.lines)
    assert answer.tax.minor == sum(part.amount.minor for part in answer.components)
    for line, given in zip(answer.lines, request.lines, strict=True):
        assert (line.net.minor + line.tax.minor if given.inclusive else line.net.minor) == given.amount
    if answer.treatment is Treatment.NEEDS_REVIEW:
        assert not answer.components
    if answer.treatment not in {Treatment.STANDARD, Treatment.REDUCED}:
        assert answer.tax.minor == 0
    assert all(0 <= part.rate <= 30 for part in answer.components)
    assert all(part.jurisdiction and part.name for part in answer.components)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_is_answered_or_refused_and_never_raises(seed: int) -> None:
    wild, seen, count = Wild(seed), Counter[Treatment](), full(200_000) // 4
    for _ in range(count):
        request = wild.request()
        answer = determine(request, local=wild.local())
        require_sound(request, answer)
        seen[answer.treatment] += 1
    assert sum(seen.values()) == count
    assert {Treatment.NEEDS_REVIEW, Treatment.STANDARD, Treatment.NOT_COLLECTING} <= set(seen)
