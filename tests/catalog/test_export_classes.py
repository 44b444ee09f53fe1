"""How plans are classified for export control: dated, checked, never edited, printed as when it was issued."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.accounts import service as accounts
from app.adapters.sandbox import clock
from app.catalog import export_classes
from app.catalog.errors import CatalogInvalid
from app.core.clock import local_date
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind, ExportClassView
from app.flows import papers
from app.invoices import service as invoices
from app.orders.models import Order
from tests import shop
from tests.catalog.selling import Change, plan, sell
from tests.documents.test_invoice_pdf import text_of
from tests.signing_in import staff_browser
from tests.world import World

FIRST = {"eccn": "5D002", "authorisation": "ENC 740.17(b)(1)", "from": "2025-01-01"}
THEN = {"eccn": "5D992.c", "authorisation": "NLR", "ccats": "G123456", "from": "2026-01-01"}


def classified(*rows: dict[str, str]) -> Change:
    def change(catalog: dict[str, Any]) -> None:
        plan(catalog, "professional")["export"] = [dict(row) for row in rows]

    return change


def sellers_day(world: World) -> date:
    """A class is in force by the calendar of whoever sells."""
    with world.db.transaction() as tx:
        return local_date(world.ports.clock.now(), accounts.seller(tx).time_zone)


def printed(world: World, order: Order) -> tuple[ExportClassView, ...]:
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice
        document = papers.invoice_document(tx, world.ports, invoice)
    said = text_of(document)
    assert ("Export classification" in said) == bool(document.export_classes)
    assert render_pdf(DocumentKind.INVOICE, document, "de")
    return document.export_classes


def test_a_document_says_the_class_that_was_on_file_when_it_was_issued(world: World, tmp_path: Path) -> None:
    before = shop.buy(world, email="early@example.de")
    clock.set_to(world.db, world.ports.clock.now() + timedelta(hours=1))
    said = [f"+ export class professional 5D002 {FIRST['authorisation']} from 2025-01-01",
            "+ export class professional 5D992.c NLR from 2026-01-01"]  # fmt: skip
    assert sell(world, tmp_path, classified(THEN, FIRST)) == said
    assert sell(world, tmp_path, classified(FIRST, THEN)) == []
    after = shop.buy(world, email="late@example.de")
    assert printed(world, before) == ()
    (shown,) = printed(world, after)
    assert (shown.eccn, shown.authorisation, shown.ccats) == ("5D992.c", "NLR", "G123456")
    # Reaching back changes nothing that was issued; from tomorrow on nothing that is issued today.
    today = sellers_day(world)
    back = {"eccn": "EAR99", "authorisation": "NLR", "from": str(today)}
    coming = {**back, "from": str(today + timedelta(days=2))}
    clock.set_to(world.db, world.ports.clock.now() + timedelta(hours=1))
    sell(world, tmp_path, classified(FIRST, THEN, back, coming))
    assert printed(world, after) == (shown,)
    api = world.browser().get("/v1/plans").json()["data"]
    by_sku = {each["sku"]: each["export"] for each in api}
    assert by_sku["professional"] == {
        "eccn": "EAR99", "authorisation": "NLR", "ccats": None, "valid_from": back["from"],
    }  # fmt: skip
    assert by_sku["enterprise"] is None
    browser, _ = staff_browser(world)
    page = browser.get("/console/screening").text
    assert "EAR99" in page
    assert "not classified" in page
    for gone in (classified(THEN), classified({**FIRST, "ccats": "G654321"}, THEN)):
        with pytest.raises(CatalogInvalid, match="later `from`"):
            sell(world, tmp_path, gone)
    with pytest.raises(DBAPIError, match="export_class"), world.db.transaction() as tx:
        tx.execute(text("UPDATE export_class SET eccn = 'EAR99'"))


@pytest.mark.parametrize(
    ("eccn", "authorisation", "ccats", "fault"),
    [
        ("5D992.c", "NLR", "", None),
        ("EAR99", "NLR", "", None),
        ("5A002.a.1", "ENC 740.17(b)(2)(i)(A)", "G123456", None),
        ("5D002", "TSU 740.13(e)", "", None),
        ("5D002", "D1234567", "", None),
        ("5D99", "NLR", "", "no ECCN"),
        ("5d992", "NLR", "", "no ECCN"),
        ("5D992.c", "free", "", "no authorisation"),
        ("5D992.c", "ENC 742.15", "", "no authorisation"),
        ("5D992.c", "NLR", "123456", "no CCATS"),
        ("5D002.c.1", "NLR", "", "cannot be right"),
    ],
)
def test_what_cannot_be_a_classification_is_refused(
    eccn: str, authorisation: str, ccats: str, fault: str | None
) -> None:
    found = export_classes.fault(eccn, authorisation, ccats)
    assert (found is None) if fault is None else (found is not None and fault in found)


def test_the_file_is_refused_with_the_place_of_the_fault(world: World, tmp_path: Path) -> None:
    with pytest.raises(CatalogInvalid, match=r"plans\.0\.export\.0.*no ECCN"):
        sell(world, tmp_path, classified({**THEN, "eccn": "none"}))
    with pytest.raises(CatalogInvalid, match="two export classifications from the same day"):
        sell(world, tmp_path, classified(THEN, {**THEN, "eccn": "EAR99"}))
