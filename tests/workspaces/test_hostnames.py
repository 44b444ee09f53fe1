"""From a company's name to a hostname."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.workspaces import hostnames

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123 §2.1


@pytest.mark.parametrize(
    ("company", "hostname"),
    [
        ("Acme, Inc.", "acme"),
        ("ACME Inc", "acme"),
        ("Müller & Söhne GmbH & Co. KG", "muller-and-sohne"),
        ("Łódź Software Sp. z o.o.", "lodz-software-sp-z-oo"),
        ("Straße ß", "strasse-ss"),
        ("O\u2019Reilly's", "oreillys"),
        ("Crédit Agricole S.A.", "credit-agricole"),
        ("株式会社", "workspace"),
        ("🦄", "workspace"),
        ("", "workspace"),
        ("Inc.", "inc"),
        ("Admin", "admin-team"),
        ("Q", "q-team"),
        ("3M", "3m-team"),
        ("--- xn--acme ---", "xn-acme"),
        (
            "A very long company name that no address bar could ever hold, Limited",
            "a-very-long-company-name-that-no-address",
        ),
    ],
)
def test_a_companys_name_becomes_a_hostname_its_people_recognize(company: str, hostname: str) -> None:
    assert hostnames.from_company(company) == hostname


@given(st.text(max_size=120))
def test_every_companys_name_becomes_a_usable_hostname(company: str) -> None:
    made = hostnames.from_company(company)
    assert _LABEL.fullmatch(made)
    assert hostnames.require_usable(made) == made


@given(st.text(max_size=60))
def test_a_wish_is_usable_as_a_label_or_refused_with_a_remedy(wish: str) -> None:
    label = wish.strip().lower()
    reason = hostnames.refusal(label)
    if reason is None:
        assert hostnames.require_usable(wish) == label
        assert _LABEL.fullmatch(label)
        assert label not in hostnames.RESERVED
        return
    with pytest.raises(Invalid, match=re.escape(reason)) as refused:
        hostnames.require_usable(wish)
    assert (refused.value.param, reason[-1]) == ("hostname", ".")


@pytest.mark.parametrize(
    "wish", ["www", "API", " admin ", "xn--acme", "a_b_c", "acme-", "ac", "a" * 41, "ac\nme", "\u0430cme"]
)
def test_a_name_that_deceives_or_breaks_is_refused(wish: str) -> None:
    with pytest.raises(Invalid):
        hostnames.require_usable(wish)


def test_alternatives_leave_out_what_is_taken() -> None:
    found = hostnames.alternatives("acme", frozenset({"acme", "acme-2", "acme-4"}))
    assert list(itertools.islice(found, 3)) == ["acme-3", "acme-5", "acme-6"]
    assert next(hostnames.alternatives("acme", frozenset())) == "acme"
