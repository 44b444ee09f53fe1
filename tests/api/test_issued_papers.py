"""The paper of an invoice is drawn once and is what every door hands out, whatever happens later (ADR 0049)."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from pypdf import PdfReader
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.flows import drawing, issued_papers
from app.invoices import issued
from app.invoices.models import CreditNote, Invoice, InvoiceState, IssuedDocument
from tests import shop
from tests.api.buying import BERLIN, EU_VAT, Buyer
from tests.world import World


def shown(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


def papers_of(world: World) -> list[IssuedDocument]:
    with world.db.transaction() as tx:
        return list(tx.execute(select(IssuedDocument).order_by(col(IssuedDocument.id))).scalars())


def silent(_done: int, _of: int) -> None:
    """Progress is shown by the command."""


@contextmanager
def without_triggers(world: World) -> Iterator[Tx]:
    """As the owner of the tables may, and a broken disk does."""
    with world.db.transaction() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        yield tx


def test_a_job_draws_what_was_issued_and_every_door_hands_out_those_bytes(
    buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    bought = buyer.buy(buyer=BERLIN, tax_ids=[EU_VAT], currency="EUR")
    world.draw()
    door = f"/v1/invoices/{bought.order['invoice_id']}"
    (kept,) = papers_of(world)
    assert (kept.invoice_id, kept.language, kept.sha256) == (bought.order["invoice_id"], "en", sha256_hex(kept.pdf))
    answer = vendor.get(f"{door}/pdf")
    assert (answer.content, answer.headers["etag"]) == (kept.pdf, f'"{kept.sha256}"')
    again = vendor.get(f"{door}/pdf", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", f'"{kept.sha256}"')
    assert vendor.get(f"{door}/xml").content == kept.xml
    # The note to it is drawn by the job as well, and a credit later changes nothing about the invoice.
    note = vendor.post("/v1/credit_notes", json={"invoice_id": bought.order["invoice_id"], "amount": 500,
                                                 "destination": "credit"}).json()  # fmt: skip
    world.draw()
    assert [each.kind for each in papers_of(world)] == ["invoice", "credit_note"]
    assert sha256_hex(vendor.get(f"/v1/credit_notes/{note['id']}/pdf").content) == papers_of(world)[1].sha256
    assert vendor.get(f"{door}/pdf").content == kept.pdf


def test_a_copy_in_another_language_is_marked_and_never_replaces_the_original(
    buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    bought = buyer.buy(buyer=BERLIN, tax_ids=[EU_VAT], currency="EUR")
    door = f"/v1/invoices/{bought.order['invoice_id']}/pdf"
    original = vendor.get(door)
    copy = vendor.get(door, params={"language": "de"})
    assert copy.headers["content-disposition"].endswith('-de.pdf"')
    said = shown(copy.content)
    assert "KOPIE" in said
    assert original.headers["etag"].strip('"') in said.replace(" ", "")
    assert "factur-x.xml" not in PdfReader(io.BytesIO(copy.content)).attachments
    assert vendor.get(door, params={"language": "en"}).content == original.content
    unknown = vendor.get(door, params={"language": "tlh"})
    assert (unknown.status_code, unknown.json()["param"]) == (422, "language")
    assert len(papers_of(world)) == 1


def test_the_first_download_draws_where_the_job_was_not_there_yet(world: World) -> None:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        invoice = tx.execute(select(Invoice).where(col(Invoice.order_id) == order.id)).scalar_one()
        assert issued.undrawn(tx, Invoice) == [invoice.id]
        first = issued_papers.paper(tx, world.ports, invoice)
        frozen = issued.frozen_rows(tx, [invoice])[0]
        slower = issued.Drawing(b"%PDF of somebody slower", None, "en", "x")
        assert issued.keep(tx, frozen, slower, world.ports.clock.now()).sha256 == first.sha256
    # The job that comes late, and the sweep, find nothing left to do.
    assert invoice.sequence is not None
    issued_papers.draw.run(world.ports, invoice.legal_entity_id, invoice.series, invoice.sequence, invoice.sequence)
    issued_papers.catch_up.run(world.ports)
    assert [each.id for each in papers_of(world)] == [first.id]


def test_one_document_that_cannot_be_drawn_stops_no_other(world: World) -> None:
    shop.buy(world)
    shop.buy(world, email="bea@example.de", company="Zweite GmbH")
    with without_triggers(world) as tx:
        spoiled = tx.execute(select(Invoice).order_by(col(Invoice.sequence)).limit(1)).scalar_one()
        tx.execute(text("UPDATE invoice SET total_minor = total_minor + 1, tax_minor = tax_minor + 1 WHERE id = :id"),
                   {"id": spoiled.id})  # fmt: skip
    with pytest.raises(issued_papers.NotDrawn, match="1 documents"):
        issued_papers.catch_up.run(world.ports)
    (kept,) = papers_of(world)
    assert kept.invoice_id != spoiled.id
    assert issued_papers.verify(world.ports, silent).missing == 1


def test_a_paper_is_never_changed_and_what_has_one_is_never_void(world: World) -> None:
    order = shop.buy(world)
    world.draw()
    for statement in ("UPDATE issued_document SET language = 'fr'", "DELETE FROM issued_document",
                      "TRUNCATE issued_document"):  # fmt: skip
        with pytest.raises(DBAPIError, match="never changed"), world.db.transaction() as tx:
            tx.execute(text(statement))
    with without_triggers(world) as tx:
        tx.execute(text("UPDATE invoice SET state = 'open', paid_at = NULL"))
    with pytest.raises(DBAPIError, match="made available"), world.db.transaction() as tx:
        tx.execute(update(Invoice).where(col(Invoice.order_id) == order.id).values(state=InvoiceState.VOID))


def test_verifying_finds_bytes_and_rows_that_are_no_longer_what_they_were(world: World) -> None:
    shop.buy(world)
    shop.buy(world, email="bea@example.de", company="Zweite GmbH")
    world.draw()
    told: list[tuple[int, int]] = []
    whole = issued_papers.verify(world.ports, lambda done, of: told.append((done, of)))
    assert (whole.checked, whole.drifts, whole.missing, told) == (2, (), 0, [(2, 2)])
    with without_triggers(world) as tx:
        tx.execute(text("ALTER TABLE issued_document DROP CONSTRAINT ck_issued_document_hash_is_true"))
        tx.execute(text("UPDATE issued_document SET pdf = pdf || '%' WHERE id = (SELECT min(id) FROM issued_document)"))
        tx.execute(text("UPDATE invoice_line SET description = 'Something else'"
                        " WHERE invoice_id = (SELECT max(invoice_id) FROM issued_document)"))  # fmt: skip
    drifts = issued_papers.verify(world.ports, silent).drifts
    assert sorted(each.what for each in drifts) == [
        "the PDF is not the one that was kept", "the rows are not those that were drawn"
    ]  # fmt: skip
    assert len({each.number for each in drifts}) == 2


def test_the_order_to_draw_is_one_for_a_block_of_numbers_and_waits_behind_everything_else(world: World) -> None:
    with world.db.transaction() as tx:
        drawing.block_later(tx, "ent_x", "ACME", 1, 300)
        row = tx.execute(text("SELECT priority, args FROM procrastinate_jobs WHERE task_name = 'documents.draw'")).one()
        assert (row.priority, row.args["first"], row.args["last"]) == (-10, 1, 300)
        assert tx.execute(select(func.count()).select_from(CreditNote)).scalar_one() == 0
