"""Addresses are compared in one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.addresses import normal_email
from app.core.errors import Invalid


def test_case_and_blanks_around_an_address_do_not_matter() -> None:
    assert normal_email("  Ada@Engines.Example\n") == "ada@engines.example"


@pytest.mark.parametrize(
    "text", ["", "ada", "ada@", "@engines.example", "ada@engines", "a b@engines.example", "a@b@c.example", "a@b.",
             "ada@engines.example\r\nBcc: x@y.example", "a\x00@engines.example", "a" * 250 + "@b.co"],
)  # fmt: skip
def test_what_cannot_be_an_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        normal_email(text)
    assert refused.value.param == "email"


@given(st.text(max_size=30))
def test_a_normal_address_stays_as_it_is(text: str) -> None:
    try:
        once = normal_email(text)
    except Invalid:
        return
    assert normal_email(once) == once
