"""Stripe Tax through the SDK, against an API in its shape: what is sent, what is read, and what is refused."""

import typing
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.adapters.stripe import tax_words
from app.adapters.stripe.tax import StripeTax
from app.config import Settings
from app.core.ids import new_id
from app.tax.dataset import load
from app.tax.errors import TaxRefused, TaxUnavailable
from app.tax.provider import TakenBack
from app.tax.request import Buyer, Line, Registration, Request, Seller, TaxId
from app.tax.ruling import Treatment
from tests.adapters.fake_stripe_tax import CALCULATIONS, SALES, FakeStripeTax, Fault, Levy

AUSTIN = Buyer("US", "TX", "78701", "Austin", "business", street="500 W 2nd St")
QUESTION = Request(
    Seller("US", registrations=(Registration("US-TX", "standard"),)), AUSTIN,
    (Line("saas_business", 100_00), Line("software_download_business", 33_33)), "USD", date(2026, 11, 22),
)  # fmt: skip


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeStripeTax]:
    running = FakeStripeTax(tmp_path / "tax.sqlite")
    yield running
    running.stop()


def adapter(fake: FakeStripeTax, key: str = "sk_test_x") -> StripeTax:
    """A new process each time: nothing is remembered on our side."""
    return StripeTax(api_key=key, api_base=fake.base)


def literals(annotation: Any) -> set[str]:
    """Every string of the literals in a type of the SDK's."""
    if typing.get_origin(annotation) is typing.Literal:
        return set(typing.get_args(annotation))
    return {word for part in typing.get_args(annotation) for word in literals(part)}


def test_every_reason_that_the_sdk_knows_is_read_and_no_other() -> None:
    from stripe.tax import CalculationLineItem

    hints = typing.get_type_hints(CalculationLineItem.TaxBreakdown)
    assert literals(hints["taxability_reason"]) == set(tax_words.REASONS)


def test_every_product_of_ours_has_a_code_of_stripes() -> None:
    codes = {each.code for each in load().products.values()}
    assert {code: tax_words.tax_code(code) for code in codes} == {
        "saas_business": "txcd_10103001", "software_download_business": "txcd_10202003",
        "saas_personal": "txcd_10103000", "software_download_personal": "txcd_10202000",
    }  # fmt: skip
    assert tax_words.tax_code("txcd_10103001") == "txcd_10103001"
    with pytest.raises(TaxRefused, match="no code for hats"):
        tax_words.tax_code("hats")


def test_what_is_sent_is_the_question_and_no_number_that_nobody_confirmed(fake: FakeStripeTax) -> None:
    ids = (TaxId("us_ein", "1"), TaxId("eu_vat", "DE136695976", "valid"), TaxId("gb_vat", "2", "unavailable"))
    asked = replace(QUESTION, buyer=replace(AUSTIN, tax_ids=ids), lines=(*QUESTION.lines, Line("saas_business", 0)))
    key = new_id("tcl")
    adapter(fake).compute(asked, exempt=False, key=key)
    ((path, sent_key, form),) = fake.asked
    assert (path, sent_key) == (CALCULATIONS, key)
    assert {name: value for name, value in form.items() if "line_items" not in name} == {
        "currency": "usd", "tax_date": "1795348800", "expand[0]": "line_items",
        "customer_details[address][country]": "US", "customer_details[address][state]": "TX",
        "customer_details[address][postal_code]": "78701", "customer_details[address][city]": "Austin",
        "customer_details[address][line1]": "500 W 2nd St", "customer_details[address_source]": "billing",
        "customer_details[tax_ids][0][type]": "eu_vat", "customer_details[tax_ids][0][value]": "DE136695976",
        "customer_details[taxability_override]": "none",
    }  # fmt: skip
    assert [form[f"line_items[{n}][tax_code]"] for n in (0, 1)] == ["txcd_10103001", "txcd_10202003"]
    assert [form[f"line_items[{n}][tax_behavior]"] for n in (0, 1)] == ["exclusive", "exclusive"]
    assert "line_items[2][amount]" not in form, "nothing is asked for the third line"


def test_the_amounts_are_read_as_they_were_computed(fake: FakeStripeTax) -> None:
    found = adapter(fake).compute(QUESTION, exempt=False, key=new_id("tcl"))
    assert found.ref == "taxcalc_1"
    assert found.version == "stripe-2026-10-28.endive"
    assert [(s.jurisdiction, s.name, s.rate, s.taxable, s.amount) for s in found.lines[0].shares] == [
        ("US-TX", "Texas Sales Tax", Decimal("6.25"), 80_00, 5_00),
        ("US-TX-AUSTIN", "Austin Sales Tax", Decimal(1), 80_00, 80),
        ("US-TX-CAPITAL-METRO-TRANSIT", "Capital Metro Transit Sales Tax", Decimal(1), 80_00, 80),
    ]
    assert (found.lines[0].tax, found.lines[1].tax) == (6_60, 1_67 + 27 + 27)
    assert "customer_details" not in found.raw, "the buyer is not kept twice"


