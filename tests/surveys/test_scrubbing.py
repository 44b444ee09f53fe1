import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.security import new_api_key
from app.surveys.scrubbing import scrub


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("Write to ana.berg@acme.example, please", "Write to [e-mail] please"),
        ("call me: +49 (0)30 123-456-78!", "call me: [number]!"),
        ("0171/2345678 or 555 123 4567", "[number] or [number]"),
        ("my card 4242 4242 4242 4242", "my card [number]"),
        ("see https://shop.example/survey/srv_1.tok?score=3 now", "see [link] now"),
        ("see https://shop.example/ and www.docs.example.", "see shop.example and www.docs.example"),
        ("https://ana:pw@shop.example/x", "[e-mail]"),
        ("since 2026-11-22 we use 500 seats, 12 servers and v10.5.2", None),
        ("Too slow. 3 days for a quote, €4,999.00 is a lot :-(", None),
    ],
)
def test_contact_data_is_taken_out_and_the_rest_is_kept(written: str, told: str | None) -> None:
    assert scrub(written) == (written if told is None else told)


def test_keys_are_taken_out() -> None:
    key = new_api_key()
    assert scrub(f"my key is {key} ok") == "my key is [removed] ok"


@given(st.emails(), st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=40))
def test_no_address_survives_in_any_surrounding(address: str, around: str) -> None:
    left = scrub(f"{around} {address} {around}")
    assert address not in left
    assert address not in scrub(around + address + around)


@given(st.integers(1_000_000, 10**15), st.sampled_from([" ", "-", "/", ".", ""]))
def test_no_long_number_survives_however_it_is_grouped(number: int, gap: str) -> None:
    digits = str(number)
    grouped = gap.join(digits[start : start + 3] for start in range(0, len(digits), 3))
    assert scrub(f"tel {grouped}, thanks") == "tel [number], thanks"


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=300))
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)
