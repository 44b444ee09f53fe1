"""The guide for product teams is run as it is printed."""

import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from app.licenses import rendering
from app.licenses import service as licenses
from app.licenses.formats.recognize import Format
from app.licenses.models import License
from app.licenses.rendering import Wanted
from tests.api.test_validation import until
from tests.licenses.activating import bought
from tests.world import World

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def shipped(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[License, dict[str, Any]]:
    """A license for one server, and the names that the guide's blocks define beside its files."""
    license_ = bought(world, limit=1, heartbeat_seconds=600)
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        token = rendering.render(tx, world.ports.secrets, license_, Wanted(Format.TOKEN), by="test", now=now)
    (tmp_path / "license.token").write_text(token + "\n", "ascii")
    (tmp_path / "keys.json").write_bytes(world.browser().get("/v1/licenses/keys").content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLP_URL", world.url)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.syspath_prepend(DOCS / "verify")
    monkeypatch.delitem(sys.modules, "verify", raising=False)
    names: dict[str, Any] = {}
    for block in re.findall(
        r"```python\n(.*?)```", (DOCS / "guides/add-licensing-to-your-product.md").read_text("utf-8"), re.DOTALL
    ):
        exec(compile(block, "guide", "exec"), names)  # noqa: S102 -- our own guide
    names["now"] = world.ports.clock.now
    return license_, names


def test_a_product_is_licensed_as_the_guide_says(
    world: World, shipped: tuple[License, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    license_, names = shipped
    started = names["start"](23, "f-1", "chat-01")
    assert started == {
        "valid": True, "code": "valid", "entitlements": started["entitlements"], "banner": "", "may_add_users": True,
        "hint": "23 of 25 seats are used.",
    }  # fmt: skip
    assert started["entitlements"]["users"] == license_.seats == 25
    assert names["start"](23, "f-2", "chat-02")["code"] == "activation_limit_reached"
    assert "chat-01" in capsys.readouterr().out
    grant = names["read_license"](23)
    assert names["may"](grant, "ldap")
    assert names["give_up"](grant, "f-1")["state"] == "deactivated"
    assert names["activate"](grant, "f-2", "chat-02")["place"] == 1
    # More users than seats, and then the end of the term: the ladder speaks.
    assert names["start"](26, "f-2", "chat-02")["banner"].startswith("The license has ended, or")
    end: datetime = license_.expires_at
    names["now"] = lambda: end + timedelta(days=11)
    assert not names["may_add_users"](names["read_license"](1))
    names["now"] = lambda: end + timedelta(days=400)
    assert names["read_license"](1) is None
    names["now"] = world.ports.clock.now
    with world.db.transaction() as tx:
        licenses.suspend(tx, license_.id, reason="A dispute", by="test", now=world.ports.clock.now())
    until(lambda: names["ask"](grant)["code"] == "suspended")  # within the second that is documented
    # Somebody on the way says yes.
    forged = names["call"]("/v1/licenses/validate", {"key": grant["key"]}) | {"valid": True}
    with pytest.raises(InvalidSignature):
        names["signed_by_us"](forged)
    assert json.loads(Path("keys.json").read_text())["keys"]
