"""`/account/licenses`: what the licenses give together, one file for all of it, and what each is for (R-LIC-3)."""

import re

from sqlalchemy import select
from sqlmodel import col

from app.flows import tick
from app.licenses.models import License, MergedLicense
from tests import shop
from tests.portal.buyers import signed_in
from tests.signing_in import staff_browser
from tests.world import World


def test_the_page_shows_the_sum_where_it_comes_from_and_hands_out_one_file(world: World) -> None:
    base = shop.buy(world, seats=20)
    ada = signed_in(world, base)
    alone = ada.open("/account/licenses")
    assert "Production: 20 seats" in alone.text
    assert "the last license ends" in alone.text
    assert "One file for all of it" not in alone.text
    pack = shop.buy(world, seats=12, interval="month")
    tick.tick(world.ports)
    world.work()
    page = ada.open("/account/licenses")
    assert "Production: 32 seats" in page.text
    # The pack is paid by card month by month, so its end is not foretold as if it were certain.
    assert "you drop to 20 seats. Unless it renews by itself, as it is set to." in page.text
    assert re.search(
        r'<svg class="seats" role="img" aria-label="[^"]+">\s*<rect', ada.browser.get("/account/licenses").text
    )
    href = next(link for link in page.links if link.startswith("/account/licenses/together/"))
    file = ada.browser.get(href)
    with world.db.transaction() as tx:
        merged = tx.execute(select(MergedLicense)).scalar_one()
        lic = tx.execute(select(License).where(col(License.order_id) == pack.id)).scalar_one().id
    assert (file.text, merged.seats) == (merged.file_text, 32)
    assert file.headers["content-disposition"].endswith('together.mattermost-license"')
    # The pack turns out to be for tests: it does not add up any more, and the file follows.
    ada.open(f"/account/licenses/{lic}")
    ada.send("/label", label="Playground", environment="non_production", server="test.example.org")
    assert "Playground" in ada.page.text
    tick.tick(world.ports)
    world.work()
    page = ada.open("/account/licenses")
    assert "Production: 20 seats" in page.text
    assert "Tests and staging: 12 seats" in page.text
    assert "Earlier merged files" in page.text
    ada.open(f"/account/licenses/{lic}")
    assert "Choose one of them" in ada.send("/label", label="Playground", environment="moon", server="").text
    assert "at most 120 characters" in ada.send("/label", environment="production", server="x" * 121).text
    grace, _ = staff_browser(world)
    shown = grace.get(f"/console/accounts/{base.account_id}")
    assert '<span class="num">12 seats</span>' in shown.text
