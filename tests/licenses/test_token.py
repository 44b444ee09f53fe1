"""The compact token: PASETO v4.public by its standard, its claims, and the ladder inside (R-LIC-1, ADR 0054)."""

import json
from base64 import urlsafe_b64decode
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.signing import UnusableKey, public_jwk, public_pem, thumbprint
from app.licenses.formats import token
from app.licenses.formats.claims import MalformedPayload
from app.licenses.formats.enforcement import ENFORCEMENT, Step, read_ladder, step_at
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.recognize import ReadCode
from app.licenses.formats.rendering_lint import lint_token, verify_token
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.formats.trust import Trust
from app.licenses.formats.verify_any import lint_license, verify_license
from tests.licenses.making import NOW
from tests.licenses.renderings import KEY, Signers, changed, new_key, stated
from tests.world import full

LADDER = ENFORCEMENT.read(ENFORCEMENT.default)
END = NOW + timedelta(days=365)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def codes(signers: Signers, text: bytes, now: datetime = NOW, users: int | None = None) -> list[str]:
    return [f"{each.severity}:{each.code}" for each in lint_token(text, signers.tokens, now=now, reported_users=users)]


def test_the_encoding_is_that_of_the_standard() -> None:
    """A published vector (PASETO, v4, 4-S-1): the payload, no footer, no assertion."""
    public = bytes.fromhex("1eb9dbbbbc047c03fd70604e0071f0987e16b28b757225c11f00415d0e20b1a2")
    body = (
        "eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDowMDowMCswMDowMCJ9bg_XBBzds8lTZShV"
        "lwwKSgeKpLT3yukTw6JUz3W4h_ExsQV-P0V54zemZDcAxFaSeef1QlXEFtkqxT1ciiQEDA"
    )
    content = urlsafe_b64decode(body + "==")
    signed = token.preauth(token.HEADER, content[:-64], b"", b"")
    Ed25519PublicKey.from_public_bytes(public).verify(content[-64:], signed)
    assert token.preauth() == b"\0" * 8
    assert token.preauth(b"") == b"\1" + b"\0" * 15
    assert token.preauth(b"test") == b"\1" + b"\0" * 7 + b"\4" + b"\0" * 7 + b"test"


def test_a_token_says_what_the_license_says_and_how_it_ends(signers: Signers) -> None:
    read = verify_token(signers.token_text(), signers.tokens)
    assert read == TokenClaims.of(stated(), LADDER, NOW)
    assert (read.license_id, read.key, read.seats, sorted(read.features)) == ("lic_1", KEY, 100, ["ldap"])
    assert (read.starts_at, read.expires_at, read.good_until) == (NOW, END, END + 42 * DAY)
    assert signers.token_text() == signers.token_text(), "the same arguments give the same text"


