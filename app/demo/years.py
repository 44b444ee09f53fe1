"""Two more years of one customer: seats added and given up, a card that declines and is replaced, money given back."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

import httpx

from app.core.money import Money
from app.demo.cast import Vendor, browser, link_in_mail, must, pay, until
from app.demo.forms import submit
from app.demo.house import House
from app.demo.show import Teller

_DECLINES_LATER: Final = "4000 0000 0000 0341"  # can be kept, and declines every later charge
_GOODWILL: Final = 5_000
_DAYS_LEFT: Final = 265


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody signed in at the portal, and their subscription."""

    client: httpx.Client
    vendor: Vendor
    account: str
    subscription: str

    @property
    def page(self) -> str:
        return f"/account/subscriptions/{self.subscription}"

    def held(self) -> dict[str, Any]:
        found: dict[str, Any] = self.vendor.get(f"/v1/subscriptions/{self.subscription}")
        return found

    def license(self) -> dict[str, Any]:
        """The license in force that was issued last."""
        found = self.vendor.get("/v1/licenses", account_id=self.account)["data"]
        active: dict[str, Any] = next(each for each in found if each["state"] == "active")
        return active

    def wait_for_seats(self, seats: int) -> None:
        until(lambda: True if self.license()["seats"] == seats else None, f"a license for {seats} seats")


def tell(house: House, vendor: Vendor, email: str, account: str, teller: Teller) -> None:
    """Raises WentWrong at the first step that does not end as it must."""
    teller.chapter("Two more years")
    ada = _signed_in(house, vendor, email, account)
    _more_seats(ada, teller)
    _fewer_later(ada, teller)
    _a_card_that_declines(ada, teller)
    _collected(house, ada, email, teller)
    _renewed_by_itself(ada, teller)
    _given_back(ada, teller)
    _added_up(ada, teller)


def advance_to(vendor: Vendor, day: date) -> None:
    """Walk the business clock to the noon of a day."""
    vendor.post("/v1/sandbox/clock", {"to": f"{day.isoformat()}T12:00:00Z"}, expect=200)


def today(vendor: Vendor) -> date:
    return datetime.fromisoformat(vendor.get("/v1/sandbox/clock")["now"]).date()


def _signed_in(house: House, vendor: Vendor, email: str, account: str) -> Customer:
    client = browser(house)
    submit(client, client.get("/sign-in"), {"email": email})
    landing = client.get(link_in_mail(vendor, email, r"/sign-in/[^\s]+"))
    home = submit(client, landing, {})
    must(home.url.path == "/account", f"the customer came to {home.url.path}")
    (held,) = vendor.get("/v1/subscriptions", account_id=account)["data"]
    return Customer(client, vendor, account, held["id"])


def _change(ada: Customer, seats: int) -> httpx.Response:
    """Ask for so many seats on the subscription's page, then confirm what it shows; returns what was shown."""
    page = ada.client.get(ada.page)
    shown = submit(ada.client, page, {"seats": str(seats), "intent": "preview"}, action="/change")
    done = submit(ada.client, shown, {"intent": "place"}, action="/change")
    must(done.status_code == 200, f"the change to {seats} seats answered {done.status_code}")
    return shown


def _more_seats(ada: Customer, teller: Teller) -> None:
    advance_to(ada.vendor, _end(ada) - timedelta(days=_DAYS_LEFT))
    step = teller.step("Ada adds 10 seats for the rest of the term")
    _change(ada, 35)
    ada.wait_for_seats(35)
    charged = ada.vendor.get("/v1/invoices", account_id=ada.account)["data"][0]["total"]
    days = (_end(ada) - _start(ada)).days
    wanted = Money(110_000, "EUR").times(Fraction(_DAYS_LEFT, days))
    must(charged["amount"] == wanted.minor, f"10 seats for {_DAYS_LEFT} of {days} days cost {charged}")
    step.done(f"{wanted} for {_DAYS_LEFT} of {days} days; new file for 35 seats", charged_minor=wanted.minor)


def _fewer_later(ada: Customer, teller: Teller) -> None:
    step = teller.step("She wants 30 from the next term on")
    _change(ada, 30)
    (waiting,) = ada.vendor.get(f"/v1/subscriptions/{ada.subscription}/changes")["data"]
    must(waiting["state"] == "scheduled" and ada.license()["seats"] == 35, f"what waits is {waiting}")
    step.done(f"waits for {_end(ada)}; until then it stays at 35")


