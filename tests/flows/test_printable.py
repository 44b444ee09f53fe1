"""A name that no document can show is refused where it is typed, and nothing else is."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.documents.glyphs import not_drawn
from app.documents.legible import BOX
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.flows import printable
from tests import shop
from tests.api.buying import Buyer
from tests.documents.reading import text_of
from tests.documents.samples import BUYER, receipt
from tests.world import World, full

DRAWN = ("Łódź", "Ελλάς", "Україна", "שלום עולם", "مرحبا بالعالم", "हिन्दी", "Tiếng Việt", "Հայաստան", '#import "x"',
         "{{7*7}}", "a\u0301 e\u0327", "x" * 200, "½ € ™ №")  # fmt: skip
BOXED = {
    "株式会社 中村": "株式会社中村", "한국 Ltd": "한국", "ไทย": "ไทย", "Ab😀c": "😀", "Alder\u202e.dtL": "\u202e",
    "a\x07b": "\x07", "x\ue000": "\ue000", "Circle\u20dd Ж\u20dd": "\u20dd",
}  # fmt: skip


def test_what_is_told_to_be_missing_is_what_would_be_a_box() -> None:
    for name in (*DRAWN, *BOXED):
        assert not_drawn(name) == BOXED.get(name, ""), name
        paper = text_of(render_pdf(DocumentKind.RECEIPT, receipt(buyer=replace(BUYER, name=name)), "en"))
        assert (BOX in paper) is (name in BOXED), name


@settings(max_examples=full(1_000), deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=BOX), max_size=20))
def test_a_name_is_told_to_be_fit_exactly_where_the_paper_has_no_box_for_it(name: str) -> None:
    paper = text_of(render_pdf(DocumentKind.RECEIPT, receipt(buyer=replace(BUYER, name=f"x{name}")), "en"))
    told = [char for char in not_drawn(name) if not char.isspace()]
    assert bool(told) is (BOX in paper)


@pytest.mark.parametrize("field", ["name", "company", "line1", "line2", "city", "region", "postcode"])
def test_the_door_names_the_field_and_what_to_write_instead(field: str) -> None:
    with pytest.raises(Invalid, match="cannot show 株: write it in Latin letters") as refused:
        printable.require_buyer(shop.buyer(**{field: "A 株"}))
    assert refused.value.param == field
    with pytest.raises(Invalid, match=r"cannot show U\+202E: leave it out\."):
        printable.require_buyer(shop.buyer(**{field: "A\u202eB"}))


def test_over_the_api_every_refusal_names_its_field(world: World) -> None:
    browser = world.browser()
    wanted = Buyer(world, browser).wanted()
    for field in ("name", "company", "line1", "line2", "city", "postcode"):
        for hostile in ("x" * 200_000, "a\x00b", "a\x1b[2J", "株式会社", "a\u202eb", "😀"):
            asked = wanted | {"buyer": wanted["buyer"] | {field: hostile}}
            answer = browser.post("/v1/previews", json=asked)
            assert 400 <= answer.status_code < 500, (field, hostile[:9], answer.text[:300])
            assert field in answer.text, (field, hostile[:9], answer.text[:300])
    large = browser.post("/v1/previews", json=wanted | {"coupon": "x" * 1_000_000})
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    assert browser.post("/v1/previews", json=wanted).status_code == 201


def test_an_order_is_refused_at_the_door_and_what_is_drawn_literally_is_bought(world: World) -> None:
    with pytest.raises(Invalid, match="Latin"):
        shop.offer(world, company="株式会社")
    with pytest.raises(Invalid, match="Latin") as refused:
        printable.require({"po_number": "注文 7"})
    assert refused.value.param == "po_number"
    name = '#import "x" {{7*7}} שלום مرحبا'
    bought = shop.offer(world, company=name)
    assert bought.inputs["buyer"]["company"] == name
