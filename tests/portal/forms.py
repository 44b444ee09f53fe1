"""A browser without scripts: reads a page's forms, fills them in, sends them; counts what a person has to do."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


@dataclass
class Input:
    name: str
    value: str
    type: str
    required: bool
    options: tuple[str, ...] = ()


@dataclass
class PageForm:
    """One form of a page as it would be sent: every input that is not a button and not an empty tick."""

    action: str
    method: str
    inputs: list[Input] = field(default_factory=list)
    ticks: list[Input] = field(default_factory=list)  # unticked boxes and radios
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # name, value, label

    def values(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for each in self.inputs:
            if each.type != "file":
                found.setdefault(each.name, []).append(each.value)
        return found

    def value(self, name: str) -> str:
        return next(each.value for each in self.inputs if each.name == name)

    def to_type(self) -> list[str]:
        """Required inputs that a person still has to fill in or tick."""
        visible = [each for each in self.inputs if each.type != "hidden" and each.required and not each.value]
        return [each.name for each in [*visible, *(tick for tick in self.ticks if tick.required)]]


class Page(HTMLParser):
    """What a person sees of a page, and its forms."""

    def __init__(self, html: str, url: str = "") -> None:
        super().__init__()
        self.html, self.url = html, url
        self.forms: list[PageForm] = []
        self.links: list[str] = []
        self._texts: list[str] = []
        self._form: PageForm | None = None
        self._select: Input | None = None
        self._area: Input | None = None
        self._button: tuple[str, str] | None = None
        self._label = ""
        self._hidden = 0
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in {"script", "style"}:
            self._hidden += 1
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "form":
            self._form = PageForm(urljoin(self.url, given.get("action", "")), given.get("method", "get"))
            self.forms.append(self._form)
        if self._form is not None:
            self._in_form(self._form, tag, given)

    def _in_form(self, form: PageForm, tag: str, given: dict[str, str]) -> None:
        name, kind, required = given.get("name", ""), given.get("type", "text"), "required" in given
        if tag == "input" and name:
            each = Input(name, given.get("value", ""), kind, required)
            off = kind in {"checkbox", "radio"} and "checked" not in given
            (form.ticks if off else form.inputs).append(each)
        elif tag == "select":
            self._select = Input(name, "", "select", required)
            form.inputs.append(self._select)
        elif tag == "option" and self._select is not None:
            self._select.options = (*self._select.options, given.get("value", ""))
            if "selected" in given or len(self._select.options) == 1:
                self._select.value = given.get("value", "")
        elif tag == "textarea":
            self._area = Input(name, "", "textarea", required)
            form.inputs.append(self._area)
        elif tag == "button":
            self._button, self._label = (name, given.get("value", "")), ""

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._hidden -= 1
        if tag == "button" and self._button is not None and self._form is not None:
            self._form.buttons.append((*self._button, " ".join(self._label.split())))
            self._button = None
        elif tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self._texts.append(data)
        if self._area is not None:
            self._area.value += data
        if self._button is not None:
            self._label += data

    def form(self, action: str, button: str = "") -> PageForm:
        """The form whose address ends like this, with that button; one that posts before one that asks."""
        fitting = [form for form in self.forms if httpx.URL(form.action).path.endswith(action)]
        posting = sorted(fitting, key=lambda form: form.method != "post")
        return next(form for form in posting if any(button in each[2] for each in form.buttons))


class Visitor:
    """A person with a browser without scripts; `clicks` and `fields` count what they had to do."""

    def __init__(self, browser: httpx.Client) -> None:
        self.browser = browser
        self.clicks = 0
        self.fields: set[str] = set()
        self.answer: httpx.Response | None = None

    @property
    def page(self) -> Page:
        assert self.answer is not None
        return Page(self.answer.text, str(self.answer.url))

    @property
    def status(self) -> int:
        assert self.answer is not None
        return self.answer.status_code

    def open(self, url: str, **headers: str) -> Page:
        """Go to an address, as from a bookmark."""
        self._arrive(self.browser.get(url, headers={"Accept": "text/html", **headers}))
        return self.page

    def follow(self, href: str) -> Page:
        """Click a link that is on the page."""
        assert href in self.page.links, f"{href} is not on the page: {self.page.links}"
        self.clicks += 1
        return self.open(urljoin(self.page.url, href))

    def send(self, action: str, button: str = "", /, *ticks: str, **typed: str) -> Page:
        """Fill in the form with this action, tick boxes by name or value, press a button by its label."""
        form = self.page.form(action, button)
        values = form.values()
        for name, value in typed.items():
            if values.get(name) != [value]:
                self.fields.add(name)
            values[name] = [value]
        for name in ticks:
            box = next(each for each in form.ticks if name in {each.name, each.value})
            values.setdefault(box.name, []).append(box.value)
            self.clicks += 1
        pressed = next(each for each in form.buttons if button in each[2])
        if pressed[0]:
            values[pressed[0]] = [pressed[1]]
        self.clicks += 1
        return self.post(form.action, values)

    def post(self, url: str, values: dict[str, list[str]], file: bytes | None = None) -> Page:
        files = {"file": ("license", file)} if file is not None else None
        headers = {"Accept": "text/html", "Origin": "null"}
        self._arrive(self.browser.post(url, data=values, files=files, headers=headers))
        return self.page

    def _arrive(self, answer: httpx.Response) -> None:
        """Follow redirects as a browser does: the next request is a GET."""
        while answer.is_redirect:
            answer = self.browser.get(urljoin(str(answer.url), answer.headers["location"]),
                                      headers={"Accept": "text/html"})  # fmt: skip
        self.answer = answer