def _a_card_that_declines(ada: Customer, teller: Teller) -> None:
    step = teller.step("A new card, and automatic renewal")
    entry = submit(ada.client, ada.client.get("/account/payment-methods"), {}, action="/add")
    pay(ada.client, entry, _DECLINES_LATER)
    until(
        lambda: True if "0341" in ada.client.get("/account/payment-methods").text else None, "the new card to be kept"
    )
    submit(ada.client, ada.client.get(ada.page), {}, action="/auto-renew")
    must(ada.held()["auto_renew"], "automatic renewal is not on")
    step.done("kept without a charge, charged first from now on")


def _collected(house: House, ada: Customer, email: str, teller: Teller) -> None:
    end = _end(ada)
    step = teller.step("The term ends, the card declines")
    advance_to(ada.vendor, end + timedelta(days=2))
    held = ada.held()
    must(held["state"] == "past_due", f"after the decline it is {held['state']}")
    verdict = ada.vendor.post("/v1/licenses/validate", {"key": ada.license()["key"]}, expect=200)
    must(verdict["valid"], f"a customer whose card is tried again is cut off: {verdict['code']}")
    step.done("past due and collected; a bridge license keeps everything running")
    step = teller.step("From the mail, Ada leaves another card")
    mailed = browser(house)
    owed = mailed.get(link_in_mail(ada.vendor, email, r"https?://[^\s]+/card/[^\s]+"))
    pay(mailed, submit(mailed, owed, {}, action="/replace"))
    until(lambda: True if ada.held()["state"] == "active" else None, "the collected renewal")
    ada.wait_for_seats(30)
    must(_start(ada) == end, f"the new term starts on {_start(ada)}, not on {end}")
    step.done(f"charged at once; 30 seats from {end} on, without a gap")


def _renewed_by_itself(ada: Customer, teller: Teller) -> None:
    end = _end(ada)
    step = teller.step("A year later it renews by itself")
    advance_to(ada.vendor, end + timedelta(days=1))
    until(lambda: True if _start(ada) == end else None, "the automatic renewal")
    step.done(f"30 seats until {_end(ada)}")


def _given_back(ada: Customer, teller: Teller) -> None:
    step = teller.step("50 EUR back, as goodwill")
    invoice = ada.vendor.get("/v1/invoices", account_id=ada.account)["data"][0]
    asked = ada.vendor.post("/v1/refunds", {"invoice_id": invoice["id"], "amount": _GOODWILL, "reason": "goodwill"})
    done = until(
        lambda: found if (found := ada.vendor.get(f"/v1/refunds/{asked['id']}"))["state"] == "succeeded" else None,
        "the refund to be sent",
    )
    note = ada.vendor.get(f"/v1/credit_notes/{done['credit_note_id']}")
    must(re.fullmatch(r"ACME-CN-\d{6}", note["number"]), f"the credit note is {note['number']}")
    step.done(f"credit note {note['number']} for {invoice['number']}, sent to the card")


def _added_up(ada: Customer, teller: Teller) -> None:
    step = teller.step("Her statement, and every amount explained")
    day = today(ada.vendor)
    kept = ada.vendor.get(
        f"/v1/accounts/{ada.account}/statement",
        **{"currency": "EUR", "from": str(day - timedelta(days=1500)), "to": str(day)},
    )
    must(kept["closing"]["balance"]["amount"] == 0, f"the statement closes with {kept['closing']}")
    invoices = ada.vendor.get("/v1/invoices", account_id=ada.account, limit=100)["data"]
    lines = [
        line
        for each in invoices
        for line in ada.vendor.get(f"/v1/invoices/{each['id']}/explain")["lines"]
    ]  # fmt: skip
    must(all(line["replays"] for line in lines), "an amount does not come out again")
    step.done(
        f"{len(invoices)} invoices, {len(lines)} lines replayed to the cent, nothing owed", invoices=len(invoices)
    )


def _start(ada: Customer) -> date:
    return date.fromisoformat(ada.held()["term"]["starts_on"])


def _end(ada: Customer) -> date:
    return date.fromisoformat(ada.held()["term"]["ends_on"])
