"""A buyer at the TEST pay page: reads the real form and sends it, as a browser without JavaScript would."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

PAYS = "4242 4242 4242 4242"
DECLINED = "4000 0000 0000 0002"
NO_FUNDS = "4000 0000 0000 9995"
ASKS = "4000 0025 0000 3155"
DECLINES_LATER = "4000 0000 0000 0341"
LOST = "4000 0000 0000 9987"


@dataclass
class Form(HTMLParser):
    """The first posting form of a page, with the values a browser would send if nothing was touched."""

    html: str
    action: str = ""
    values: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, list[str]] = field(default_factory=dict)
    _inside: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method") == "post" and not self.action:
            self.action, self._inside = given["action"], True
        if not self._inside or "name" not in given:
            return
        if tag == "button":
            self.buttons.setdefault(given["name"], []).append(given["value"])
        elif tag == "input" and (given.get("type") != "checkbox" or "checked" in given):
            self.values[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def pay(browser: httpx.Client, url: str, card: str = PAYS, **changes: str) -> httpx.Response:
    """Fill in the card and send the form; returns the answer, usually a redirect. `save=""` unticks the box."""
    page = browser.get(url)
    assert page.status_code == 200, page.status_code
    form = Form(page.text)
    values = {name: value for name, value in (form.values | {"card": card} | changes).items() if value}
    return browser.post(form.action, data=values)


def answer_bank(browser: httpx.Client, asked: httpx.Response, answer: str) -> httpx.Response:
    """Answer the confirm step that paying led to: `approve` or `refuse`."""
    assert asked.status_code == 303, asked.status_code
    form = Form(browser.get(asked.headers["location"]).text)
    assert answer in form.buttons["answer"]
    return browser.post(form.action, data=form.values | {"answer": answer})
