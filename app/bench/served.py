"""Figures of the running installation: what a request costs the server process, in CPU time, beside a bare hello."""

from collections.abc import Callable
from time import perf_counter
from typing import Final

from app.bench.buying import REQUESTS, browser, buy, wait_for_quiet, wanted
from app.bench.harness import Figure, Round, Unit, alternate, cpu_seconds
from app.bench.house import House
from app.bench.load import ROUND_SECONDS, fire, post

_PER_REQUEST: Final = Unit("CPU µs of the web process per request", 1_000_000)
_PER_PURCHASE: Final = Unit("CPU ms of web and worker process per purchase", 1_000)
_HELLO: Final = "a bare ASGI hello on the same uvicorn settings, same client"


def validate_cached(house: House, count: Callable[[int], int]) -> Figure:
    """The same license file asked about again within the minute."""
    file = _license_file(house)
    request = post("/v1/licenses/validate", {"license": file})
    return _requests("validate_cached", house, lambda _: request, count(8_000), count(10_000), status=200)


def validate_uncached(house: House, count: Callable[[int], int]) -> Figure:
    """A nonce in each request, so that each answer is decided and signed afresh."""
    file = _license_file(house)

    def request(number: int) -> bytes:
        return post("/v1/licenses/validate", {"license": file, "nonce": f"bench-{number}"})

    return _requests("validate_uncached", house, request, count(2_000), count(10_000), status=200)


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


def _requests(name: str, house: House, request: Callable[[int], bytes], n: int, hellos: int, *, status: int) -> Figure:
    def ours() -> Round:
        before = cpu_seconds(house.web.pid)
        seconds = fire(house.web.port, request, n, status=status)
        return Round((cpu_seconds(house.web.pid) - before) / len(seconds), len(seconds), seconds)

    return alternate(name, _PER_REQUEST, _HELLO, ours, lambda: house.hello(hellos))
