"""The signed list of what no longer holds: its deltas, its forgers, and what offline readers make of it."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.licenses import revocation_list
from app.licenses.formats import token
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.recognize import ReadCode
from app.licenses.formats.trust import Trust
from app.licenses.formats.verify_any import verify_license
from app.licenses.models import RevocationReason
from app.licenses.revocation_check import against, lists_in
from app.licenses.revocation_list import LIST, RevocationList, Revoked, file_hash, read, read_all
from tests.licenses.making import FULL, NOW, claims
from tests.licenses.readers import READERS, Reader
from tests.licenses.renderings import FINGERPRINT, KEY, Signers, new_key
from tests.world import full

each_reader = pytest.mark.parametrize("ask", READERS, ids=lambda reader: reader.__name__)


def entries(*file_ids: str) -> list[Revoked]:
    return [Revoked(file_hash(each), RevocationReason.REVOKED, NOW) for each in file_ids]


def others(count: int) -> list[str]:
    return [f"{number:026}" for number in range(count)]


def code(text: bytes, signers: Signers) -> ReadCode:
    with pytest.raises(LicenseFileRejected) as refused:
        read(text, signers.list_keys)
    assert isinstance(refused.value.reason, ReadCode)
    return refused.value.reason


@settings(max_examples=full(2_000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 30), cuts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=5))
def test_a_base_and_its_deltas_are_the_whole(signers: Signers, count: int, cuts: list[tuple[int, int]]) -> None:
    """However often and with whatever overlap somebody fetched deltas on the way."""
    revoked, known = entries(*others(count)), 0
    texts = [signers.list_text(revoked[: min(cuts[0]) if cuts else count])]
    known = read(texts[0], signers.list_keys).sequence
    for one, other in cuts:
        since, until = min(one, other, known), min(max(one, other), count)
        if until >= since:
            texts.append(signers.list_text(revoked[:until], since))
            known = max(known, until)
    texts.append(signers.list_text(revoked, known))
    whole = read(signers.list_text(revoked), signers.list_keys)
    assert read_all(texts, signers.list_keys) == whole
    assert whole.sequence == count
    assert all(whole.entry_of(each) is not None for each in others(count))
    assert whole.entry_of(KEY) is None


def test_a_delta_alone_or_after_a_gap_is_refused(signers: Signers) -> None:
    revoked = entries(*others(5))
    base, late = signers.list_text(revoked[:2]), signers.list_text(revoked, 3)
    for texts in ([late], [base, late], []):
        with pytest.raises(LicenseFileRejected):
            read_all(texts, signers.list_keys)
    with pytest.raises(LicenseFileRejected):  # two histories
        read_all([base, signers.list_text([*entries("x"), *revoked], 0)], signers.list_keys)


def test_nothing_of_a_list_can_be_changed(signers: Signers) -> None:
    text = signers.list_text(entries(*others(3)))
    for at in range(0, len(text) - 1, 1 if FULL else 17):
        with pytest.raises(LicenseFileRejected):
            read(text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :], signers.list_keys)


def test_another_key_and_another_purpose_are_refused(signers: Signers) -> None:
    stranger = Signers(signers.rsa, signers.keygen, signers.token, signers.evidence, new_key())
    text = signers.list_text(entries(KEY))
    with pytest.raises(LicenseFileRejected) as refused:
        read(text, stranger.list_keys)
    assert refused.value.reason is ReadCode.UNKNOWN_KID
    # The same key, made to sign the same bytes as a license token: neither reader takes the other's.
    payload, kid = RevocationList(0, NOW, ()).to_payload(), next(iter(signers.list_keys))
    assert code(token.encode(payload, kid, signers.revocations).encode(), signers) is ReadCode.WRONG_PURPOSE
    relabelled = token.encode(
        payload, kid, signers.revocations, token.Kind(LIST.purpose, token.LICENSE.implicit, 10_000)
    )
    assert code(relabelled.encode(), signers) is ReadCode.WRONG_KEY
    with pytest.raises(LicenseFileRejected):
        token.open_payload(text, signers.list_keys)


def test_every_other_artifact_is_refused_as_a_list(signers: Signers) -> None:
    one = Signers(signers.rsa, *[signers.revocations] * 4)
    for artifact in (one.mattermost_file(), one.keygen_file(), one.keygen_file(encrypted=False), one.token_text()):
        with pytest.raises(LicenseFileRejected):
            read(artifact, one.list_keys)


def test_what_is_signed_and_no_list_is_refused(signers: Signers) -> None:
    kid = next(iter(signers.list_keys))
    good = RevocationList(0, NOW, tuple(entries(KEY))).to_payload()
    for before, after in ((b"{", b"["), (b'"sequence":1', b'"sequence":2'), (b'"since":0', b'"since":-1'),
                          (b"list/v1", b"list/v2"), (b'"revoked",', b'"rebuked",'), (b'"since"', b'"until"'),
                          (file_hash(KEY).encode(), b"abc")):  # fmt: skip
        spoilt = good.replace(before, after)
        assert spoilt != good
        text = token.encode(spoilt, kid, signers.revocations, LIST).encode()
        assert code(text, signers) is ReadCode.MALFORMED_PAYLOAD


@each_reader
def test_offline_readers_say_revoked_and_refuse_an_old_list(ask: Reader, signers: Signers) -> None:
    """A token and a Keygen file name the newest list of their time, so that an older one is noticed."""
    key_set, before = signers.key_set(), others(3)
    texts = [signers.mattermost_file(), signers.keygen_file(revocations=3), signers.token_text(revocations=3)]
    file_ids = (claims().id, KEY, KEY)

    def said(lists: list[bytes]) -> list[str | None]:
        return [each.get("code") for each in ask(texts, key_set, revocations=lists)]

    assert said([signers.list_text(entries(*before))]) == [None] * 3
    assert said([signers.list_text(entries(*before[:2]))]) == [None, "old_revocation_list", "old_revocation_list"]
    revoked = entries(*before, *dict.fromkeys(file_ids))
    assert said([signers.list_text(revoked)]) == ["revoked"] * 3
    assert said([signers.list_text(revoked[:3]), signers.list_text(revoked, 3)]) == ["revoked"] * 3
    assert said([signers.list_text(revoked[:2]), signers.list_text(revoked, 3)]) == ["revocations_missing"] * 3
    assert said([signers.list_text(revoked, 3)]) == ["revocations_missing"] * 3
    assert said([signers.token_text()]) == ["wrong_purpose"] * 3
    body, footer = signers.list_text(revoked).strip().split(b".")[2:]
    data = bytearray(urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
    data[60] ^= 1
    forged = b"v4.public." + urlsafe_b64encode(bytes(data)).rstrip(b"=") + b"." + footer
    assert said([forged]) == ["bad_signature"] * 3
    assert said([]) == [None] * 3


def test_a_file_is_not_named_by_the_key_that_opens_it(signers: Signers) -> None:
    text = signers.list_text(entries(KEY))
    payload = token.open_payload(text, signers.list_keys, LIST)
    assert KEY.encode() not in payload
    assert len(signers.list_text(entries(*others(1_000)))) < 90_000  # a thousand fit on any stick
    found = read(text, signers.list_keys).entry_of(KEY)
    assert found == Revoked(revocation_list.file_hash(KEY), RevocationReason.REVOKED, NOW)


def test_the_report_says_whether_a_license_is_on_the_list_and_how_old_that_is(signers: Signers) -> None:
    trust = Trust.read(json.dumps(signers.key_set()).encode())
    before = others(3)
    texts = [
        signers.mattermost_file(), signers.keygen_file(revocations=3), signers.machine_file(revocations=3),
        signers.token_text(revocations=3),
    ]  # fmt: skip
    reports = [verify_license(text, trust, NOW + timedelta(days=2), KEY, FINGERPRINT) for text in texts]

    def said(*lists: bytes) -> list[tuple[str, str]]:
        found = [against(each, lists, trust.revocations) for each in reports]
        details = [next(f for f in each.findings if "list" in f.code or f.code == "revoked").detail for each in found]
        assert all(each.accepted == (each.code == "accepted") for each in found)
        return [(each.code, detail) for each, detail in zip(found, details, strict=True)]

    aged = "list 3 of 2026-03-01 12:00:00 UTC, 2 days old"
    assert said(signers.list_text(entries(*before))) == [("accepted", f"It is not on {aged}.")] * 4
    [server_file, *younger] = said(signers.list_text(entries(*before[:2])))
    assert server_file[0] == "accepted"
    assert {code for code, _ in younger} == {"old_revocation_list"}
    revoked = entries(*before, *dict.fromkeys((claims().id, KEY)))
    for lists in ([signers.list_text(revoked)], [signers.list_text(revoked[:3]), signers.list_text(revoked, 3)]):
        assert {code for code, _ in said(*lists)} == {"revoked"}
        assert lists_in(b"\r\n".join(lists) + b"\n\n") == [each.strip() for each in lists]
    blamed = [Revoked(file_hash(KEY), RevocationReason.KEY_COMPROMISED, NOW)] * 1
    assert "because its key is compromised" in said(signers.list_text([*entries(*before), *blamed]))[3][1]
    strange = Signers(signers.rsa, signers.keygen, signers.token, signers.evidence, new_key())
    for lists in ([signers.list_text(revoked, 3)], [strange.list_text(revoked)], [texts[3]], [b"no list"]):
        assert {code for code, _ in said(*lists)} == {"revocation_list_unusable"}
    sealed = against(verify_license(texts[1], trust, NOW), [signers.list_text(revoked)], trust.revocations)
    assert (sealed.code, sealed.accepted) == ("sealed", False)