def test_the_footer_names_key_and_purpose_and_neither_can_be_exchanged(signers: Signers) -> None:
    text = signers.token_text()
    footer = json.loads(urlsafe_b64decode(text.rpartition(b".")[2] + b"=="))
    assert footer == {"kid": signers.kid, "purpose": "license-token"}
    payload = TokenClaims.of(stated(), LADDER, NOW).to_payload()
    other = new_key()
    forged = token.encode(payload, signers.kid, other)
    foreign = token.encode(payload, thumbprint(other), other)
    for each, reason in ((forged, ReadCode.WRONG_KEY), (foreign, ReadCode.UNKNOWN_KID)):
        with pytest.raises(LicenseFileRejected) as refused:
            token.open_payload(each, signers.tokens)
        assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"v4.public.", ReadCode.BROKEN_ENVELOPE),
        (b"v4.public.AAAA", ReadCode.BROKEN_ENVELOPE),
        (b"v4.public.AAAA.AAAA", ReadCode.BROKEN_ENVELOPE),
        (b"v4.public.A.AAAA", ReadCode.BROKEN_ENVELOPE),
        (b"v4.public.AB.AAAA", ReadCode.BROKEN_ENVELOPE),
        (b"v3.public.AAAA.AAAA", ReadCode.UNSUPPORTED_ALGORITHM),
        (b"v4.local.AAAA.AAAA", ReadCode.UNSUPPORTED_ALGORITHM),
        (b"eyJhbGciOiJub25lIn0.e30.", ReadCode.UNSUPPORTED_ALGORITHM),
        (b"x" * 10_001, ReadCode.TOO_LONG),
    ],
)
def test_what_is_no_such_token_is_told_so(signers: Signers, text: bytes, reason: ReadCode) -> None:
    with pytest.raises(LicenseFileRejected) as refused:
        token.open_payload(text, signers.tokens)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "footer", [b"no", b"[]", b"{}", b'{"kid":"k"}', b'{"kid":7,"purpose":"license-token"}',
               b'{"alg":"none","kid":"k","purpose":"license-token"}'],
)  # fmt: skip
def test_a_footer_says_nothing_but_key_and_purpose(signers: Signers, footer: bytes) -> None:
    payload = b"{}"
    signature = signers.token.sign(token.preauth(token.HEADER, payload, footer, token.LICENSE.implicit))
    text = f"v4.public.{token._base64url(payload + signature)}.{token._base64url(footer)}"  # noqa: SLF001 -- forging
    with pytest.raises(LicenseFileRejected) as refused:
        token.open_payload(text, signers.tokens)
    assert refused.value.reason is ReadCode.BROKEN_ENVELOPE


def test_claims_of_another_shape_are_refused() -> None:
    good = TokenClaims.of(stated(), LADDER, NOW).to_payload()
    assert TokenClaims.from_payload(good).to_payload() == good
    for member in json.loads(good):
        less = json.dumps({name: value for name, value in json.loads(good).items() if name != member}).encode()
        lacking = () if member == "revocations" else (less,)  # tokens of before there were lists go on
        for bad in (*lacking, *(changed(good, **{member: wrong}) for wrong in (None, 1.5, {"a": "b"}))):
            with pytest.raises(MalformedPayload):
                TokenClaims.from_payload(bad)
    for bad in (b"", b"[]", b"[" * 100_000, changed(good, nbf="2020-01-01T00:00:00Z"), changed(good, features=[1]),
                changed(good, exp="2020-01-01T00:00:00"), changed(good, limits={"a": True})):  # fmt: skip
        with pytest.raises(MalformedPayload):
            TokenClaims.from_payload(bad)


def test_the_linter_finds_what_a_product_would_stumble_over(signers: Signers) -> None:
    assert codes(signers, signers.token_text()) == []
    assert codes(signers, signers.token_text(), users=101) == ["error:seats_below_users"]
    assert codes(signers, signers.token_text(), END + SECOND) == ["error:already_expired"]
    assert codes(signers, signers.token_text(features={"users": 0})) == ["error:no_seats"]
    assert codes(signers, signers.token_text(starts_at=NOW + DAY)) == ["warning:starts_later"]
    assert codes(signers, signers.token_text(extra_users=-1)) == ["error:extra_users_negative"]
    assert codes(signers, signers.token_text(expires_at=NOW - SECOND)) == [
        "error:ends_before_start", "error:already_expired"
    ]  # fmt: skip
    assert codes(signers, signers.token_text(now=NOW + timedelta(minutes=6))) == ["error:file_from_the_future"]
    payload = TokenClaims.of(stated(), LADDER, NOW).to_payload()
    assert codes(signers, signers.sign_token(changed(payload, enforcement=[]))) == ["warning:no_enforcement"]
    early = changed(payload, exp="2026-06-01T00:00:00Z")
    assert codes(signers, signers.sign_token(early)) == ["error:ends_before_license"]


