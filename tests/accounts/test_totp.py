"""Codes of an authenticator: one spelling, one use, a little drift (S6)."""

from datetime import UTC, datetime, timedelta

import pyotp
from hypothesis import given
from hypothesis import strategies as st

from app.accounts import totp

# RFC 6238 appendix B: the secret "12345678901234567890" and its SHA-1 codes, of eight digits there.
RFC_SECRET = totp.secret_of(b"12345678901234567890")
NOW = datetime(2026, 11, 22, 9, 0, 0, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30


def test_the_codes_of_the_standard_are_accepted_at_their_times() -> None:
    for seconds, eight_digits in ((59, "94287082"), (1111111109, "07081804"), (20000000000, "65353130")):
        at = datetime.fromtimestamp(seconds, UTC)
        assert totp.step_of(RFC_SECRET, eight_digits[2:], used=0, now=at) == seconds // 30


def test_a_clock_may_be_one_step_off_and_no_more() -> None:
    """S6: plus or minus one step."""
    accepted = [
        drift for drift in range(-4, 5)
        if totp.step_of(RFC_SECRET, pyotp.HOTP(RFC_SECRET).at(STEP + drift), used=0, now=NOW) is not None
    ]  # fmt: skip
    assert accepted == [-1, 0, 1]


def test_a_spent_step_and_those_before_it_are_refused() -> None:
    """S6: one use."""
    code = pyotp.HOTP(RFC_SECRET).at(STEP)
    assert totp.step_of(RFC_SECRET, code, used=STEP - 1, now=NOW) == STEP
    assert totp.step_of(RFC_SECRET, code, used=STEP, now=NOW) is None
    assert totp.step_of(RFC_SECRET, pyotp.HOTP(RFC_SECRET).at(STEP - 1), used=STEP, now=NOW) is None


@given(st.lists(st.sampled_from([" ", "-", "\u00a0", "\u2009", "."]), min_size=6, max_size=6), st.booleans())
def test_spaces_dashes_and_wide_digits_do_not_make_another_code(between: list[str], wide: bool) -> None:
    """S6: normalised before anything is compared, so that a respelled code is still a spent one."""
    digits = pyotp.HOTP(RFC_SECRET).at(STEP)
    if wide:
        digits = digits.translate({ord("0") + n: 0xFF10 + n for n in range(10)})
    typed = "".join(gap + digit for gap, digit in zip(between, digits, strict=True))
    assert totp.step_of(RFC_SECRET, typed, used=0, now=NOW) == STEP
    assert totp.step_of(RFC_SECRET, typed, used=STEP, now=NOW) is None


@given(st.text(max_size=12))
def test_whatever_is_typed_is_an_answer_and_not_a_crash(typed: str) -> None:
    normal = totp.normal_code(typed)
    assert normal == "" or (normal.isascii() and normal.isdecimal())
    assert totp.normal_code(normal) == normal


def test_the_secret_reaches_the_authenticator_with_the_names_a_person_looks_for() -> None:
    address = totp.address(RFC_SECRET, person="grace@vendor.example", vendor="Acme Chat")
    read = pyotp.parse_uri(address)
    assert (read.secret, read.issuer, read.name) == (RFC_SECRET, "Acme Chat", "grace@vendor.example")
    assert timedelta(seconds=30) == timedelta(seconds=read.interval if isinstance(read, pyotp.TOTP) else 0)
