"""Every way in which a server refuses, forgets or misreads a genuine file (R-LIC-2)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from app.licenses.formats.claims import FEATURES, LicenseCustomer, PayloadCode, from_milliseconds
from app.licenses.formats.findings import Severity
from app.licenses.formats.linter import REMEDIES, LintCode, RenderingLint, lint
from app.licenses.formats.mattermost import FileCode
from app.licenses.formats.recognize import ReadCode
from tests.licenses.making import ID, NOW, claims, signed

SECOND = timedelta(seconds=1)
TRIAL, ADMIN_TRIAL = timedelta(days=30, hours=8), timedelta(days=30, hours=23, minutes=59, seconds=59)


@pytest.fixture
def codes(private_key: RSAPrivateKey, keys: list[RSAPublicKey]) -> Any:
    """The codes found in a file with these claims, as `error:code`."""

    def found(previous_ids: set[str] | None = None, reported_users: int | None = None, **changes: Any) -> list[str]:
        text = signed(claims(**changes).to_payload(), private_key)
        findings = lint(text, keys, now=NOW, previous_ids=previous_ids or set(), reported_users=reported_users)
        return [f"{each.severity}:{each.code}" for each in findings]

    return found


def test_an_ordinary_file_has_nothing_to_be_said_about_it(codes: Any) -> None:
    assert codes() == []


def test_a_renewal_needs_a_new_id(codes: Any) -> None:
    assert codes(previous_ids={ID}) == ["error:id_reused"]
    assert codes(previous_ids={ID[::-1]}) == []


@pytest.mark.parametrize("duration", [TRIAL, ADMIN_TRIAL])
def test_a_paid_term_must_not_last_exactly_as_long_as_a_trial(codes: Any, duration: timedelta) -> None:
    assert codes(expires_at=NOW + duration) == ["error:accidental_trial"]
    assert codes(expires_at=NOW + duration + SECOND) == []
    assert codes(expires_at=NOW + duration - SECOND) == []
    assert codes(expires_at=NOW + duration, is_trial=True) == []


@pytest.mark.parametrize(
    ("duration", "repeatable"),
    [
        (timedelta(days=14), True),
        (timedelta(days=29, hours=23, minutes=59, seconds=59), True),
        (timedelta(days=30), False),
        (timedelta(days=31, hours=23, minutes=59, seconds=58), False),
        (timedelta(days=31, hours=23, minutes=59, seconds=59), True),
    ],
)
def test_a_trial_that_can_be_started_again_and_again_is_pointed_out(
    codes: Any, duration: timedelta, repeatable: bool
) -> None:
    assert codes(is_trial=True, expires_at=NOW + duration) == ["warning:trial_repeatable"] * repeatable
    assert codes(is_trial=False, expires_at=NOW + duration) == []


def test_a_cloud_trial_of_one_hour_is_a_preview(codes: Any) -> None:
    cloud = {"users": 5, "cloud": True, "future_features": False}
    hour = codes(is_trial=True, expires_at=NOW + timedelta(hours=1), features=cloud)
    assert hour == ["warning:trial_repeatable", "warning:cloud_preview"]


def test_the_last_stated_millisecond_still_counts(codes: Any) -> None:
    start = NOW - timedelta(days=100)
    assert codes(starts_at=start, expires_at=NOW) == []
    assert codes(starts_at=start, expires_at=NOW - timedelta(milliseconds=1)) == ["error:already_expired"]


def test_seconds_where_milliseconds_are_read_are_recognized(codes: Any) -> None:
    seconds = from_milliseconds(int(NOW.timestamp()))
    assert codes(issued_at=seconds) == ["error:time_in_seconds"]
    both = codes(starts_at=seconds, expires_at=seconds + timedelta(days=365))
    assert both == ["error:time_in_seconds", "error:time_in_seconds", "error:already_expired"]


def test_a_term_must_not_be_empty(codes: Any) -> None:
    later = NOW + timedelta(days=30)
    assert codes(starts_at=later, expires_at=later) == ["error:ends_before_start", "warning:starts_later"]


def test_a_start_date_is_pointed_out_because_servers_do_not_look_at_it(codes: Any) -> None:
    assert codes(starts_at=NOW + SECOND) == ["warning:starts_later"]


@pytest.mark.vector(12)
@pytest.mark.parametrize(("reported", "found"), [(99, []), (100, []), (101, ["error:seats_below_users"])])
def test_a_server_refuses_a_file_with_fewer_seats_than_users(codes: Any, reported: int, found: list[str]) -> None:
    assert codes(reported_users=reported) == found


@pytest.mark.parametrize("users", [0, -1])
def test_a_file_without_seats_is_refused_by_any_server(codes: Any, users: int) -> None:
    assert codes(features={"users": users, "future_features": False}) == ["error:no_seats"]


def test_extra_users_are_not_negative(codes: Any) -> None:
    assert codes(extra_users=-1) == ["error:extra_users_negative"]
    assert codes(extra_users=0) == []


@pytest.mark.parametrize(
    ("sku", "found"),
    [(sku, []) for sku in ("professional", "enterprise", "advanced", "entry")]
    + [(sku, ["warning:legacy_sku"]) for sku in ("E10", "E20")]
    + [(sku, ["warning:unknown_sku"]) for sku in ("", "Professional", "cloud-professional", "starter")],
)
def test_plans_without_a_tier_are_pointed_out(codes: Any, sku: str, found: list[str]) -> None:
    assert codes(sku_short_name=sku) == found


def test_names_the_server_does_not_know_are_pointed_out(codes: Any) -> None:
    features = {"users": 5, "lpad": True, "future_features": False}
    assert codes(features=features, limits={"rooms": 1}) == ["warning:unknown_feature", "warning:unknown_limit"]


@pytest.mark.vector(10)
def test_features_left_out_are_on_unless_future_features_is_off(
    codes: Any, private_key: RSAPrivateKey, keys: list[RSAPublicKey]
) -> None:
    assert codes(features={"users": 5}) == ["notice:features_on_by_default"]
    assert codes(features={"users": 5, "future_features": True}) == ["notice:features_on_by_default"]
    assert codes(features={"users": 5} | dict.fromkeys(FEATURES, True)) == []
    assert codes(features={"users": 5, "future_features": False}) == []
    text = signed(claims(features={"users": 5}).to_payload(), private_key)
    [found] = lint(text, keys, now=NOW)
    assert "ldap" in found.detail
    assert "cloud" not in found.detail, "what follows no default of others is not said to be on"


def test_a_customer_without_email_leaves_the_renewal_link_without_a_key(codes: Any) -> None:
    assert codes(customer=LicenseCustomer("acc_1", "Zoë", " ", "Ö")) == ["warning:customer_email_missing"]


def test_errors_come_first(codes: Any) -> None:
    found = codes(features={"users": 0}, sku_short_name="E10", previous_ids={ID})
    assert found == ["error:id_reused", "error:no_seats", "warning:legacy_sku", "notice:features_on_by_default"]


def test_an_unreadable_file_gives_its_reason_and_every_fault(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey]
) -> None:
    broken = json.loads(claims().to_payload()) | {"id": "short", "starts_at": "soon"}
    found = lint(signed(json.dumps(broken).encode(), private_key), keys, now=NOW)
    assert [each.code for each in found] == ["malformed_payload", "id_malformed", "time_not_milliseconds"]
    assert all(each.blocks for each in found)
    assert [each.code for each in lint("not a license!", keys, now=NOW)] == ["not_base64"]


def test_every_code_has_a_remedy_of_one_sentence() -> None:
    assert set(REMEDIES) == {*FileCode, *ReadCode, *PayloadCode, *LintCode, *RenderingLint}
    assert all(remedy.endswith(".") and remedy[0].isupper() for remedy in REMEDIES.values())


def test_severities_are_told_in_order_of_weight() -> None:
    assert [each.value for each in Severity] == ["error", "warning", "notice"]
