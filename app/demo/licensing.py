"""Licenses as products meet them: three renderings, servers that take their places, signed answers, two as one."""

import json
import subprocess
import sys
from base64 import b64decode, urlsafe_b64decode
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.core.ids import new_secret
from app.demo.cast import CARD, Bought, Vendor, buy_over_the_api, must
from app.demo.house import FOLDER, ROOT, House
from app.demo.show import Teller

FAY: Final = {
    "email": "fay@falls.example", "name": "Fay Falls", "company": "Falls Laboratories Ltd", "type": "business",
    "country": "US", "region": "OR", "postcode": "97205", "city": "Portland", "line1": "1 River St",
}  # fmt: skip
# The one program of the story that knows nothing of the house: product teams copy it (docs/verify/README).
_READER: Final = ROOT / "docs" / "verify" / "verify.py"
_FORMATS: Final = {"mattermost": "mattermost-license", "keygen": "lic", "token": "license-token"}
_SEATS: Final = 11


def tell(house: House, vendor: Vendor, teller: Teller) -> list[Path]:
    """Raises WentWrong at the first step that does not end as it must; gives the files it left."""
    teller.chapter("Licenses in products")
    license_, bought = _two_licenses(house, vendor, teller)
    files = _three_renderings(vendor, license_, teller)
    _servers(vendor, license_, teller)
    _signed_answer(vendor, files[1], teller)
    _together(vendor, license_["account_id"], teller)
    must(bought.token, "the order has no page")
    return files


def _license_of(vendor: Vendor, bought: Bought) -> dict[str, Any]:
    order = vendor.get(f"/v1/orders/{bought.extra['order']}")
    found: dict[str, Any] = vendor.get(f"/v1/licenses/{order['license_id']}")
    return found


def _two_licenses(house: House, vendor: Vendor, teller: Teller) -> tuple[dict[str, Any], Bought]:
    step = teller.step("Fay buys Enterprise, and a pack by the month")
    line = {"sku": "enterprise", "quantity": _SEATS}
    _, base = buy_over_the_api(house, vendor, FAY, line, CARD)
    _, pack = buy_over_the_api(house, vendor, FAY, line, CARD, "month")
    license_, second = _license_of(vendor, base), _license_of(vendor, pack)
    must(license_["account_id"] == second["account_id"], "the two licenses belong to two accounts")
    step.done(f"{license_['seats']} seats for a year, {second['seats']} more by the month: two licenses, one account")
    return license_, base


def _three_renderings(vendor: Vendor, license_: dict[str, Any], teller: Teller) -> list[Path]:
    step = teller.step("One license, three renderings")
    files = []
    for format_, ending in _FORMATS.items():
        answer = vendor.client.get(f"/v1/licenses/{license_['id']}/file", params={"format": format_})
        must(answer.status_code == 200, f"the {format_} file answered {answer.status_code}: {answer.text[:200]}")
        files.append(FOLDER / f"falls.{ending}")
        files[-1].write_bytes(answer.content)
    keys = FOLDER / "keys.json"
    keys.write_text(json.dumps(vendor.get("/v1/licenses/keys")), encoding="utf-8")
    now = vendor.get("/v1/sandbox/clock")["now"]
    checked = subprocess.run(  # noqa: S603 -- our own reader, with files of ours
        [sys.executable, _READER, *files, "--keys", keys, "--license-key", license_["key"], "--at", now],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    must(checked.returncode == 0, f"verify.py says {checked.stdout}{checked.stderr}")
    said = [json.loads(each) for each in checked.stdout.splitlines()]
    must([each["format"] for each in said] == list(_FORMATS), f"verify.py read {said}")
    must({each["seats"] for each in said} == {license_["seats"]}, f"verify.py read {said}")
    step.done("Mattermost, Keygen and PASETO: docs/verify/verify.py accepts all three")
    return [keys, *files]


def _servers(vendor: Vendor, license_: dict[str, Any], teller: Teller) -> None:
    step = teller.step("Servers take their places")
    path = f"/v1/licenses/{license_['id']}/activations"
    rules = vendor.get(path)
    limit, allowed = rules["limit"], rules["allowed"]
    for place in range(1, allowed + 1):
        server = {"key": license_["key"], "fingerprint": f"falls-{place:02}", "name": f"chat-{place:02}"}
        must(vendor.post(path, server)["place"] == place, f"server {place} has another place")
    again = vendor.post(path, {"key": license_["key"], "fingerprint": "falls-01"}, expect=200)
    must(again["place"] == 1, "the same server has two places")
    refused = vendor.post(path, {"key": license_["key"], "fingerprint": "one-too-many"}, expect=409)
    must(refused["type"].endswith("/activation-limit-reached"), f"one too many is refused as {refused['type']}")
    must("chat-01" in refused["detail"], "the refusal does not name who holds the places")
    fifth = {"key": license_["key"], "fingerprint": f"falls-{allowed:02}"}
    released = vendor.client.request("DELETE", path, json=fifth)
    must(released.status_code == 200, f"giving a place up answered {released.status_code}: {released.text[:300]}")
    step.done(f"{limit} included, {allowed} borne, the next refused; one gives its place up", limit=limit)


def _signed_answer(vendor: Vendor, file: Path, teller: Teller) -> None:
    step = teller.step("A product asks online, with a nonce")
    nonce = new_secret()[:32]
    asked = {"license": file.read_text(), "fingerprint": "falls-01", "nonce": nonce, "entitlements": ["ldap"]}
    answer = vendor.post("/v1/licenses/validate", asked, expect=200)
    must(answer["valid"] and answer["nonce"] == nonce, f"the answer is {answer['code']} for {answer.get('nonce')}")
    must(_signed(vendor, answer), "the signature of the answer does not hold")
    must(not _signed(vendor, answer | {"seats": 9_999}), "an altered answer is believed")
    step.done(f"{answer['code']}: our nonce, and a signature that an altered answer does not bear")


def _signed(vendor: Vendor, answer: dict[str, Any]) -> bool:
    """As docs/guides/add-licensing-to-your-product.md tells it, with none of our code."""
    said = {name: value for name, value in answer.items() if name != "signature"}
    keys = vendor.get("/v1/licenses/keys")["keys"]
    jwk = next(each for each in keys if each["kid"] == answer["signature"]["kid"])
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    try:
        Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(jwk["x"] + "==")).verify(
            b64decode(answer["signature"]["value"]), b"blp/validation-answer/v1\n" + text
        )
    except InvalidSignature:
        return False
    return True


def _together(vendor: Vendor, account: str, teller: Teller) -> None:
    step = teller.step("Two licenses as one, and what if")
    path = f"/v1/accounts/{account}/entitlements"
    now = vendor.get(path)["production"]
    users = next(each for each in now["explanation"] if each["name"] == "users")
    shares = [share["value"] for share in users["shares"] if share["counts"]]
    must(now["seats"] == sum(shares) == 2 * _SEATS, f"together they are {now['seats']} seats of {shares}")
    drop = next(each for each in now["next"] if each["drop"])
    then = vendor.get(path, at=drop["at"])["production"]
    must(then["seats"] == drop["seats_after"] == _SEATS, f"on {drop['at']} it would be {then['seats']} seats")
    day = _day(drop["at"])
    step.done(f"{now['seats']} seats = {' + '.join(map(str, shares))} ({users['rule']}); on {day}: {then['seats']}")


def _day(instant: str) -> date:
    return datetime.fromisoformat(instant).date()