def test_the_report_goes_down_the_ladder_and_ends_with_it(signers: Signers) -> None:
    trust, text = Trust.read(json.dumps(signers.key_set()).encode()), signers.token_text()
    for days, accepted, said in (
        (-31, True, []), (-29, True, ["step_begun"]), (1, True, ["step_begun"]), (41, True, ["step_begun"]),
        (43, False, ["expired"]),
    ):  # fmt: skip
        report = verify_license(text, trust, END + days * DAY)
        assert (report.accepted, [each.code for each in report.findings]) == (accepted, said), days
    assert "block new users" in verify_license(text, trust, END + 11 * DAY).findings[0].detail
    assert verify_license(text, trust, NOW - SECOND).code == "not_started"
    lines = verify_license(text, trust, NOW).lines()
    assert lines[0] == "ACCEPTED (as of 2026-03-01 12:00:00 UTC)"
    assert (
        lines[-1]
        == "Ladder    warn from day -30; banner from day 0; block_new_users from day 10; read_only from day 42"
    )


def test_a_key_published_for_something_else_is_not_tried(signers: Signers) -> None:
    key_set = signers.key_set()
    trust = Trust.read(json.dumps(key_set).encode())
    assert (len(trust.mattermost), len(trust.keygen), set(trust.token)) == (1, 1, {signers.kid})
    bare = Trust.read(public_pem(signers.token))
    assert verify_license(signers.token_text(), bare, NOW).accepted, "a bare key is tried for all of its kind"
    unnamed = {"keys": [{k: v for k, v in each.items() if k != "purpose"} for each in key_set["keys"]]}
    assert len(Trust.read(json.dumps(unnamed).encode()).keygen) == 4
    rsa_only = Trust.read(public_pem(signers.rsa))
    with pytest.raises(UnusableKey, match="format token"):
        lint_license(signers.token_text().decode(), rsa_only, now=NOW)
    evidence = {"keys": [public_jwk(signers.evidence, thumbprint(signers.evidence)) | {"purpose": "evidence"}]}
    for unusable in (json.dumps(evidence).encode(), b'{"keys": []}', b"no key"):
        with pytest.raises(UnusableKey):
            Trust.read(unusable)


rungs = st.lists(
    st.tuples(st.none() | st.integers(-60, 60), st.none() | st.integers(50, 200)), min_size=4, max_size=4
).map(lambda pairs: [{"step": step.value, "days": days, "percent": percent}
                     for step, (days, percent) in zip(Step, pairs, strict=True)])  # fmt: skip


@settings(max_examples=full(2_000), deadline=None)
@given(value=rungs, days=st.integers(-70, 70), users=st.integers(0, 250))
def test_a_ladder_that_is_taken_only_ever_gets_harder(value: list[dict[str, Any]], days: int, users: int) -> None:
    try:
        ladder = read_ladder(value)
    except ValueError:
        return

    def hardness(days: int, users: int | None) -> int:
        step = step_at(ladder, expires_at=NOW, seats=100, users=users, at=NOW + days * DAY + SECOND)
        return -1 if step is None else list(Step).index(step)

    assert hardness(days, users) <= hardness(days + 1, users)
    assert hardness(days, users) <= hardness(days, users + 1)
    assert hardness(days, None) <= hardness(days, users)


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ({}, "list of objects"), ([{}], "step, days and percent"),
        ([{"step": "stop", "days": 1, "percent": None}], "a step is one of"),
        ([{"step": "warn", "days": None, "percent": None}], "at most one of them is null"),
        ([{"step": "warn", "days": 1.5, "percent": None}], "whole numbers"),
        ([{"step": "warn", "days": True, "percent": None}], "whole numbers"),
        ([{"step": "warn", "days": 4000, "percent": None}], "between -366 and 3660"),
        ([{"step": "warn", "days": 1, "percent": 0}], "between 1 and 1000"),
        ([{"step": "banner", "days": 1, "percent": None}, {"step": "warn", "days": 2, "percent": None}], "order"),
        ([{"step": "warn", "days": 2, "percent": None}, {"step": "banner", "days": 1, "percent": None}], "days"),
    ],
)  # fmt: skip
def test_a_ladder_that_makes_no_sense_is_refused_with_the_remedy(value: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        read_ladder(value)
