"""Reading JSON strictly, and counting askers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.api.shapes import MAX_DEPTH, strict_json
from app.web.throttle import Rate, Throttle, address_block

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_every_json_value_is_read_as_json_reads_it(value: object) -> None:
    for ascii_only in (True, False):
        assert strict_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused_as_malformed_and_never_fail_otherwise(body: bytes) -> None:
    try:
        strict_json(body)
    except json.JSONDecodeError:
        return
    json.loads(body)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_is_counted_to_the_level(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    assert strict_json((opening * (MAX_DEPTH - 1) + "[]" + closing * (MAX_DEPTH - 1)).encode())
    with pytest.raises(json.JSONDecodeError):
        strict_json((opening * MAX_DEPTH + "[]" + closing * MAX_DEPTH).encode())


def test_brackets_inside_strings_are_no_depth() -> None:
    text = '[{"' * 400 + '\\"' + "]}" * 3
    assert strict_json(json.dumps([text]).encode()) == [text]


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    throttle = Throttle(Rate(burst=30, per_second=3))
    assert [throttle.take("a", 0) for _ in range(30)] == [0] * 30
    wait = throttle.take("a", 0)
    assert wait == pytest.approx(1 / 3)
    assert throttle.take("b", 0) == 0  # somebody else
    assert throttle.take("a", 0.34) == 0
    assert throttle.take("a", 0.34) > 0
    served = sum(throttle.take("a", 0.34 + step / 100) == 0 for step in range(1, 1001))
    assert served in {30, 31}  # ten seconds at three a second
    assert [throttle.take("a", 100) for _ in range(31)].count(0) == 30


def test_asking_again_while_refused_does_not_make_the_wait_longer() -> None:
    throttle = Throttle(Rate(burst=1, per_second=1))
    throttle.take("a", 0)
    for step in range(99):
        assert throttle.take("a", step / 100) > 0
    assert throttle.take("a", 1.0) == 0


def test_a_burst_of_nothing_is_no_limit() -> None:
    throttle = Throttle(Rate(burst=0, per_second=1))
    assert all(throttle.take("a", 0) == 0 for _ in range(1000))


def test_many_askers_do_not_fill_the_memory_and_the_busy_stay_counted() -> None:
    throttle = Throttle(Rate(burst=2, per_second=1))
    for number in range(200_000):
        throttle.take(f"10.0.{number}", number / 100_000)
    throttle.take("busy", 2.0)
    throttle.take("busy", 2.0)
    assert throttle.take("busy", 2.0) > 0
    assert len(throttle._buckets) <= 50_000  # noqa: SLF001 -- how much is remembered shows nowhere else


def test_an_ipv6_subscriber_is_one_asker() -> None:
    one, two = address_block("2001:db8:1:2::1"), address_block("2001:db8:1:2:ffff::9")
    assert one == two == "2001:db8:1:2::"
    assert address_block("2001:db8:1:3::1") != one
    assert address_block("192.0.2.7") == "192.0.2.7"
    assert address_block("fe80::1%eth0") == "fe80::"
    assert address_block("not:an:address") == "not:an:address"
