"""The certificate of acceptance carries its own evidence (R-ACC-1)."""

import io
from datetime import datetime

import pytest
from pypdf import PdfReader

from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind, InconsistentDocument
from tests.documents.samples import certificate


def test_a_certificate_shows_every_fact_the_rule_names() -> None:
    document = certificate()
    reader = PdfReader(io.BytesIO(render_pdf(DocumentKind.CERTIFICATE, document, "en")))
    shown = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    for wanted in (
        "Miriam Öztürk accepted “Subscription agreement”, version 3.2, for Hafenwerk Logistik GmbH on",
        "on November 22, 2026 at 04:47:41 UTC.",
        "I may bind this company to an agreement.",
        "trm_subscription, 3.2",
        document.terms_sha256,
        document.order_number,
        document.order_sha256,
        "m.oeztuerk@hafenwerk.example",
        "2026-11-22T04:47:41Z",
        "2001:db8:4c::17",
        "Firefox/142.0",
        "certificates-2026-1",
        document.signature[:64],
        document.verify_url,
        document.keys_url,
    ):
        assert wanted in shown
    assert document.signature in shown.replace(" ", "")


def test_what_was_signed_travels_inside_to_the_byte() -> None:
    document = certificate(signed_text='{"company":"中村","note":"\\u202e"}\n')
    reader = PdfReader(io.BytesIO(render_pdf(DocumentKind.CERTIFICATE, document, "en")))
    assert reader.attachments["acceptance.json"] == [document.signed_text.encode()]


def test_a_german_certificate_speaks_german() -> None:
    reader = PdfReader(io.BytesIO(render_pdf(DocumentKind.CERTIFICATE, certificate(), "de")))
    shown = reader.pages[0].extract_text()
    assert "Annahmezertifikat" in shown
    assert "So prüfen Sie dieses Zertifikat" in shown
    assert "accepted" not in shown


def test_a_long_user_agent_wraps() -> None:
    document = certificate(user_agent="Mozilla/5.0" * 40)
    pages = PdfReader(io.BytesIO(render_pdf(DocumentKind.CERTIFICATE, document, "en"))).pages
    assert "".join(page.extract_text() for page in pages).replace("\n", "").count("Mozilla/5.0") == 40


@pytest.mark.parametrize(
    "wrong",
    [
        {"terms_sha256": "5F3A"},
        {"order_sha256": "g" * 64},
        {"accepted_at": datetime(2026, 1, 1)},  # noqa: DTZ001 -- the refusal of it is the point
        {"signature": "two words"},
    ],
)
def test_evidence_that_cannot_be_evidence_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InconsistentDocument):
        certificate(**wrong)
