"""A buyer who is a program, one step of a purchase at a time."""

import re
from dataclasses import dataclass
from time import monotonic, perf_counter, sleep
from typing import Any, Final

import httpx
from sqlalchemy import bindparam, select
from sqlmodel import col

from app.bench.harness import CannotMeasure
from app.bench.house import House
from app.core import jobs
from app.core.db import Database
from app.core.ids import new_id
from app.licenses.models import License

# What a buyer sends (preview, order, look at the pay page, pay) and the provider after them (the event).
REQUESTS: Final = 5
_PATIENCE_SECONDS: Final = 30
_FILE_OF_ORDER = select(col(License.file_text)).where(col(License.order_id) == bindparam("order"))


@dataclass(frozen=True, slots=True)
class Bought:
    """`seconds` from sending the card to the committed license, whose file is `license_file`."""

    license_file: str
    seconds: float


def wanted() -> dict[str, Any]:
    """A request for a preview of 20 seats by a new company in Kentucky, which taxes the plan."""
    company = new_id("acc").lower().replace("_", "-")  # new each time: a rolling sum would send a known one to sales
    buyer = {
        "email": f"bo@{company}.example", "name": "Bo Bourbon", "company": f"{company} LLC", "type": "business",
        "country": "US", "region": "KY", "postcode": "40202", "city": "Louisville", "line1": "600 W Main St",
    }  # fmt: skip
    lines = [{"sku": "professional", "quantity": 20}]
    return {"lines": lines, "interval": "year", "currency": "USD", "buyer": buyer, "tax_ids": []}


def buy(house: House, client: httpx.Client) -> Bought:
    """A whole purchase by card. Raises CannotMeasure at the first step that does not end as it must."""
    preview = _expect(client.post("/v1/previews", json=wanted()), 201).json()
    acceptance = {"terms": preview["terms"]["id"], "authority": True}
    order = _expect(
        client.post("/v1/orders", json={"preview": preview["id"], "acceptance": acceptance, "payment": "card"}), 201
    ).json()
    page = _expect(client.get(order["payment_url"]), 200)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    if token is None:
        raise CannotMeasure("the pay page has no form")
    card = {"csrf_token": token[1], "card": "4242 4242 4242 4242", "expires": "12/34", "cvc": "123"}
    started = perf_counter()
    _expect(client.post(order["payment_url"], data=card, headers={"Origin": house.url}), 303)
    return Bought(_wait_for_file(house.database, order["id"]), perf_counter() - started)


def _expect(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        raise CannotMeasure(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:300]}")
    return answer


def _wait_for_file(database: Database, order_id: str) -> str:
    """Asked of the database, because asking the server would add to what is measured."""
    give_up = monotonic() + _PATIENCE_SECONDS
    with database.reading() as connection:
        while (found := connection.execute(_FILE_OF_ORDER, {"order": order_id}).scalar()) is None:
            if monotonic() > give_up:
                raise CannotMeasure(f"no license within {_PATIENCE_SECONDS} s of the payment; see worker.log")
            sleep(0.002)
    return str(found)


def wait_for_quiet(database: Database) -> None:
    """Until no job is due: mails and documents of a purchase belong to its cost. Raises CannotMeasure."""
    give_up = monotonic() + _PATIENCE_SECONDS
    while jobs.waiting(database).due:
        if monotonic() > give_up:
            raise CannotMeasure(f"jobs are left after {_PATIENCE_SECONDS} s; see worker.log")
        sleep(0.01)


def browser(house: House) -> httpx.Client:
    return httpx.Client(base_url=house.url, timeout=30, trust_env=False)
