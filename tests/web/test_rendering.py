"""The environment itself: escaping, missing values, languages, charts and the policy."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader, Environment, UndefinedError

from app.web import charts, pages
from app.web.states import state
from app.web.views import Bar, ErrorView, Shell

SHELL = Shell(vendor="Northwind", csrf_token="t")


class German(pages.English):
    def gettext(self, message: str) -> str:
        return {"Hello %(name)s": "Hallo %(name)s"}.get(message, message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        return {"%(n)s seat": "%(n)s Platz", "%(n)s seats": "%(n)s Plätze"}[one if count == 1 else many]

    def number(self, value: int) -> str:
        return f"{value:,}".replace(",", ".")


@dataclass(frozen=True)
class Snippet:
    template: ClassVar[str] = "snippet.html"
    value: object = ""


def rendered(source: str, value: object = "", language: pages.Language | None = None) -> str:
    env = pages.environment(language=language)
    env.loader = DictLoader({"snippet.html": source})
    return pages.render(env, Snippet(value), SHELL)


def test_a_name_that_the_view_lacks_is_an_error_and_not_a_blank() -> None:
    with pytest.raises(UndefinedError):
        rendered("{{ page.missing }}")


def test_a_translated_sentence_escapes_what_is_filled_in() -> None:
    assert rendered('{{ _("Hello %(name)s", name=page.value) }}', "<b>", German()) == "Hallo &lt;b&gt;"


@pytest.mark.parametrize(("count", "text"), [(1, "1 Platz"), (1200, "1.200 Plätze")])
def test_a_counted_sentence_follows_the_language(count: int, text: str) -> None:
    assert rendered('{{ ngettext("%(n)s seat", "%(n)s seats", page.value) }}', count, German()) == text


def test_a_date_is_written_for_people_and_machines() -> None:
    assert rendered("{{ page.value|day }}", date(2027, 11, 21)) == '<time datetime="2027-11-21">21 November 2027</time>'


def test_an_instant_names_its_time_zone() -> None:
    html = rendered("{{ page.value|moment }}", datetime(2026, 11, 22, 9, 41, tzinfo=UTC))
    assert html == '<time datetime="2026-11-22T09:41:00+00:00">22 Nov 2026, 09:41 UTC</time>'


@given(st.text(max_size=60))
def test_breaking_a_long_word_loses_and_adds_nothing(word: str) -> None:
    env = Environment(autoescape=True)
    plain = str(env.from_string("{{ word }}").render(word=word))
    assert str(pages.breakable(word)).replace("<wbr>", "") == plain


def test_static_files_may_be_cached_for_ever() -> None:
    address = pages.static_url("blp.css")
    assert address.startswith("/static/blp.css?v=")
    assert pages.static_url("blp.css") == address != pages.static_url("blp.js")


def test_the_policy_allows_nothing_inline_and_nothing_foreign() -> None:
    assert "default-src 'none'" in pages.CONTENT_SECURITY_POLICY
    assert "unsafe" not in pages.CONTENT_SECURITY_POLICY
    assert "http" not in pages.CONTENT_SECURITY_POLICY


def test_an_unlisted_state_is_shown_under_its_own_name() -> None:
    assert (state("past_due").text, state("past_due").tone) == ("Payment failed", "warn")
    assert (state("half_baked").text, state("half_baked").tone) == ("Half baked", "quiet")


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=24))
def test_the_tallest_column_fills_the_chart_and_none_leaves_it(values: list[int]) -> None:
    heights = [
        float(column.height.rstrip("%")) for column in charts.columns([Bar(label="", value=v, text="") for v in values])
    ]
    assert all(0 <= height <= 100 for height in heights)
    assert max(heights) == (100 if any(values) else 0)


def test_a_column_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        charts.columns([Bar(label="", value=-1, text="")])


@pytest.mark.parametrize(("value", "place"), [(-100, "0%"), (0, "50%"), (42, "71%"), (100, "100%"), (140, "100%")])
def test_a_score_lies_where_it_belongs(value: int, place: str) -> None:
    assert charts.on_scale(value, -100, 100) == place


def test_an_error_page_names_the_request_to_support() -> None:
    env = pages.environment()
    page = ErrorView(status=500, title="Sorry", detail="It was us.", request_id="req_1")
    html = pages.render(env, page, Shell(vendor="N", csrf_token="t", support_email="help@n.example"))
    assert "req_1" in html.replace("<wbr>", "")
    assert "help@n.example" in html
