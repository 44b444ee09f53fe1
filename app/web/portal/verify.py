"""`/verify`: is this license file, or this certificate of acceptance, genuine? Nothing that is shown here is stored."""

import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts.errors import TooManyTries
from app.agreements import service as agreements
from app.agreements.models import Acceptance
from app.core import keys, signing
from app.core.clock import transport_now
from app.core.db import Tx as Unit
from app.core.errors import Invalid
from app.core.ids import has_form
from app.core.keys import KeyPurpose
from app.core.signing import Purpose, UnusableKey
from app.licenses import doctor, revocation_check
from app.licenses.doctor import Diagnosis
from app.licenses.formats.findings import Finding, Severity
from app.licenses.formats.recognize import Format
from app.licenses.formats.report import LADDER, Summary
from app.web import csrf, pages, show
from app.web.auth import CustomerIfAny
from app.web.deps import Now, Tx, count_try
from app.web.portal import entry_views as v
from app.web.portal.render import Form
from app.web.views import Fact
from app.web.views import Form as FormView

_LONGEST: Final = 20_000
_CHECKS: Final = (60, 300)  # tries, seconds: by hand nobody checks more; programs have the API
_ENGLISH: Final = pages.English()
_ACCEPTED: Final = {
    Format.MATTERMOST: "A server that trusts our key installs this file.",
    Format.KEYGEN: "A reader of Keygen license files that trusts our key takes this file.",
    Format.TOKEN: "A product that trusts our key takes this token.",
    Format.MACHINE: "A reader of Keygen machine files that trusts our key takes this file on this server.",
}
_TONE: Final = {Severity.ERROR: "invalid", Severity.WARNING: "expiring", Severity.NOTICE: "valid"}

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])


@router.get("/verify")
def ask(request: Request, who: CustomerIfAny) -> Response:
    """The empty form."""
    return show.portal(request, v.VerifyView(), who=who)


@router.post("/verify")
def check(request: Request, tx: Tx, now: Now, who: CustomerIfAny, form: Form) -> Response:
    """Check the uploaded file, or the pasted text."""
    pasted = form.prose("text", _LONGEST + 1)
    given = form.uploads.get("file") or pasted.strip().encode()
    try:
        count_try(request, "verify", *_CHECKS)
        _require_size(given)
    except (Invalid, TooManyTries) as refused:
        errors = {refused.param or "": refused.detail}
        view = v.VerifyView(form=FormView(values={"text": pasted[:_LONGEST]}, errors=errors))
        return show.later(show.portal(request, view, who=who, status=refused.status), refused)
    if given.lstrip().startswith((b"{", b"acn_", b"%PDF")):
        return show.portal(request, _certificate(tx, given, pasted), who=who)
    try:
        opener = doctor.Opener(form.text("license_key") or None, form.text("fingerprint") or None)
        lists = revocation_check.lists_in(form.uploads.get("revocations", b""))
        found = doctor.diagnose(tx, given, now, transport_now(), opener, lists)
    except UnusableKey as refused:
        form_again = FormView(values={"text": pasted})
        view = _refused(form_again, "unknown_key", "This license would not be accepted", refused.detail)
        return show.portal(request, view, who=who)
    return show.portal(request, _license(found, pasted), who=who)


def _require_size(given: bytes) -> None:
    if not given or len(given) > _LONGEST:
        sentence = "Choose a file or paste its text." if not given else f"More than {_LONGEST:,} characters."
        raise Invalid(sentence, param="text")


def _license(found: Diagnosis, pasted: str) -> v.VerifyView:
    report = found.report
    findings = tuple(_finding(each) for each in (*found.findings, *report.findings))
    if report.accepted:
        genuine = v.Finding(state="valid", title="Signed by us", detail=_ACCEPTED[report.written])
        findings = (genuine, *findings)
    return v.VerifyView(
        form=FormView(values={"text": pasted}), verdict="valid" if found.accepted else "invalid",
        headline="This license is genuine" if found.accepted else "This license would not be accepted",
        code=found.code, findings=findings, facts=_said(report.summary) if report.summary else (),
        checked_at=report.at, standing=_standing(found), stops=tuple(
            v.StopRow(
                what=each.what, begins=_ENGLISH.moment(each.at) if each.at else "",
                above=_users(each.above) if each.above is not None else "", todo=each.todo,
                state="begun" if each.begun else "",
            )
            for each in found.stops
        ),
    )  # fmt: skip


def _users(count: int) -> str:
    return f"{count:,} {'user' if count == 1 else 'users'}"


