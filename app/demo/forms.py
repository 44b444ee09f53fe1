"""Filling in our own pages as a browser without scripts would: read a form, change some fields, send it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes and what it would send untouched."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._open)
        elif self._open is None:
            return
        elif tag == "select":
            self._select = given.get("name")
        elif tag == "option" and self._select is not None:
            if "selected" in given or self._select not in self._open.values:
                self._open.values[self._select] = given.get("value", "")
        elif tag == "textarea" and "name" in given:
            self._open.values[given["name"]] = ""
        elif tag == "input" and "name" in given and given.get("type") not in {"submit", "file", "button"}:
            if given.get("type") in {"checkbox", "radio"} and "checked" not in given:
                return
            self._open.values[given["name"]] = given.get("value", "on" if given.get("type") == "checkbox" else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = None


def forms(page: httpx.Response) -> list[Form]:
    """Every form of a page, its action made absolute."""
    reader = _Reader()
    reader.feed(page.text)
    for form in reader.forms:
        form.action = urljoin(str(page.url), form.action)
    return reader.forms


def submit(
    browser: httpx.Client, page: httpx.Response, changes: Mapping[str, str], *, action: str | None = None
) -> httpx.Response:
    """Send the page's POST form that has all the changed fields, with those changes.

    `action` picks the form by a part of its address. Raises LookupError, naming what was found instead.
    """
    candidates = [each for each in forms(page) if each.method == "post" and (action is None or action in each.action)]
    if not candidates:
        raise LookupError(f"{page.url} answered {page.status_code} and has no form for {action or sorted(changes)}")
    form = candidates[0]
    origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
    return browser.post(form.action, data={**form.values, **changes}, headers={"Origin": origin})
