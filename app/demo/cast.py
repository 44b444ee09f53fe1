"""The people of the story: buyers with browsers, the vendor with an API key, staff with a second factor."""

import re
from dataclasses import dataclass, field
from time import monotonic, perf_counter, sleep
from typing import Any, Final

import httpx
import pyotp

from app.core.clock import transport_now
from app.demo.forms import submit
from app.demo.house import STAFF_EMAIL, House

CARD: Final = "4242 4242 4242 4242"
_PATIENCE_SECONDS: Final = 60  # a job that failed is tried again after 10 s, and after 30 more


class WentWrong(AssertionError):
    """A step of the story did not end as it must; the message says which."""


def must(condition: object, sentence: str) -> None:
    if not condition:
        raise WentWrong(sentence)


def until(what: Any, sentence: str) -> Any:
    """Ask until the answer is not None; the worker needs a moment for what the web process put on the queue."""
    give_up = monotonic() + _PATIENCE_SECONDS
    while (answer := what()) is None:
        must(monotonic() < give_up, f"waited {_PATIENCE_SECONDS} s in vain: {sentence}")
        sleep(0.05)
    return answer


def browser(house: House) -> httpx.Client:
    """A browser without scripts, with cookies of its own."""
    return httpx.Client(
        base_url=house.url, timeout=60, trust_env=False, follow_redirects=True, headers={"Accept": "text/html"}
    )


@dataclass(slots=True)
class Bought:
    """A finished purchase: the order's page, and how long the license took after the payment."""

    token: str
    company: str
    page: httpx.Response
    seconds: float
    extra: dict[str, Any] = field(default_factory=dict)


def pay(client: httpx.Client, page: httpx.Response, card: str = CARD) -> httpx.Response:
    """The TEST pay page: card, expiry, security code, one button; a bank that asks is told yes."""
    answer = submit(client, page, {"card": card, "expires": "12/34", "cvc": "123"})
    return submit(client, answer, {"answer": "approve"}) if answer.url.path.endswith("/confirm") else answer


def wait_for_license(client: httpx.Client, token: str) -> float:
    """Seconds until the order's page has the license to download."""
    started = perf_counter()
    until(
        lambda: True if client.get(f"/orders/{token}/license").status_code == 200 else None,
        "the license to be ready for download",
    )
    return perf_counter() - started


def token_of(url: httpx.URL) -> str:
    found = re.search(r"/orders/([^/?]+)", url.path)
    must(found, f"expected an order's page, came to {url.path}")
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Vendor:
    """The vendor's own programs, over the API."""

    client: httpx.Client

    @classmethod
    def of(cls, house: House) -> "Vendor":
        return cls(
            httpx.Client(
                base_url=house.url, timeout=120, trust_env=False, headers={"Authorization": f"Bearer {house.api_key}"}
            )
        )

    def get(self, path: str, **params: Any) -> Any:
        answer = self.client.get(path, params=params)
        must(answer.status_code == 200, f"GET {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()

    def post(self, path: str, body: dict[str, Any], expect: int = 201) -> Any:
        answer = self.client.post(path, json=body)
        must(answer.status_code == expect, f"POST {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None


def buy_over_the_api(
    house: House, vendor: Vendor, buyer: dict[str, str], line: dict[str, Any], card: str, interval: str = "year"
) -> tuple[dict[str, Any], Bought]:
    """Preview, order with the terms accepted, the pay page; gives the preview and the purchase."""
    preview = vendor.post(
        "/v1/previews", {"lines": [line], "interval": interval, "currency": "USD", "buyer": buyer, "tax_ids": []}
    )
    order = vendor.post(
        "/v1/orders",
        {
            "preview": preview["id"],
            "acceptance": {"terms": preview["terms"]["id"], "authority": True},
            "payment": "card",
        },
    )
    client = browser(house)
    after = pay(client, client.get(order["payment_url"]), card)
    token = token_of(after.url)
    seconds = wait_for_license(client, token)
    return preview, Bought(token, buyer["company"], client.get(f"/orders/{token}"), seconds, {"order": order["id"]})


def mails(vendor: Vendor, to: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = vendor.get("/sandbox/mail.json", to=to, limit=100)
    return found


def link_in_mail(vendor: Vendor, to: str, pattern: str) -> str:
    """The newest link of this kind that was mailed to somebody, once it is there."""

    def look() -> str | None:
        for mail in mails(vendor, to):
            if found := re.search(pattern, mail["text"]):
                return found[0]
        return None

    return str(until(look, f"a mail to {to} with {pattern}"))


def sign_in_staff(house: House, vendor: Vendor) -> tuple[httpx.Client, str]:
    """The mailed link, one button, then the second factor set up: a signed-in browser and the secret."""
    client = browser(house)
    submit(client, client.get("/console/sign-in"), {"email": STAFF_EMAIL})
    landing = client.get(link_in_mail(vendor, STAFF_EMAIL, r"/console/sign-in/[^\s]+"))
    enrol = submit(client, landing, {})
    secret = re.search(r"\b[A-Z2-7]{32}\b", enrol.text)
    must(secret, f"expected the second factor's secret, came to {enrol.url.path}")
    key = secret[0] if secret else ""
    console = submit(client, enrol, {"code": pyotp.TOTP(key).at(transport_now())})
    must(console.status_code == 200 and console.url.path == "/console", f"staff came to {console.url.path}")
    return client, key
