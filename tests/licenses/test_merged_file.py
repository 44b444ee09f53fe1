"""What one file for several licenses states: the sum, until when, and of what it was made (R-LIC-3, ADR 0055)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from app.core.ids import new_license_file_id
from app.core.signing import HeldRsaKey
from app.licenses import merge
from app.licenses.formats.claims import LicenseClaims, LicenseCustomer
from app.licenses.formats.linter import looks_like_trial
from app.licenses.formats.mattermost import verify_file
from app.licenses.issuing import issue
from app.licenses.merge import Part
from app.licenses.merging import MOST_SOURCES, Terms, of_server, terms_of
from app.licenses.models import LicenseEnvironment
from tests.licenses.test_merge import day, part

CUSTOMER = LicenseCustomer("acc_1", "Zoë Ångström", "zoe@example.com", "Österreichische Dampf GmbH")
NOW = day(1)


def terms(*parts: Part, overhang: int = 30) -> Terms:
    found = terms_of(merge.merge(parts, LicenseEnvironment.PRODUCTION), CUSTOMER, timedelta(days=overhang), NOW)
    assert found is not None
    return found


def test_a_feature_that_one_license_names_is_stated_and_nothing_else() -> None:
    found = terms(
        part("a", 80, flags={"ldap": True, "saml": False, "announcement": False}, limits={"call_duration": 60}),
        part("b", 20, flags={"saml": True, "storage_at_home": True}, plan="Enterprise", tier="enterprise"),
    ).claims  # fmt: skip
    assert found.features == {
        "users": 100, "future_features": False, "ldap": True, "saml": True, "announcement": False
    }  # fmt: skip
    assert (found.sku_name, found.sku_short_name, dict(found.limits or {})) == (
        "Enterprise", "enterprise", {"call_duration": 60}
    )  # fmt: skip
    assert [(each.license, each.users) for each in found.sources] == [("a", 80), ("b", 20)]


@pytest.mark.parametrize(("overhang", "ends"), [(0, 60), (30, 90), (4000, 1000)])
def test_it_lasts_beyond_the_first_drop_as_long_as_the_policy_lets_it(overhang: int, ends: int) -> None:
    found = terms(part("base", 80, (0, 1000)), part("pack", 20, (0, 50), grace_days=10), overhang=overhang)
    assert found.claims.expires_at == day(ends)


def test_a_license_that_ends_without_leaving_less_does_not_end_the_file() -> None:
    found = terms(part("a", 80, (0, 1000)), part("bridge", 20, (0, 50), chain="of a"))
    assert found.claims.expires_at == day(1000)
    # What gives nothing that counts is not named either.
    assert [each.license for each in found.claims.sources] == ["a"]


def test_nothing_is_stated_when_no_term_runs() -> None:
    ended = part("a", 80, (0, 1), grace_days=10)
    timeline = merge.merge([ended], LicenseEnvironment.PRODUCTION)
    assert merge.at(timeline, NOW).seats == 80
    assert terms_of(timeline, CUSTOMER, timedelta(), NOW) is None


def test_it_is_never_taken_for_a_trial() -> None:
    for hours in (30 * 24 + 8, 30 * 24):
        ends = NOW + timedelta(hours=hours)
        found = terms(replace(part("a", 80), expires_at=ends), replace(part("b", 20), expires_at=ends)).claims
        assert not looks_like_trial(found.starts_at, found.expires_at)
        assert found.starts_at <= NOW


def test_the_start_alone_makes_no_new_file() -> None:
    parts = (part("a", 80), part("b", 20))
    early, later = terms(*parts), terms(*parts)
    moved = replace(later, claims=replace(later.claims, starts_at=day(2), issued_at=day(2)))
    assert early.content_sha256 == moved.content_sha256
    assert early.content_sha256 != terms(part("a", 80), part("b", 21)).content_sha256


def test_very_many_licenses_fit_into_one_file_and_still_add_up(private_key: RSAPrivateKey) -> None:
    parts = [part(f"lic_01kafz{number:020}", number + 1, (0, 100 + number)) for number in range(3 * MOST_SOURCES)]
    stated = terms(*parts).claims
    issued = issue(
        lambda file_id: replace(stated, id=file_id), HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW
    )
    read = verify_file(issued.text, [private_key.public_key()])
    assert read == issued.claims
    assert _seats(read) == read.users == sum(range(1, 3 * MOST_SOURCES + 1))
    assert read.sources[-1].license == f"{2 * MOST_SOURCES} more"


def _seats(claims: LicenseClaims) -> int:
    return sum(each.users for each in claims.sources)


def test_what_sources_of_another_shape_say_is_passed_over() -> None:
    stated = terms(part("a", 80), part("b", 20)).claims
    payload = replace(stated, id="h7x4kq9p2m3n5r8s6t1vwyzabc").to_payload()
    for wrong in (b'"sources":"x"', b'"sources":[1,{"license":2}]', b'"sources":null'):
        cut = payload[payload.index(b'"sources"') : payload.index(b"]", payload.index(b'"sources"')) + 1]
        assert LicenseClaims.from_payload(payload.replace(cut, wrong)).sources == ()


def test_servers_are_told_apart_without_regard_to_case() -> None:
    parts: Sequence[Part] = [part("a", server="Chat.example.org"), part("b", server="chat.example.org"), part("c")]
    assert [each.id for each in of_server(parts, "CHAT.example.org")] == ["a", "b"]
    assert [each.id for each in of_server(parts, "")] == ["c"]
