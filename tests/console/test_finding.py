"""The search of the console: it finds by parts of words, and reads no whole table to do so."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import event, text

from tests import shop
from tests.console.helping import stock
from tests.signing_in import make_account, make_member, staff_browser
from tests.world import World

_MANY: Final = 20_000
# A table of this size, of the customers' people too; what the planner knows of them is fresh.
_FILL: Final = f"""
INSERT INTO account
 (id, name, type, email, line1, line2, city, region, postcode, country, time_zone, locale, created_at)
SELECT 'acc_' || lpad(n::text, 26, '0'), md5(n::text) || ' ' || md5((n + 1)::text), 'business',
       md5((n + 2)::text) || '@' || md5((n / 7)::text) || '.example', '', '', '', '', '', 'US', 'UTC', 'en', now()
FROM generate_series(1, {_MANY}) n;
INSERT INTO member (id, account_id, email, name, role, created_at)
SELECT 'mem_' || lpad(n::text, 26, '0'), 'acc_' || lpad(n::text, 26, '0'),
       md5((n + 3)::text) || '@' || md5((n / 9)::text) || '.example', md5((n + 4)::text), 'owner', now()
FROM generate_series(1, {_MANY}) n;
"""  # noqa: S608 -- a number of our own


@contextmanager
def watched(world: World) -> Iterator[list[tuple[str, Any]]]:
    """Every question that the doors put to the database."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    event.listen(world.db.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(world.db.engine, "before_cursor_execute", note)


def plans(world: World, asked: list[tuple[str, Any]]) -> list[str]:
    """How PostgreSQL answers those that look for accounts."""
    with world.db.transaction() as tx:
        return [
            "\n".join(row[0] for row in tx.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters))
            for statement, parameters in asked
            if "ILIKE" in statement and "FROM account" in statement
        ]


def test_among_twenty_thousand_accounts_none_is_read_but_those_found(world: World) -> None:
    browser, _ = staff_browser(world)
    with world.db.transaction() as tx:
        ada = make_member(tx, email="ada@engines.example", name="Ada Byron", account=make_account(tx, "Difference Ltd"))
        tx.connection().exec_driver_sql(_FILL)
    with world.db.reading() as connection:  # as autovacuum does: a fresh GIN index has a list of its own to read first
        connection.exec_driver_sql("VACUUM (ANALYZE) account, member")
    for words in ("ifferenc", "DIFFERENCE LTD", "engines.example", "ada@", "Byron", "PO-4711", "INV-2026-00001"):
        with watched(world) as asked:
            html = browser.get("/console/accounts", params={"q": words}).text
        assert (ada.account_id in html) is not words.startswith(("PO", "INV")), words
        with watched(world) as asked_in_the_box:
            browser.get("/console/search", params={"q": words})
        found = plans(world, asked + asked_in_the_box)
        assert len(found) >= 2, words
        for plan in found:
            for table in ("account", "member"):
                assert f"Seq Scan on {table}" not in plan, f"{words}:\n{plan}"
            assert "ix_account_words" in plan
            assert "ix_member_words" in plan


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("fference", True), ("DIFFERENCE", True), ("di", True), ("D", True), ("fe", False), ("%", False), ("_", False),
        ("Ltd", True), ("100% Ltd", False), ("/", False), ("", True), ("engines.example", True), ("yron", True),
        ("Übergröße", False),
    ],
)  # fmt: skip
def test_a_part_of_a_word_is_enough_and_one_or_two_letters_are_its_beginning(
    world: World, words: str, found: bool
) -> None:
    browser, _ = staff_browser(world)
    with world.db.transaction() as tx:
        ada = make_member(tx, email="ada@engines.example", name="Ada Byron", account=make_account(tx, "Difference Ltd"))
    html = browser.get("/console/accounts", params={"q": words}).text
    assert (ada.account_id in html) is found


def test_signs_that_mean_something_to_the_database_mean_themselves(world: World) -> None:
    browser, _ = staff_browser(world)
    with world.db.transaction() as tx:
        odd = make_account(tx, "50% off_the/top GmbH")
        make_account(tx, "50 percent offXthe top GmbH")
    for words in ("50% off", "off_the", "the/top"):
        html = browser.get("/console/accounts", params={"q": words}).text
        assert odd.id in html, words
        assert html.count('href="/console/accounts/acc_') == 1, words


def test_a_customer_is_found_by_what_belongs_to_them(world: World) -> None:
    browser, _ = staff_browser(world)
    order = shop.buy(world)
    with world.db.transaction() as tx:
        facts = tx.execute(
            text("SELECT i.number, l.file_id, l.id, t.value FROM invoice i, license l, account_tax_id t")
        ).one()
    for known in (*facts, order.id, order.account_id):
        assert order.account_id in browser.get("/console/accounts", params={"q": known}).text, known


def test_trials_and_merged_licenses_are_found_by_what_people_know_of_them(world: World) -> None:
    browser, _ = staff_browser(world)
    there = stock(world)
    with world.db.transaction() as tx:
        file_id = tx.execute(text("SELECT file_id FROM merged_license")).scalar_one()
    merged, trial = f"merged-licenses/{there.merged}", f"trials/{there.trial}"
    straight = {there.trial: trial, "ehsr1oaxbty8bmw6xqhp8pj7pe": trial, there.merged: merged, file_id: merged}
    for known, page in straight.items():
        answer = browser.get("/console/search", params={"q": known})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/console/{page}"), known
    for known in ("tess@trying.example", "TESS@trying.example", "trying.example", "Trying Ltd", "ying"):
        assert f"/console/trials/{there.trial}" in browser.get("/console/search", params={"q": known}).text, known
    for filters, found in (
        ({}, True), ({"q": "chat.example.org"}, True), ({"q": there.order.account_id}, True),
        ({"state": "active"}, True), ({"state": "revoked"}, False), ({"q": "chat"}, False),
    ):  # fmt: skip
        listed = browser.get("/console/merged-licenses", params=filters)
        assert (there.merged in listed.text) is found, filters
    page = browser.get(f"/console/merged-licenses/{there.merged}").text
    assert there.license in page, "it names the licenses that it was made of"
