"""The JSON of a license file: one spelling, strict types, everything wrong named at once (R-LIC-2)."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.licenses.formats.claims import (
    EPOCH,
    FEATURES,
    LIMITS,
    LicenseClaims,
    LicenseCustomer,
    MalformedPayload,
    from_milliseconds,
)
from tests.licenses.making import ID, NOW, claims

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
instants = st.integers(10**11, 253_402_300_799_999).map(from_milliseconds) | st.timedeltas(
    timedelta(0), timedelta(days=36_500)
).map(lambda since: NOW + since)
ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=26, max_size=26)
any_claims = st.builds(
    LicenseClaims,
    id=ids,
    issued_at=instants,
    starts_at=instants,
    expires_at=instants,
    customer=st.builds(LicenseCustomer, texts, texts, texts, texts),
    sku_name=texts,
    sku_short_name=texts,
    features=st.builds(
        lambda users, flags: {"users": users, **flags},
        st.integers(0, 2**63 - 1),
        st.dictionaries(st.sampled_from(sorted(FEATURES)), st.booleans()),
    ),
    is_trial=st.booleans(),
    is_gov_sku=st.booleans(),
    is_seat_count_enforced=st.booleans(),
    extra_users=st.none() | st.integers(-(2**63), 2**63 - 1),
    limits=st.none() | st.dictionaries(st.sampled_from(sorted(LIMITS)), st.integers(0, 2**63 - 1)),
)


def document(**changes: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(claims().to_payload())
    return {name: value for name, value in (read | changes).items() if value is not ...}


def read(document: object) -> LicenseClaims:
    return LicenseClaims.from_payload(json.dumps(document).encode())


def faults(document: object) -> list[tuple[str, str]]:
    with pytest.raises(MalformedPayload) as refusal:
        read(document)
    return [(fault.code.value, fault.path) for fault in refusal.value.faults]


@given(any_claims)
def test_what_is_written_is_read_back_the_same(stated: LicenseClaims) -> None:
    assert LicenseClaims.from_payload(stated.to_payload()) == stated


@given(any_claims)
def test_payload_and_signature_leave_no_unused_bits_in_base64(stated: LicenseClaims) -> None:
    assert (len(stated.to_payload()) + 256) % 3 == 0


def test_the_same_claims_have_one_spelling_whatever_the_order_they_were_given_in() -> None:
    ordered = claims(features={"users": 5, "ldap": True, "saml": False})
    shuffled = claims(features={"saml": False, "ldap": True, "users": 5})
    assert ordered.to_payload() == shuffled.to_payload()


def test_times_are_whole_milliseconds_rounded_down() -> None:
    stated = claims(expires_at=datetime(2027, 1, 1, 0, 0, 0, 123_999, tzinfo=UTC))
    assert json.loads(stated.to_payload())["expires_at"] == 1_798_761_600_123


def test_an_instant_of_any_zone_is_the_same_instant() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert claims(issued_at=east) == claims(issued_at=NOW)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        claims(starts_at=datetime(2026, 1, 1))  # noqa: DTZ001 -- the point of the test


@pytest.mark.parametrize("features", [{"users": True}, {"users": 5, "ldap": 1}, {"users": 5, "ldap": 1.0}])
def test_a_feature_of_another_type_cannot_be_stated(features: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        claims(features=features)


def test_claims_cannot_be_changed_through_what_they_were_made_from() -> None:
    features = {"users": 5}
    stated = claims(features=features)
    features["users"] = 500
    assert stated.users == 5


@pytest.mark.vector(6)
@pytest.mark.parametrize("value", [1_700_000_000_000.0, "1700000000000", True, 2**63, 2**62, [], {}])
@pytest.mark.parametrize("name", ["issued_at", "starts_at", "expires_at"])
def test_a_time_that_is_not_whole_milliseconds_is_refused(name: str, value: object) -> None:
    assert faults(document(**{name: value})) == [("time_not_milliseconds", name)]


@pytest.mark.vector(7)
@pytest.mark.parametrize("customer", [..., None])
def test_a_file_without_customer_is_refused_because_the_product_crashes_on_it(customer: object) -> None:
    assert ("customer_missing", "customer") in faults(document(customer=customer))


@pytest.mark.vector(7)
@pytest.mark.parametrize("features", [..., None, {}, {"ldap": True}, {"users": None}])
def test_a_file_without_users_is_refused_because_the_product_crashes_on_it(features: object) -> None:
    assert ("users_missing", "features.users") in faults(document(features=features))


@pytest.mark.vector(6)
@pytest.mark.parametrize("users", ["100", 100.0, True, 2**63])
def test_seats_that_are_not_a_whole_number_are_refused(users: object) -> None:
    assert faults(document(features={"users": users})) == [("wrong_type", "features.users")]


@pytest.mark.parametrize("license_id", ["", "short", ID + "x", ID[:-1] + "_", ID[:-1] + "é", ...])
def test_an_id_the_product_cannot_store_is_refused(license_id: object) -> None:
    assert faults(document(id=license_id)) == [("id_malformed", "id")]


def test_every_fault_is_named_at_once() -> None:
    broken = document(
        customer=[], features={"users": 5, "ldap": "yes"}, sku_name=7, is_trial=0, extra_users=1.5,
        limits={"board_cards": "1"},
    )  # fmt: skip
    assert faults(broken) == [
        ("wrong_type", "customer"),
        ("customer_missing", "customer"),
        ("wrong_type", "sku_name"),
        ("wrong_type", "features.ldap"),
        ("wrong_type", "is_trial"),
        ("wrong_type", "extra_users"),
        ("wrong_type", "limits.board_cards"),
    ]


def test_a_fault_names_the_field_and_never_quotes_its_content() -> None:
    with pytest.raises(MalformedPayload) as refusal:
        read(document(sku_name={"email": "zoe@example.com"}))
    assert "zoe" not in str(refusal.value)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"id": NaN}',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"[" * 7000,
        b'{"id":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_not_a_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedPayload) as refusal:
        LicenseClaims.from_payload(payload)
    assert [fault.code.value for fault in refusal.value.faults] == ["not_json"]


def test_absent_and_null_fields_have_the_value_the_product_gives_them() -> None:
    sparse = read({"id": ID, "customer": {"name": None}, "features": {"users": 0, "ldap": None}, "issued_at": None})
    assert sparse == LicenseClaims(
        id=ID, issued_at=EPOCH, starts_at=EPOCH, expires_at=EPOCH, customer=LicenseCustomer("", "", "", ""),
        sku_name="", sku_short_name="", features={"users": 0},
    )  # fmt: skip


def test_fields_the_product_does_not_know_are_passed_over() -> None:
    stated = document(
        features={"users": 5, "telepathy": True, "blob": {"a": 1}}, limits={"rooms": 4, "odd": "x"}, colour=1
    )
    assert read(stated).features == {"users": 5, "telepathy": True}
    assert read(stated).limits == {"rooms": 4}
