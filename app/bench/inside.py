"""Figures of single steps, measured in this process: no server, no database."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count as counting
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import typst

from app.bench.harness import CannotMeasure, Figure, Unit, alternate, here
from app.core.clock import transport_now
from app.core.ids import new_license_file_id
from app.core.money import Money
from app.core.signing import (
    HeldRsaKey,
    generate_ed25519_key,
    generate_rsa_key,
    load_ed25519_private_key,
    load_rsa_private_key,
    thumbprint,
)
from app.documents.electronic_shapes import Electronic, ElectronicParty, LineVat, VatCategory
from app.documents.render_pdf import render_pdf
from app.documents.shapes import (
    DocumentKind,
    InvoiceDocument,
    InvoiceLineView,
    Party,
    PaymentMethod,
    PaymentView,
    ReverseCharge,
    Span,
    TaxId,
)
from app.licenses.formats import keygen, token
from app.licenses.formats.claims import LicenseClaims, LicenseCustomer
from app.licenses.formats.enforcement import ENFORCEMENT
from app.licenses.formats.keygen_claims import DEFAULT_TTL, payload_of
from app.licenses.formats.mattermost import sign_payload
from app.licenses.formats.rendering_lint import lint_keygen, lint_token
from app.licenses.formats.stated import Stated
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.issuing import issue
from app.tax.determination import Component, Determination, LineTax, Request, determine
from app.tax.explain import read_request

_MICROSECONDS: Final = Unit("CPU µs each", 1_000_000)
_MILLISECONDS: Final = Unit("CPU ms each", 1_000)
_QUESTION: Final = {
    "id": 1,
    "seller": {
        "country": "US", "established": ["US"],
        "registrations": [{"jurisdiction": code, "scheme": "standard"} for code in ("US-KY", "US-NY", "US-WA")],
    },
    "buyer": {"country": "US", "region": "NY", "postcode": "10001", "city": "New York", "type": "business",
              "tax_ids": []},
    "lines": [{"tax_code": "software_download_business", "amount": 120_000}, {"tax_code": "saas_business",
               "amount": 34_900}],
    "currency": "USD", "date": "2026-11-22",
}  # fmt: skip

_EU_LINE: Final = {
    "id": 2, "seller": {"country": "US", "oss": "non_union"}, "buyer": {"country": "DE", "type": "consumer"},
    "lines": [{"tax_code": "saas_business", "amount": 10_000}], "currency": "EUR", "date": "2026-11-22",
}  # fmt: skip
_FOUR_COMPONENTS: Final = {
    "id": 3,
    "seller": {"country": "US", "registrations": [
        {"jurisdiction": "US-CO", "scheme": "standard"}, {"jurisdiction": "US-CO-DENVER", "scheme": "standard"},
    ]},
    "buyer": {"country": "US", "region": "CO", "postcode": "80202", "city": "Denver", "type": "business"},
    "lines": [{"tax_code": "saas_business", "amount": 120_000}, {"tax_code": "saas_business", "amount": 34_900}],
    "currency": "USD", "date": "2027-01-01",
}  # fmt: skip


def license_issue(count: Callable[[int], int]) -> Figure:
    """Claims to a linted license file, without the record; the floor is the one signature it cannot do without.

    Beside it the two formats signed with Ed25519, each with the share of its own signature over the same bytes in what
    it costs: checking one takes three times as long as making it.
    """
    key = HeldRsaKey(load_rsa_private_key(generate_rsa_key()))
    now = transport_now()

    def claims_under(file_id: str) -> LicenseClaims:
        return LicenseClaims(
            id=file_id, issued_at=now, starts_at=now, expires_at=now + timedelta(days=365),
            customer=LicenseCustomer(id="acc_1", name="Bo Bourbon", email="bo@bench.example", company="Bench LLC"),
            sku_name="Professional", sku_short_name="professional", features={"users": 25, "ldap": True},
        )  # fmt: skip

    payload = claims_under(new_license_file_id()).to_payload()
    n = count(200)
    figure = alternate(
        "license_issue", _MICROSECONDS, "one RSA-2048 signature over the same payload, key already parsed",
        lambda: here(lambda: issue(claims_under, key, new_id=new_license_file_id, now=now), n),
        lambda: here(lambda: sign_payload(payload, key), n),
    )  # fmt: skip
    more = {"mattermost_share": round(1 / figure.ratio, 3)}
    for beside in _other_renderings(claims_under(new_license_file_id()), now, n):
        more |= {f"{beside.name}_us": round(beside.ours, 2), f"{beside.name}_share": round(1 / beside.ratio, 3)}
    return replace(figure, more=more)


def _other_renderings(claims: LicenseClaims, now: datetime, n: int) -> tuple[Figure, Figure]:
    """Keygen file and token of the same claims: made, signed and linted."""
    key = load_ed25519_private_key(generate_ed25519_key())
    kid, public = thumbprint(key), key.public_key()
    stated = Stated("lic_1", "pln_1", claims.id, 10, claims)
    ladder = ENFORCEMENT.read(ENFORCEMENT.default)

    def keygen_file() -> object:
        text = keygen.encode(payload_of(stated, ttl=DEFAULT_TTL, now=now), key, stated.key)
        return lint_keygen(text, [public], stated.key, now=now)

    def license_token() -> object:
        text = token.encode(TokenClaims.of(stated, ladder, now).to_payload(), kid, key)
        return lint_token(text, {kid: public}, now=now)

    enc = keygen.read(keygen.encode(payload_of(stated, ttl=DEFAULT_TTL, now=now), key, stated.key)).enc.encode()
    said = TokenClaims.of(stated, ladder, now).to_payload()
    floor_is = "one Ed25519 signature over the same bytes"

    def beside(name: str, made: Callable[[], object], signed: bytes) -> Figure:
        return alternate(
            name, _MICROSECONDS, floor_is, lambda: here(made, n), lambda: here(lambda: key.sign(signed), n)
        )  # fmt: skip

    return beside("keygen", keygen_file, enc), beside("token", license_token, said)


def determination(count: Callable[[int], int]) -> Figure:
    """The tax of two lines in New York City; the floor is to read the question's JSON and write the answer's.

    Beside it one line to a consumer in Germany, and two lines in Denver with four components (state, two districts,
    the city's own tax), each as a share: what building the same result objects costs of what the answer costs.
    """
    request = read_request(_QUESTION)
    question, answer = json.dumps(_QUESTION), determine(request).to_json()
    n = count(2_000)
    figure = alternate(
        "determination", _MICROSECONDS, "the JSON of the question read and of the answer written",
        lambda: here(lambda: determine(request), n),
        lambda: here(lambda: (json.loads(question), json.dumps(answer)), n),
    )  # fmt: skip
    more: dict[str, float] = {}
    for name, asked in (("eu_line", _EU_LINE), ("four_components", _FOUR_COMPONENTS)):
        beside = _beside_its_objects(name, read_request(asked), n)
        more |= {f"{name}_us": round(beside.ours, 2), f"{name}_share": round(1 / beside.ratio, 3)}
    return replace(figure, more=more)


def _beside_its_objects(name: str, request: Request, n: int) -> Figure:
    """Raises CannotMeasure where the answer has not the components it is measured for."""
    answer = determine(request)
    if len(answer.components) != (4 if name == "four_components" else 1):
        raise CannotMeasure(f"determination: {name} has {len(answer.components)} components")
    return alternate(
        name, _MICROSECONDS, "the same result objects built",
        lambda: here(lambda: determine(request), n), lambda: here(lambda: _rebuilt(answer), n),
    )  # fmt: skip


def _rebuilt(answer: Determination) -> Determination:
    """The same objects made anew from their plain values."""
    currency = answer.tax.currency
    return Determination(
        treatment=answer.treatment, jurisdiction=answer.jurisdiction, tax=Money(answer.tax.minor, currency),
        components=tuple(
            Component(
                each.jurisdiction, each.name, each.rate, Money(each.taxable.minor, currency),
                Money(each.amount.minor, currency),
            )
            for each in answer.components
        ),
        note=answer.note, reason=answer.reason, precision=answer.precision, data_version=answer.data_version,
        inputs_hash=answer.inputs_hash,
        lines=tuple(
            LineTax(Money(each.net.minor, currency), Money(each.tax.minor, currency), each.treatment)
            for each in answer.lines
        ),
    )  # fmt: skip


def invoice_pdf(count: Callable[[int], int]) -> Figure:
    """A paid invoice of five lines with its XML, numbered anew; the floor is a warm typst with one new word."""
    numbers = counting(1)
    n = count(30)
    with TemporaryDirectory(prefix="blp-bench-") as folder:
        page = Path(folder) / "page.typ"
        page.write_text('#set document(title: "Word")\n#sys.inputs.word\n', encoding="utf-8")
        compiler = typst.Compiler(page, root=folder, ignore_system_fonts=True)

        def word() -> object:
            return compiler.compile(
                format="pdf", sys_inputs={"word": f"word {next(numbers)}"}, pdf_standards=["a-3b", "ua-1"], timestamp=0
            )

        return alternate(
            "invoice_pdf", _MILLISECONDS, "a page with one new word, same standards, from a warm typst",
            lambda: here(lambda: render_pdf(DocumentKind.INVOICE, _invoice(next(numbers)), "en"), n),
            lambda: here(word, n),
        )  # fmt: skip


def _invoice(number: int) -> InvoiceDocument:
    """Five lines to a business in another member state, so that its XML is inside."""
    net = Money(120_000, "EUR")
    day = date(2026, 11, 22)
    seller = ElectronicParty("IE", "4 Ely Place", city="Dublin 2", postcode="D02 FR58", vat_id="IE6388047V")
    buyer = ElectronicParty("DE", "Am Sandtorkai 37", city="Hamburg", postcode="20457", vat_id="DE811907980")
    shifted = LineVat(VatCategory.REVERSE_CHARGE)
    return InvoiceDocument(
        number=f"ACME-{number:06}", issued_on=day, subtotal=net.times(5), tax_total=Money.zero("EUR"),
        total=net.times(5), amount_due=Money.zero("EUR"), legal_footer=("Acme Collaboration Ltd., Dublin, Ireland",),
        seller=Party("Acme Collaboration Ltd.", ("4 Ely Place", "Dublin 2, D02 FR58"), "IE",
                     (TaxId("eu_vat", "IE6388047V"),)),
        buyer=Party("Hafenwerk Logistik GmbH", ("Am Sandtorkai 37", "20457 Hamburg"), "DE",
                    (TaxId("eu_vat", "DE811907980"),)),
        lines=tuple(
            InvoiceLineView(name, Decimal(10), net, Money(12_000, "EUR"), (), Span(day, date(2027, 11, 22)))
            for name in ("Professional", "Enterprise", "Support", "Staging server", "Archive")
        ),
        tax_groups=(), payments=(PaymentView(day, net.times(5), PaymentMethod.CARD, "4242"),),
        reverse_charge=ReverseCharge("IE6388047V", "DE811907980"),
        electronic=Electronic(seller, buyer, (shifted,) * 5, "Reverse charge", "VATEX-EU-AE"),
    )  # fmt: skip
