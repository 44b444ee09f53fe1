"""A person at a browser: every click and every field counted, every page pictured and read by axe."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # ships no types
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from app.core import keys
from app.licenses.formats.verify import load_keys, verify_license_file
from tests.world import FULL, World

WIDTHS = (390, 1280)


@dataclass(slots=True)
class Hand:
    """What the person does, counted."""

    tab: Tab
    clicks: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)

    def click(self, role: str, name: str | re.Pattern[str]) -> None:
        target = self.tab.get_by_role(role, name=name).first  # type: ignore[arg-type]  # a role is a long Literal
        self.clicks.append(str(name))
        target.click()

    def fill(self, label: str, value: str) -> None:
        self.fields.append(label)
        self.tab.get_by_label(re.compile(f"^{label}")).first.fill(value)

    def choose(self, label: str, value: str) -> None:
        self.fields.append(label)
        self.tab.get_by_label(re.compile(f"^{label}")).select_option(value)

    @property
    def effort(self) -> dict[str, list[str]]:
        return {"clicks": self.clicks, "fields": self.fields}


def picture(tab: Tab, artifacts: Path, name: str) -> None:
    """At a phone's and a desktop's width no wider than its window, and no serious finding of axe.

    Screenshots are taken in the full run and where BLP_PICTURES is set: they are for people to look at.
    """
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        overflow = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if FULL or "BLP_PICTURES" in os.environ:
            tab.screenshot(path=artifacts / f"{name}-{width}.png", full_page=True)
        assert overflow <= 0, f"{name} is {overflow} px too wide at {width}"
    findings = Axe().run(tab).response["violations"]
    serious = [each for each in findings if each["impact"] in {"serious", "critical"}]
    assert serious == [], f"{name}: {[(each['id'], each['nodes'][0]['html']) for each in serious]}"


def be(tab: Tab, world: World, cookies: httpx.Cookies | dict[str, str]) -> None:
    """Take over a session that was opened elsewhere."""
    pairs = cookies.items()
    given = [{"name": name, "value": value, "url": world.url} for name, value in pairs]
    tab.context.add_cookies(given)  # type: ignore[arg-type]  # a TypedDict of cookies


def license_in_hand(tab: Tab, world: World, folder: Path) -> bytes:
    """The file behind the page's download link, accepted by the verifier."""
    expect(tab.get_by_role("link", name="Download the license file")).to_be_visible(timeout=15_000)
    with tab.expect_download() as started:
        tab.get_by_role("link", name="Download the license file").click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    assert path.name.endswith(".mattermost-license")
    with world.db.transaction() as tx:
        public = "".join(key.public_pem for key in keys.published(tx, keys.KeyPurpose.LICENSE_FILE)).encode()
    data = path.read_bytes()
    assert verify_license_file(data, load_keys(public), world.ports.clock.now()).accepted
    return data