def test_a_word_that_stripe_adds_later_holds_the_sale(fake: FakeStripeTax) -> None:
    fake.places["TX"] = (Levy("state", "Texas", word="holiday_on_mars"),)
    found = adapter(fake).compute(QUESTION, exempt=False, key=new_id("tcl"))
    assert {share.treatment for share in found.lines[0].shares} == {Treatment.NEEDS_REVIEW}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda body: body.update(tax_amount_exclusive=1), "do not make its sum"),
        (lambda body: body["line_items"].update(has_more=True), "without all of its lines"),
        (lambda body: body["line_items"]["data"][0].update(reference="X"), "not asked about"),
        (lambda body: body["line_items"]["data"][0]["tax_breakdown"][0]["tax_rate_details"].update(
            percentage_decimal="NaN"), "as a rate"),
        (lambda body: body.update(id=None), "without all of its lines"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_add_up_is_none(fake: FakeStripeTax, change: Any, says: str) -> None:
    fake.bend = change
    with pytest.raises(TaxRefused, match=says):
        adapter(fake).compute(QUESTION, exempt=False, key=new_id("tcl"))


def test_an_answer_of_the_other_mode_is_none(fake: FakeStripeTax) -> None:
    with pytest.raises(TaxUnavailable, match="mixed test and live"):
        adapter(fake, "sk_live_x").compute(QUESTION, exempt=False, key=new_id("tcl"))


def test_an_address_that_cannot_be_placed_is_refused_with_stripes_word(fake: FakeStripeTax) -> None:
    nowhere = replace(QUESTION, buyer=replace(AUSTIN, postcode="ABC"))
    with pytest.raises(TaxRefused, match="tax location") as refused:
        adapter(fake).compute(nowhere, exempt=False, key=new_id("tcl"))
    assert refused.value.extra["reason"] == "customer_tax_location_invalid"


@pytest.mark.parametrize("faults", [["drop_after"], ["drop_before"], ["busy"], ["drop_before", "drop_after"]])
def test_one_sale_is_booked_whatever_happens_to_its_answer(fake: FakeStripeTax, faults: list[Fault]) -> None:
    ref = adapter(fake).compute(QUESTION, exempt=False, key=new_id("tcl")).ref
    fake.faults = list(faults)
    key = new_id("trc")
    sale = adapter(fake).record(ref, reference="INV-1", key=key)
    fake.restart()
    assert adapter(fake).record(ref, reference="INV-1", key=key) == sale == adapter(fake).recorded(sale.ref)
    assert (sale.reference, sale.lines) == ("INV-1", {0: "tax_li_INV-1_L1", 1: "tax_li_INV-1_L2"})
    assert [each["reference"] for each in fake.booked()] == ["INV-1"]
    assert fake.count(SALES) == len(faults) + 2


def test_a_failure_that_is_replayed_says_that_its_key_is_spent(fake: FakeStripeTax) -> None:
    ref = adapter(fake).compute(QUESTION, exempt=False, key=new_id("tcl")).ref
    fake.faults = ["fail_after"]
    for _ in range(2):
        with pytest.raises(TaxUnavailable) as lost:
            adapter(fake).record(ref, reference="INV-1", key="trc_1")
        assert lost.value.extra["spent"] is True
    with pytest.raises(TaxRefused, match="reference INV-1 exists"):
        adapter(fake).record(ref, reference="INV-1", key="trc_2")


def test_exactly_the_parts_of_a_credit_note_are_taken_back_and_never_more(fake: FakeStripeTax) -> None:
    tax = adapter(fake)
    sale = tax.record(tax.compute(QUESTION, exempt=False, key="tcl_1").ref, reference="INV-1", key="trc_1")
    first, rest = TakenBack(sale.lines[0], 0, 33_33, 2_20), TakenBack(sale.lines[0], 0, 66_67, 4_40)
    tax.reverse(sale.ref, [first], reference="CN-1", currency="USD", key="trc_2")
    tax.reverse(sale.ref, [first], reference="CN-1", currency="USD", key="trc_2")
    tax.reverse(sale.ref, [rest], reference="CN-2", currency="USD", key="trc_3")
    with pytest.raises(TaxRefused, match="More is reversed"):
        tax.reverse(sale.ref, [first], reference="CN-3", currency="USD", key="trc_4")
    given = [(i["amount"], i["amount_tax"]) for b in fake.booked()[1:] for i in b["line_items"]["data"]]
    assert given == [(-33_33, -2_20), (-66_67, -4_40)]
    with pytest.raises(TaxRefused, match="not a sale"):
        tax.recorded("tax_2")


def test_stripe_tax_is_not_set_up_without_a_key() -> None:
    with pytest.raises(ValueError, match="BLP_TAX=stripe needs BLP_STRIPE_SECRET_KEY"):
        Settings(tax="stripe", _env_file=None)  # type: ignore[call-arg]  # pydantic-settings' own switch