def _standing(found: Diagnosis) -> tuple[Fact, ...]:
    """What only we know, as of now."""
    facts = []
    if found.kid:
        facts.append(Fact(name="Signing key", value=found.kid, mono=True))
    if (record := found.record) is not None:
        since = f" since {_ENGLISH.moment(record.since)}" if record.since else ""
        facts.append(Fact(name="On record", value=f"{record.state.capitalize()}{since}"))
        if record.successor:
            facts.append(Fact(name="Newer license", value=record.successor, mono=True))
        facts.append(Fact(name="Servers", value=doctor.servers(record).capitalize()))
    return tuple(facts)


def _finding(each: Finding) -> v.Finding:
    tone = _TONE[each.severity]
    return v.Finding(
        state="invalid" if tone == "invalid" else "expiring" if tone == "expiring" else "valid",
        title=each.code.replace("_", " ").capitalize(), detail=each.detail, remedy=each.remedy,
    )  # fmt: skip


def _said(summary: Summary) -> tuple[Fact, ...]:
    return (
        Fact(name="Customer", value=summary.company),
        Fact(name="Plan", value=summary.plan),
        Fact(name="Seats", value=f"{summary.users:,}"),
        Fact(name="Begins", value=_ENGLISH.moment(summary.starts_at)),
        Fact(name="Ends", value=_ENGLISH.moment(summary.expires_at)),
        Fact(name="Issued", value=_ENGLISH.moment(summary.issued_at)),
        Fact(name="License", value=summary.license_id, mono=True),
        # The ladder stands below, with its dates.
        *(Fact(name=name, value=value) for name, value in summary.more if name != LADDER),
    )


# --- Certificates -------------------------------------------------------------------------------------------------


def _certificate(tx: Unit, given: bytes, pasted: str) -> v.VerifyView:
    """A certificate as `/orders/{token}/certificate.json` gives it (signed_text, kid, signature), or its number."""
    form = FormView(values={"text": pasted})
    if given.lstrip().startswith(b"acn_"):
        given = _by_number(tx, given.decode("ascii", "replace").strip())
    try:
        certificate = json.loads(given)
        signed_text, kid = str(certificate["signed_text"]), str(certificate["kid"])
        signature = b64decode(str(certificate["signature"]), validate=True)
        said = json.loads(signed_text)
    except (ValueError, KeyError, TypeError, Base64Error, RecursionError):
        detail = "Give the number printed on a certificate (acn_…), or its JSON as the order's page offers it."
        return _refused(form, "not_a_certificate", "This is neither a license nor a certificate", detail)
    key = next((each for each in keys.published(tx, KeyPurpose.EVIDENCE) if each.kid == kid), None)
    public = signing.load_public_keys(key.public_pem.encode())[0] if key is not None else None
    if not isinstance(public, Ed25519PublicKey):
        return _refused(form, "unknown_key", "This certificate was not signed by us", "We have no such key.")
    if not signing.verify(Purpose.ACCEPTANCE_CERTIFICATE, signed_text.encode(), signature, public):
        return _refused(form, "bad_signature", "This certificate was altered", "The signature does not fit the text.")
    genuine = v.Finding(state="valid", title="Signed by us", detail="Not a character was changed since.")
    return v.VerifyView(
        form=form, verdict="valid", headline="This certificate is genuine", code="accepted", findings=(genuine,),
        facts=_accepted(said),
    )  # fmt: skip


def _by_number(tx: Unit, number: str) -> bytes:
    """The certificate with this number; the number is as hard to guess as a link and is printed on the paper."""
    found = tx.get(Acceptance, number) if has_form("acn", number) else None
    if found is None:
        return b""
    certificate = {
        "signed_text": agreements.statement(found).decode(), "kid": found.kid, "signature": found.signature,
    }  # fmt: skip
    return json.dumps(certificate).encode()


def _refused(form: FormView, code: str, headline: str, detail: str) -> v.VerifyView:
    finding = v.Finding(state="invalid", title=code.replace("_", " ").capitalize(), detail=detail)
    return v.VerifyView(form=form, verdict="invalid", headline=headline, code=code, findings=(finding,))


def _accepted(said: Mapping[str, Any]) -> tuple[Fact, ...]:
    """What was signed (agreements.statement), in words."""
    names = {
        "person_name": "Accepted by", "company": "For", "accepted_at": "At", "terms_version": "Terms, version",
        "terms_sha256": "SHA-256 of the terms", "order": "Order", "snapshot_sha256": "SHA-256 of the order",
    }  # fmt: skip
    return tuple(
        Fact(name=label, value=str(said[key]), mono="SHA" in label or key == "order")
        for key, label in names.items()
        if key in said
    )
