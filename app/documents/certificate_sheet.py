"""A certificate of acceptance in words, ready to be laid out by `pdf/certificate.typ` (R-ACC-1)."""

from datetime import UTC
from typing import Any

from app.core.i18n import Translator, format_date, translate
from app.documents.shapes import CertificateDocument
from app.documents.wording import frame, party_block

Row = dict[str, Any]


def certificate_sheet(document: CertificateDocument, locale: str) -> dict[str, Any]:
    """Strings only. The instant is given to the second in UTC, once in words and once as RFC 3339."""
    _ = translate(locale)
    at = document.accepted_at.astimezone(UTC)
    outer = frame(
        _("Certificate of acceptance"),
        document.number,
        document.vendor.name,
        locale=locale,
        country=document.vendor.country,
        test_mode=document.test_mode,
    )
    statement = _(
        "%(person)s accepted “%(terms)s”, version %(version)s, for %(company)s on %(date)s at %(time)s UTC.",
        person=document.person_name,
        terms=document.terms_title,
        version=document.terms_version,
        company=document.company,
        date=format_date(at.date(), locale, "long"),
        time=f"{at:%H:%M:%S}",
    )
    return outer | {
        "footer": list(document.legal_footer),
        "statement": statement,
        "authority": document.authority,
        "groups": _groups(document, _, f"{at:%Y-%m-%dT%H:%M:%SZ}"),
        "check_title": _("How to check this certificate"),
        "check": _check(document, _),
        "notes_title": _("Notes"),
        "notes": [],
    }


def _row(name: str, value: str, *, code: bool = False) -> Row:
    return {"label": name, "value": value, "code": code, "exact": []}


def _exact(name: str, value: str) -> Row:
    """What will be copied and compared: broken into whole lines, with nothing invisible between its characters."""
    return {"label": name, "value": "", "code": True, "exact": [value[i : i + 64] for i in range(0, len(value), 64)]}


def _groups(document: CertificateDocument, _: Translator, at: str) -> list[dict[str, Any]]:
    vendor = party_block("", document.vendor, _)
    return [
        {
            "title": _("What was accepted"),
            "rows": [
                _row(_("Terms"), document.terms_title),
                _row(_("Identifier, version"), f"{document.terms_id}, {document.terms_version}"),
                _exact(_("SHA-256 of the text"), document.terms_sha256),
                _row(_("Order"), document.order_number),
                _exact(_("SHA-256 of the order"), document.order_sha256),
            ],
        },
        {
            "title": _("By whom"),
            "rows": [
                _row(_("Person"), f"{document.person_name}, {document.person_email}"),
                _row(_("Company"), document.company),
                _row(_("Towards"), ", ".join([vendor["name"], *vendor["lines"], *vendor["ids"]])),
            ],
        },
        {
            "title": _("When and from where"),
            "rows": [
                _row(_("Time"), at, code=True),
                _row(_("IP address"), document.ip, code=True),
                _row(_("Browser"), document.user_agent, code=True),
            ],
        },
        {
            "title": _("Signature (Ed25519)"),
            "rows": [
                _exact(_("Key"), document.kid),
                _exact(_("Signature"), document.signature),
            ],
        },
    ]


def _step(text: str, url: str = "") -> dict[str, str]:
    return {"text": text, "url": url, "url_shown": url}


def _check(document: CertificateDocument, _: Translator) -> list[dict[str, str]]:
    return [
        _step(_("Online: open this page and give it the number above or this file."), document.verify_url),
        _step(
            _(
                "Offline: save the attached file acceptance.json. Its bytes are what was signed; "
                "check the signature over them with the public key %(kid)s from this address.",
                kid=document.kid,
            ),
            document.keys_url,
        ),
        _step(
            _(
                "Compare the file with what is printed here, and its two SHA-256 values with those of the terms "
                "and of the order you hold."
            )
        ),
    ]
