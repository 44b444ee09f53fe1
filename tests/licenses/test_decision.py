"""Online validation: all findings, one headline, and nothing hides an ended term (R-LIC-4)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given
from hypothesis import strategies as st

from app.licenses.decision import Code, Credential, Decision, ValidationFacts, ValidationRequest, refuse_file
from app.licenses.decision import decide as decide_on
from app.licenses.formats.findings import Severity
from app.licenses.formats.linter import is_expired
from app.licenses.formats.mattermost import LicenseFileRejected, verify_file
from app.licenses.models import LicenseState
from tests.licenses.making import NOW, claims

START, END = NOW - timedelta(days=300), NOW + timedelta(days=65)
MS = timedelta(milliseconds=1)
ACTIVE = ValidationFacts(
    state=LicenseState.ACTIVE,
    starts_at=START,
    expires_at=END,
    grace_days=10,
    seats=100,
    entitlements=frozenset({"saml", "ldap"}),
    activation_limit=2,
    fingerprints=frozenset({"alpha", "beta"}),
)


def decide(
    now: datetime = NOW,
    *,
    credential: Credential = Credential.SIGNED_FILE,
    fingerprint: str | None = None,
    entitlements: set[str] | None = None,
    **facts: Any,
) -> Decision:
    asked = frozenset(entitlements) if entitlements is not None else None
    return decide_on(replace(ACTIVE, **facts), ValidationRequest(credential, fingerprint, asked), now)


def codes(decision: Decision) -> list[str]:
    return [finding.code for finding in decision.findings]


def test_a_license_in_force_is_valid_without_findings() -> None:
    assert decide(fingerprint="alpha", entitlements={"saml"}) == Decision(True, "valid", (), reveals=True)


@pytest.mark.parametrize(
    ("now", "valid", "code"),
    [
        (START - MS, False, "not_started"),
        (START, True, "valid"),
        (END, True, "valid"),
        (END + MS, True, "in_grace"),
        (END + timedelta(days=10), True, "in_grace"),
        (END + timedelta(days=10) + MS, False, "expired"),
    ],
)
def test_the_term_decides_to_the_millisecond(now: datetime, valid: bool, code: str) -> None:
    decision = decide(now)
    assert (decision.valid, decision.code) == (valid, code)


@pytest.mark.parametrize(
    ("facts", "asked", "valid", "found"),
    [
        ({"state": LicenseState.SUPERSEDED}, {}, True, ["superseded"]),
        ({"state": LicenseState.SUSPENDED}, {}, False, ["suspended"]),
        ({"state": LicenseState.REVOKED}, {}, False, ["revoked"]),
        ({}, {"fingerprint": "gamma"}, False, ["activation_limit_reached"]),
        ({"activation_limit": 3}, {"fingerprint": "gamma"}, False, ["not_activated"]),
        ({"activation_limit": None}, {"fingerprint": "gamma"}, False, ["not_activated"]),
        (
            {"activation_limit": 0, "fingerprints": frozenset()},
            {"fingerprint": "x"},
            False,
            ["activation_limit_reached"],
        ),
        ({"activation_limit": 1}, {"fingerprint": "alpha"}, True, []),
        ({}, {"entitlements": set()}, True, []),
        ({}, {"entitlements": {"saml", "cluster", "bots"}}, False, ["entitlement_missing", "entitlement_missing"]),
        ({"reported_users": 100}, {}, True, []),
        ({"reported_users": 101}, {}, True, ["seats_over_count"]),
        ({"reported_users": 100, "seats_enforced": True}, {}, True, []),
        ({"reported_users": 101, "seats_enforced": True}, {}, False, ["seats_exceeded"]),
        ({"reported_users": 105, "seats_enforced": True, "extra_seats": 5}, {}, True, ["seats_over_count"]),
        ({"reported_users": 106, "seats_enforced": True, "extra_seats": 5}, {}, False, ["seats_exceeded"]),
    ],
)
def test_each_guard_speaks_for_itself(
    facts: dict[str, Any], asked: dict[str, Any], valid: bool, found: list[str]
) -> None:
    decision = decide(**facts, **asked)
    assert (decision.valid, codes(decision)) == (valid, found)
    assert decision.code == (found[0] if found else "valid")


def test_all_findings_are_given_and_the_first_refusal_is_the_headline() -> None:
    decision = decide(
        END + timedelta(days=99),
        state=LicenseState.SUSPENDED,
        fingerprint="gamma",
        entitlements={"bots"},
        reported_users=500,
    )
    assert decision.code == "suspended"
    assert codes(decision) == [
        "suspended", "expired", "activation_limit_reached", "entitlement_missing", "seats_over_count",
    ]  # fmt: skip


def test_an_allowed_overage_does_not_hide_an_ended_term() -> None:
    decision = decide(END + timedelta(days=11), reported_users=101)
    assert (decision.valid, decision.code) == (False, "expired")
    assert codes(decision) == ["expired", "seats_over_count"]


def test_a_warning_never_stands_in_front_of_a_refusal() -> None:
    decision = decide(END + MS, state=LicenseState.SUPERSEDED, entitlements={"bots"})
    assert codes(decision) == ["in_grace", "superseded", "entitlement_missing"]
    assert (decision.valid, decision.code) == (False, "entitlement_missing")


@pytest.mark.parametrize("fingerprint", [None, "alpha", "gamma"])
@pytest.mark.parametrize("entitlements", [None, {"saml"}, {"bots"}])
def test_a_bare_key_cannot_tell_unknown_revoked_and_foreign_apart(
    fingerprint: str | None, entitlements: set[str] | None
) -> None:
    revoked = decide(
        END + timedelta(days=99),
        credential=Credential.BARE_KEY,
        state=LicenseState.REVOKED,
        fingerprint=fingerprint,
        entitlements=entitlements,
    )
    unknown = decide_on(None, ValidationRequest(Credential.BARE_KEY), NOW)
    assert revoked == unknown
    assert (unknown.valid, unknown.code, unknown.reveals) == (False, "not_found", False)


@pytest.mark.parametrize("credential", [Credential.SIGNED_FILE, Credential.OWNER_API_KEY])
def test_the_signed_file_and_the_owners_key_get_the_true_code(credential: Credential) -> None:
    revoked = decide(credential=credential, state=LicenseState.REVOKED)
    assert (revoked.code, revoked.reveals) == ("revoked", True)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"state": LicenseState.SUSPENDED}, "suspended"),
        ({"expires_at": START, "grace_days": 0}, "expired"),
        ({}, "valid"),
    ],
)
def test_a_bare_key_learns_everything_else(facts: dict[str, Any], code: str) -> None:
    decision = decide(credential=Credential.BARE_KEY, **facts)
    assert (decision.code, decision.reveals) == (code, True)


def test_a_file_that_cannot_be_believed_is_answered_with_its_fault(keys: list[RSAPublicKey]) -> None:
    with pytest.raises(LicenseFileRejected) as rejected:
        verify_file("AAAA", keys)
    decision = refuse_file(rejected.value)
    assert (decision.valid, decision.code, decision.reveals) == (False, "too_short", False)
    assert codes(decision) == ["too_short"]


facts = st.builds(
    ValidationFacts,
    state=st.sampled_from(LicenseState),
    starts_at=st.timedeltas(timedelta(days=-900), timedelta(days=900)).map(lambda d: NOW + d),
    expires_at=st.timedeltas(timedelta(days=-900), timedelta(days=900)).map(lambda d: NOW + d),
    grace_days=st.integers(0, 60),
    seats=st.integers(0, 200),
    entitlements=st.frozensets(st.sampled_from("abcd")),
    activation_limit=st.none() | st.integers(0, 3),
    fingerprints=st.frozensets(st.sampled_from("uvwx")),
    seats_enforced=st.booleans(),
    extra_seats=st.integers(0, 20),
    reported_users=st.none() | st.integers(0, 300),
)
requests = st.builds(
    ValidationRequest,
    st.sampled_from(Credential),
    st.none() | st.sampled_from("uvwxyz"),
    st.none() | st.frozensets(st.sampled_from("abcdef")),
)


@given(facts, requests)
def test_nothing_makes_a_license_valid_beyond_its_grace(stated: ValidationFacts, request: ValidationRequest) -> None:
    if stated.expires_at + timedelta(days=stated.grace_days) < NOW:
        decision = decide_on(stated, request, NOW)
        assert not decision.valid
        assert "expired" in codes(decision) or not decision.reveals


@given(facts, requests)
def test_valid_means_that_nothing_blocks_and_the_headline_is_among_the_findings(
    stated: ValidationFacts, request: ValidationRequest
) -> None:
    decision = decide_on(stated, request, NOW)
    assert decision.valid == (not any(finding.blocks for finding in decision.findings))
    headline = [finding for finding in decision.findings if finding.code == decision.code]
    assert headline or (decision.code == "valid" and not decision.findings)
    assert decision.valid or headline[0].severity is Severity.ERROR


@given(facts, requests)
def test_a_withdrawn_license_is_never_valid(stated: ValidationFacts, request: ValidationRequest) -> None:
    if stated.state in {LicenseState.REVOKED, LicenseState.SUSPENDED}:
        assert not decide_on(stated, request, NOW).valid


@given(facts, requests, st.integers(0, 300))
def test_more_users_never_help(stated: ValidationFacts, request: ValidationRequest, more: int) -> None:
    crowded = replace(stated, reported_users=(stated.reported_users or 0) + more)
    assert decide_on(stated, request, NOW).valid >= decide_on(crowded, request, NOW).valid


@given(st.timedeltas(timedelta(days=-3), timedelta(days=3)))
def test_online_and_offline_agree_on_the_end(past: timedelta) -> None:
    file = claims(starts_at=START, expires_at=END)
    online = decide(file.expires_at + past, expires_at=file.expires_at, grace_days=0)
    assert (online.code == "expired") == is_expired(file, file.expires_at + past)


def test_a_dead_server_and_one_too_many_are_refused_and_more_than_were_bought_is_a_warning() -> None:
    assert decide(fingerprint="alpha", heartbeat_dead=True).code == "heartbeat_dead"
    assert decide(fingerprint="alpha", beyond_limit=True).code == "too_many_activations"
    over = decide(fingerprint="alpha", activations_bought=1)
    assert (over.valid, codes(over)) == (True, ["activations_over_limit"])
    assert codes(decide(fingerprint="gamma", activations_in_use=1)) == ["not_activated"]


def test_every_code_says_what_to_do() -> None:
    every = [
        decide(START - MS), decide(END + MS), decide(END + timedelta(days=99)), decide(fingerprint="gamma"),
        decide(fingerprint="gamma", activation_limit=9), decide(entitlements={"bots"}), decide(reported_users=999),
        decide(reported_users=999, seats_enforced=True), *(decide(state=state) for state in LicenseState),
        decide_on(None, ValidationRequest(Credential.BARE_KEY), NOW),
        decide(fingerprint="beta", activations_bought=1, heartbeat_dead=True, beyond_limit=True),
    ]  # fmt: skip
    findings = [finding for decision in every for finding in decision.findings]
    assert {finding.code for finding in findings} == {code.value for code in Code} - {"valid"}
    assert all(finding.remedy.endswith(".") and finding.detail.endswith(".") for finding in findings)
