"""Renders pages as a door would, checks what every page owes its reader, and keeps the HTML where asked.

With BLP_PAGES_DIR set, each rendered page is also written there as `<name>.html` (static files beside it), to be
looked at in a browser.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from app.web import pages
from app.web.views import Page, Shell

_LABELLED: Final = {"input", "select", "textarea"}
_SANDBOX: Final = Path(pages.STATIC).parent.parent / "adapters" / "sandbox" / "templates"


class Outline(HTMLParser):
    """What a page is made of, as far as the rules below ask."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.headings: list[str] = []
        self.open_labels = 0
        self.wrapped: list[bool] = []  # for each tag, whether it stands inside a label
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"<{tag}> repeats an attribute: {attrs}"
        self.tags.append((tag, given))
        self.wrapped.append(self.open_labels > 0)
        self.open_labels += tag == "label"
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.open_labels -= tag == "label"

    def all(self, name: str) -> list[dict[str, str]]:
        return [attrs for tag, attrs in self.tags if tag == name]


def _ids(outline: Outline) -> Counter[str]:
    return Counter(attrs["id"] for _, attrs in outline.tags if "id" in attrs)


def _check_inputs_are_labelled(outline: Outline) -> None:
    labelled = {attrs["for"] for attrs in outline.all("label") if "for" in attrs}
    for (tag, attrs), wrapped in zip(outline.tags, outline.wrapped, strict=True):
        if tag in _LABELLED and attrs.get("type") != "hidden":
            assert wrapped or attrs.get("id") in labelled, f"no label for <{tag} {attrs}>"


def _check_references(outline: Outline) -> None:
    ids = _ids(outline)
    assert not [name for name, count in ids.items() if count > 1], f"ids repeat: {ids}"
    for _, attrs in outline.tags:
        for name in ("for", "aria-describedby", "aria-labelledby"):
            for target in attrs.get(name, "").split():
                assert target in ids, f'{name}="{target}" points nowhere'
        href = attrs.get("href", "")
        if href.startswith("#"):
            assert href[1:] in ids, f"{href} points nowhere"


def _check_policy(outline: Outline) -> None:
    """Nothing that the Content-Security-Policy would refuse, and no GET that changes something."""
    for tag, attrs in outline.tags:
        assert tag != "style", "an inline stylesheet"
        assert "style" not in attrs, f"inline style on <{tag}>"
        assert not [name for name in attrs if name.startswith("on")], f"inline script on <{tag}>"
        assert tag != "script" or attrs.get("src", "").startswith("/static/"), "an inline or foreign script"
        if tag in {"link", "img"}:
            source = attrs.get("href", "") or attrs.get("src", "")
            assert source.startswith(("/static/", "data:image/")), f"third-party {source}"
    for form in outline.all("form"):
        assert form.get("action", "").startswith("/"), f"a form that posts elsewhere: {form}"


def assert_well_formed(html: str) -> None:
    """The rules of every whole page (ADR 0014)."""
    outline = Outline(html)
    assert outline.headings.count("h1") == 1
    assert outline.headings[0] == "h1"
    levels = [int(heading[1]) for heading in outline.headings]
    assert all(after - before <= 1 for before, after in pairwise(levels)), "a level is skipped"
    _check_inputs_are_labelled(outline)
    _check_references(outline)
    _check_policy(outline)


def assert_posts_carry_the_token(html: str, token: str) -> None:
    """Every form that posts proves where it came from."""
    for piece in html.split('<form method="post"')[1:]:
        assert f'name="csrf_token" value="{token}"' in piece.split("</form>")[0]


@pytest.fixture(scope="session")
def show() -> Callable[[str, Page, Shell], str]:
    """Render a page under a name, check it, and keep it if BLP_PAGES_DIR says where."""
    env = pages.environment({"sandbox": _SANDBOX})
    folder = os.environ.get("BLP_PAGES_DIR")
    if folder:
        shutil.copytree(pages.STATIC, Path(folder) / "static", dirs_exist_ok=True)

    def render(name: str, page: Page, shell: Shell) -> str:
        html = pages.render(env, page, shell)
        if folder:
            (Path(folder) / f"{name}.html").write_text(html, encoding="utf-8")
        if html.lstrip().startswith("<!doctype"):
            assert_well_formed(html)
            assert_posts_carry_the_token(html, shell.csrf_token)
        return html

    return render
