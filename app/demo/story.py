"""The main job, told once: buy, be taxed, be licensed, be provisioned, renew, be asked, be exported."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from app.core.money import Money
from app.demo import licensing, years
from app.demo.cast import (
    Bought,
    Vendor,
    browser,
    buy_over_the_api,
    link_in_mail,
    mails,
    must,
    pay,
    sign_in_staff,
    token_of,
    until,
    wait_for_license,
)
from app.demo.forms import submit
from app.demo.house import FOLDER, House
from app.demo.show import Teller

ADA: Final = {
    "email": "ada@beispiel.example", "full_name": "Ada Beispiel", "company": "Beispiel GmbH",
    "address": "Invalidenstr. 1", "city": "Berlin", "postcode": "10115", "country": "DE", "tax_id": "DE136695976",
}  # fmt: skip
BO: Final = {
    "email": "bo@bluegrass.example", "name": "Bo Bourbon", "company": "Bluegrass Labs LLC", "type": "business",
    "country": "US", "region": "KY", "postcode": "40202", "city": "Louisville", "line1": "600 W Main St",
}  # fmt: skip
CLEO: Final = {
    "email": "cleo@clouds.example", "name": "Cleo Cumulus", "company": "Clouds Inc", "type": "business",
    "country": "US", "region": "MA", "postcode": "02110", "city": "Boston", "line1": "1 High St",
}  # fmt: skip


@dataclass(slots=True)
class Told:
    """What the story leaves behind for the checks and the summary."""

    license_file: Path
    renewed_file: Path
    checked_at: datetime  # business time at which both files were in use
    files: list[Path]
    german: Bought
    totp: str
    nps: dict[str, Any]


def money(amount: dict[str, Any]) -> str:
    return str(Money(amount["amount"], amount["currency"]))


def tell(house: House, teller: Teller) -> Told:
    """Tell the story; raises WentWrong at the first step that does not end as it must."""
    vendor = Vendor.of(house)
    teller.chapter("The shop")
    step = teller.step("Apply the vendor's catalog")
    plans = vendor.get("/v1/plans")["data"]
    step.done(f"{house.changes} changes: {len(plans)} plans and add-ons on sale", changes=house.changes)
    hooks = _listen(vendor, teller)
    teller.chapter("The first purchases")
    german = _german_business(house, teller)
    files = [_keep(german, german.page, "invoice.pdf", "invoice-reverse-charge.pdf", house)]
    license_file = _keep(german, german.page, "license", "beispiel.mattermost-license", house)
    _american_buyer(house, vendor, teller)
    _above_the_threshold(house, vendor, teller)
    _cloud(house, vendor, teller)
    teller.chapter("A year passes")
    _first_survey(house, german, teller)
    _survey_by_mail(house, vendor, teller)
    renewed_file = _renewal(house, vendor, german, license_file, teller)
    nps = _standing(vendor, hooks, teller)
    checked_at = datetime.fromisoformat(vendor.get("/v1/sandbox/clock")["now"])
    years.tell(house, vendor, ADA["email"], _account_of(vendor, ADA["company"]), teller)
    files += licensing.tell(house, vendor, teller)
    teller.chapter("The books")
    files += _exports(vendor, teller)
    step = teller.step("Staff sign in with a second factor")
    console, totp = sign_in_staff(house, vendor)
    quotes = console.get("/console/quotes")
    must("Enterprise" in quotes.text or "quo_" in quotes.text, "staff do not see the quote request")
    step.done("the console shows the quote request with its reasons")
    return Told(license_file, renewed_file, checked_at, [license_file, renewed_file, *files], german, totp, nps)


def _listen(vendor: Vendor, teller: Teller) -> dict[str, str]:
    step = teller.step("Connect a webhook and a chat channel")
    base = str(vendor.client.base_url).rstrip("/")
    endpoint = vendor.post(
        "/v1/webhook_endpoints",
        {"kind": "standard", "url": f"{base}/sandbox/hooks/crm", "event_types": ["survey.*", "order.completed"]},
    )
    vendor.post(
        "/v1/webhook_endpoints",
        {"kind": "mattermost", "url": f"{base}/sandbox/hooks/chat", "event_types": ["survey.answered"]},
    )
    step.done("signed survey.* events to the CRM, a post to Mattermost for each answer")
    return {"secret": endpoint["secret"]}


def _german_business(house: House, teller: Teller) -> Bought:
    step = teller.step("A German business buys 25 seats")
    client = browser(house)
    page = client.get("/checkout", params={"sku": "professional", "interval": "year", "currency": "EUR", "seats": 25})
    shown = submit(client, page, {**ADA, "accept": "yes", "intent": "preview"}, action="/checkout")
    must("2,750.00" in shown.text and "everse charge" in shown.text, "the preview does not show the reverse charge")
    checkout = submit(client, shown, {**ADA, "accept": "yes", "intent": "place"}, action="/checkout")
    must("/sandbox/pay/" in checkout.url.path, f"expected the pay page, came to {checkout.url.path}")
    after = pay(client, checkout)
    token = token_of(after.url)
    seconds = wait_for_license(client, token)
    page = client.get(f"/orders/{token}")
    step.done(f"2,750.00 EUR, reverse charge; license {seconds:.2f} s after payment", license_seconds=round(seconds, 2))
    return Bought(token, ADA["company"], page, seconds)


def _keep(bought: Bought, page: httpx.Response, what: str, name: str, house: House) -> Path:
    answer = browser(house).get(f"/orders/{bought.token}/{what}")
    must(answer.status_code == 200, f"{what} of {page.url.path} answered {answer.status_code}")
    path = FOLDER / name
    path.write_bytes(answer.content)
    return path


def _american_buyer(house: House, vendor: Vendor, teller: Teller) -> None:
    step = teller.step("A buyer in Kentucky, which taxes the plan")
    line = {"sku": "professional", "quantity": 20}
    preview, bought = buy_over_the_api(house, vendor, BO, line, "4000 0025 0000 3155")
    tax = preview["tax"]
    must(tax["amount"] == 14_400, f"tax is {tax}")
    step.done(
        f"{money(preview['net'])} + {money(tax)} tax (6 %), confirmed by the bank; {bought.seconds:.2f} s",
        tax_minor=14_400, license_seconds=round(bought.seconds, 2),
    )  # fmt: skip


def _above_the_threshold(house: House, vendor: Vendor, teller: Teller) -> None:
    step = teller.step("An order above the threshold")
    client = browser(house)
    page = client.get("/checkout", params={"sku": "enterprise", "interval": "year", "currency": "USD", "seats": 100})
    dora = {
        "email": "dora@big.example", "full_name": "Dora Dollar", "company": "Big Corp", "address": "1 Wall St",
        "city": "Indianapolis", "postcode": "46204", "country": "US", "region": "US-IN", "tax_id": "",
    }  # fmt: skip
    shown = submit(client, page, {**dora, "accept": "yes", "intent": "preview"}, action="/checkout")
    answer = submit(client, shown, {**dora, "accept": "yes", "intent": "place"}, action="/checkout")
    must(answer.url.path.startswith("/q/"), f"expected a quote request, came to {answer.url.path}")
    quotes = vendor.get("/v1/quotes")["data"]
    codes = [reason["code"] for reason in quotes[0]["reasons"]]
    must("at_or_above_threshold" in codes, f"the reasons are {codes}")
    step.done(f"21,000.00 USD became a quote request: {', '.join(codes)}", reasons=codes)


def _cloud(house: House, vendor: Vendor, teller: Teller) -> None:
    step = teller.step("A cloud purchase is provisioned")
    _, bought = buy_over_the_api(house, vendor, CLEO, {"sku": "cloud-professional", "quantity": 10}, "4242424242424242")

    def ready() -> dict[str, Any] | None:
        found = vendor.get("/v1/workspaces")["data"]
        return found[0] if found and found[0]["state"] == "stable" else None

    workspace = until(ready, "the workspace to be stable")
    step.done(f"{workspace['hostname']} is {workspace['state']}: {workspace['url']}", workspace=workspace["id"])
    must(bought.token, "the order has no page")


def _first_survey(house: House, german: Bought, teller: Teller) -> None:
    step = teller.step("Ada answers on the confirmation page")
    client = browser(house)
    answer = submit(
        client,
        client.get(f"/orders/{german.token}"),
        {"score": "9", "comment": "Faster than our procurement."},
        action="survey",
    )
    must(answer.status_code == 200, f"the answer came back with {answer.status_code}")
    step.done("9 of 10")


def advance(vendor: Vendor, days: int) -> dict[str, Any]:
    answer: dict[str, Any] = vendor.post("/v1/sandbox/clock", {"advance_days": days}, expect=200)
    return answer


def _survey_by_mail(house: House, vendor: Vendor, teller: Teller) -> None:
    step = teller.step("Three days later Bo is asked by mail")
    advance(vendor, 4)
    link = link_in_mail(vendor, BO["email"], r"https?://[^\s]+/survey/[^\s]+score=10[^\s]*")
    client = browser(house)
    page = client.get(link)
    before = vendor.get("/v1/surveys/nps")["n"]
    client.get(link)
    must(vendor.get("/v1/surveys/nps")["n"] == before, "opening the link stored a score")
    submit(client, page, {"score": "10", "comment": ""}, action="/survey/")
    step.done("opening the link stores nothing, one button stores 10 of 10")


def _renewal(house: House, vendor: Vendor, german: Bought, old: Path, teller: Teller) -> Path:
    step = teller.step("Advance the clock to 20 days before the end")
    clock = advance(vendor, 341)
    reminders = [mail for mail in mails(vendor, ADA["email"]) if "/renew/" in mail["text"]]
    must(len(reminders) >= 2, f"{len(reminders)} reminders were sent")
    step.done(f"it is {clock['now'][:10]}; {len(reminders)} reminders were mailed to Ada", reminders=len(reminders))
    step = teller.step("Ada renews from the link with one button")
    link = link_in_mail(vendor, ADA["email"], r"https?://[^\s]+/renew/[^\s]+")
    client = browser(house)
    review = client.get(link)
    after = submit(client, review, {"accept": "yes"}, action="/renew/")
    token = token_of(after.url)
    seconds = wait_for_license(client, token)
    renewed = _keep(
        Bought(token, ADA["company"], after, seconds), after, "license", "beispiel-renewed.mattermost-license", house
    )
    verdicts = [
        vendor.post("/v1/licenses/validate", {"license": path.read_text()}, expect=200)["code"]
        for path in (old, renewed)
    ]
    must(verdicts == ["superseded", "valid"], f"online validation says {verdicts}")
    used = client.get(link)
    must(used.status_code != 200 or "used" in used.text.lower(), "the link still works")
    step.done(
        f"card on file charged; new file in {seconds:.2f} s, the old one is superseded",
        license_seconds=round(seconds, 2),
    )
    must(german.token != token, "the renewal is the purchase")
    return renewed


def _account_of(vendor: Vendor, company: str) -> str:
    found = vendor.get("/v1/accounts", limit=100)["data"]
    return str(next(each["id"] for each in found if each["name"] == company))


def _standing(vendor: Vendor, hooks: dict[str, str], teller: Teller) -> dict[str, Any]:
    step = teller.step("What customers said")
    today = datetime.fromisoformat(vendor.get("/v1/sandbox/clock")["now"]).date()
    period = {"from": str(today - timedelta(days=400)), "to": str(today + timedelta(days=1))}
    nps: dict[str, Any] = vendor.get("/v1/surveys/nps", **period)
    must(nps["n"] == 2, f"NPS counts {nps['n']} answers")
    outside = vendor.post(
        "/v1/surveys/invitations",
        {
            "kind": "purchase",
            "source": "erp",
            "external_ref": "SO-1001",
            "email": "erp@customer.example",
            "segment": {},
        },
    )
    arrived = until(
        lambda: [h for h in vendor.get("/sandbox/hooks/crm") if "survey.answered" in h["body"]] or None, "a webhook"
    )
    chat = until(lambda: vendor.get("/sandbox/hooks/chat") or None, "a post in the chat channel")
    must(_signed(arrived[0], hooks["secret"]), "the webhook's signature does not verify")
    must("@" not in chat[0]["body"], "the chat post names a person")
    must(outside["url"], "an outside system got no survey address")
    figure = f"NPS {nps['nps']:.0f} from {nps['n']} answers (±{nps['margin']:.0f})"
    step.done(f"{figure}; hook signed, chat told, ERP may ask too", nps=nps["nps"], n=nps["n"])
    return nps


def _signed(hook: dict[str, Any], secret: str) -> bool:
    from standardwebhooks import Webhook

    payload = Webhook(secret).verify(hook["body"], hook["headers"])
    return bool(payload)


def _exports(vendor: Vendor, teller: Teller) -> list[Path]:
    step = teller.step("Finance exports the year")
    kept = []
    for name in ("invoice_register", "payments_received"):
        for ending in ("csv", "jsonl"):
            answer = vendor.client.get(
                f"/v1/reports/{name}.{ending}", params={"from": "2020-01-01", "to": "2100-01-01"}
            )
            must(answer.status_code == 200, f"{name}.{ending} answered {answer.status_code}: {answer.text[:200]}")
            path = FOLDER / f"{name}.{ending}"
            path.write_bytes(answer.content)
            kept.append(path)
    rows = [json.loads(line) for line in (FOLDER / "invoice_register.jsonl").read_text().splitlines()]
    numbers = [row["number"] for row in rows if "-CN-" not in row["number"]]
    gapless = [f"ACME-{each:06d}" for each in range(1, len(numbers) + 1)]
    must(sorted(numbers) == gapless, f"the register has {numbers}")
    step.done(f"{len(numbers)} invoices, {numbers[0]} to {numbers[-1]}, as CSV and JSON Lines", invoices=len(numbers))
    return kept
