"""Figures of the running installation: what a request costs the server process, in CPU time, beside a bare hello."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from typing import Final

from sqlalchemy import text

from app.bench.buying import REQUESTS, browser, buy, wait_for_quiet, wanted
from app.bench.harness import RUNS, Figure, Round, Unit, alternate, cpu_seconds
from app.bench.house import House, Served
from app.bench.load import ROUND_SECONDS, fire, post

_PER_REQUEST: Final = Unit("CPU µs of the web process per request", 1_000_000)
_PER_PURCHASE: Final = Unit("CPU ms of web and worker process per purchase", 1_000)
_PADDED: Final = post("/", {"padding": "x" * 64})
_HELLO: Final = "a bare ASGI hello on the same uvicorn settings, same client"


def validate_cached(house: House, count: Callable[[int], int]) -> Figure:
    """The same license file asked about again within the minute."""
    file = _license_file(house)
    request = post("/v1/licenses/validate", {"license": file})
    return _validations("validate_cached", house, lambda _: request, count(8_000), count(10_000))


def validate_nonce(house: House, count: Callable[[int], int]) -> Figure:
    """A nonce in each request, so that each answer is decided and signed afresh; the license is remembered."""
    file = _license_file(house)

    def request(number: int) -> bytes:
        return post("/v1/licenses/validate", {"license": file, "nonce": f"bench-{number}"})

    return _validations("validate_nonce", house, request, count(2_000), count(10_000))


def validate_uncached(house: House, count: Callable[[int], int]) -> Figure:
    """Another license in each request, which is read from the database; the answer is signed."""
    n = count(2_000)
    rounds = 2 * (RUNS + 1)  # each round asks for licenses that no process has been asked for
    _license_file(house)
    with house.database.transaction() as tx:
        tx.execute(_MORE_LICENSES, {"count": rounds * n})
    asked = iter(range(rounds * n))

    def request(_: int) -> bytes:
        return post("/v1/licenses/validate", {"key": f"bench{next(asked):021}"})

    figure = _validations("validate_uncached", house, request, n, count(10_000))
    with house.database.transaction() as tx:
        tx.execute(text("DELETE FROM license WHERE file_id LIKE 'bench%'"))
    return figure


# Copies of one license under other ids: what is measured is finding and signing, not how they came to be.
_MORE_LICENSES: Final = text("""
INSERT INTO license
SELECT (jsonb_populate_record(one, jsonb_build_object(
         'id', 'bench-' || number, 'bridge', true, 'file_id', 'bench' || lpad(number::text, 21, '0'),
         'file_sha256', 'bench-' || number))).*
  FROM license AS one, generate_series(0, :count - 1) AS number WHERE one.id = (SELECT min(id) FROM license)
""")


def preview(house: House, count: Callable[[int], int]) -> Figure:
    """A priced, taxed, stored offer to a buyer nobody has seen before."""
    n = count(100)
    requests = [post("/v1/previews", wanted()) for _ in range(n)]
    return _requests("preview", house, requests.__getitem__, n, count(10_000), status=201)


def purchase(house: House, count: Callable[[int], int]) -> Figure:
    """From preview to license, with everything that follows; p50 and p99 are from payment to license."""
    n, hellos = count(20), count(10_000)

    def ours() -> Round:
        wait_for_quiet(house.database)
        before = _both(house)
        with browser(house) as client:
            give_up = perf_counter() + ROUND_SECONDS
            seconds: list[float] = []
            while len(seconds) < n and (not seconds or perf_counter() < give_up):
                seconds.append(buy(house, client).seconds)
        wait_for_quiet(house.database)
        return Round((_both(house) - before) / len(seconds), len(seconds), seconds)

    def floor() -> Round:
        below = house.hello(hellos)
        return Round(below.cost * REQUESTS, hellos)

    return alternate("purchase", _PER_PURCHASE, f"{REQUESTS} times {_HELLO}: as many as a purchase takes", ours, floor)


def _both(house: House) -> float:
    return cpu_seconds(house.web.pid) + cpu_seconds(house.worker_pid)


def _license_file(house: House) -> str:
    with browser(house) as client:
        file = buy(house, client).license_file
    wait_for_quiet(house.database)
    return file


def _validations(name: str, house: House, request: Callable[[int], bytes], n: int, hellos: int) -> Figure:
    """One process first, then two that share the requests; `of_hello` is how many we answer for each bare hello."""
    alone = _requests(name, house, request, n, hellos, status=200)
    both = alternate(
        name, _PER_REQUEST, _HELLO, lambda: _side_by_side(house.webs, request, n),
        lambda: _side_by_side(house.floors, lambda _: _PADDED, hellos),
    )  # fmt: skip
    return replace(alone, more={
        "of_hello": round(1 / alone.ratio, 3), "two_workers_us": round(both.ours, 2),
        "two_workers_of_hello": round(1 / both.ratio, 3), "two_workers_p99_ms": round(both.p99_ms or 0, 3),
    })  # fmt: skip


def _side_by_side(two: tuple[Served, Served], request: Callable[[int], bytes], n: int) -> Round:
    """Half of the requests to each, at the same time."""
    before = sum(cpu_seconds(each.pid) for each in two)
    with ThreadPoolExecutor(len(two)) as pool:
        fired = [pool.submit(fire, each.port, request, max(1, n // len(two)), status=200) for each in two]
        seconds = [second for each in fired for second in each.result()]
    return Round((sum(cpu_seconds(each.pid) for each in two) - before) / len(seconds), len(seconds), seconds)


def _requests(name: str, house: House, request: Callable[[int], bytes], n: int, hellos: int, *, status: int) -> Figure:
    def ours() -> Round:
        before = cpu_seconds(house.web.pid)
        seconds = fire(house.web.port, request, n, status=status)
        return Round((cpu_seconds(house.web.pid) - before) / len(seconds), len(seconds), seconds)

    return alternate(name, _PER_REQUEST, _HELLO, ours, lambda: house.hello(hellos))
