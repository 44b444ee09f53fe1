"""`blp license verify`: any of the formats, with the keys of the installation or with somebody's."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from sqlalchemy import select

from app.core.clock import transport_now
from app.licenses import activating, machine_files, rendering
from app.licenses import service as licenses
from app.licenses.activating import Server
from app.licenses.formats.recognize import OF_A_LICENSE, Format
from app.licenses.models import License
from app.licenses.rendering import Wanted
from tests import shop
from tests.world import World

Blp = Callable[..., CompletedProcess[str]]


def test_each_format_is_known_by_its_content_and_judged(world: World, blp: Blp, tmp_path: Path) -> None:
    shop.buy(world)
    now = world.ports.clock.now()
    keys = tmp_path / "keys.json"
    keys.write_bytes(world.browser().get("/v1/licenses/keys").content)
    with world.db.transaction() as tx:
        license_ = tx.execute(select(License)).scalar_one()
        for written in OF_A_LICENSE:
            text = rendering.render(tx, world.ports.secrets, license_, Wanted(written), by="test", now=now)
            (tmp_path / written).write_text(text)
        real_now = transport_now()
        row, _ = activating.activate(
            tx, license_, Server("f-1"), by=activating.PRODUCT, now=now, real_now=real_now
        )  # fmt: skip
        (tmp_path / Format.MACHINE).write_text(machine_files.check_out(
            tx, world.ports.secrets, license_, row, Wanted(Format.MACHINE), by="test", now=now, real_now=real_now
        ))  # fmt: skip
        at, ended = (f"{each:%Y-%m-%dT%H:%M:%S}" for each in (now, license_.expires_at.replace(year=2040)))
        key = license_.file_id
    for written in Format:
        for keyed in ((), ("--key", str(keys))):
            asked = ("license", "verify", str(tmp_path / written), "--license-key", key, *keyed, "--fingerprint", "f-1")
            accepted, refused = blp(*asked, "--at", at), blp(*asked, "--at", ended)
            assert accepted.returncode == 0, accepted
            assert "25" in next(line for line in accepted.stdout.splitlines() if line.startswith("Seats"))
            assert (refused.returncode, "NOT ACCEPTED: " in refused.stdout) == (1, True)
    sealed = blp("license", "verify", str(tmp_path / Format.KEYGEN), "--key", str(keys), "--at", at)
    assert (sealed.returncode, "NOT ACCEPTED: sealed" in sealed.stdout) == (1, True)
    asked = ("license", "doctor", str(tmp_path / Format.MACHINE), "--license-key", key, "--at", at, "--fingerprint")
    here, there = blp(*asked, "f-1"), blp(*asked, "f-2")
    assert (here.returncode, "Server    f-1" in here.stdout, "State     active" in here.stdout) == (0, True, True)
    assert (there.returncode, "NOT ACCEPTED: wrong_license_key" in there.stdout) == (1, True)
    assert blp("license", "verify", str(tmp_path / "none"), "--key", str(keys)).returncode == 2


def test_the_doctor_asks_the_record_where_it_can_and_says_so_where_it_cannot(
    world: World, blp: Blp, tmp_path: Path
) -> None:
    shop.buy(world)
    now = world.ports.clock.now()
    keys, file = tmp_path / "keys.json", tmp_path / "token"
    keys.write_bytes(world.browser().get("/v1/licenses/keys").content)
    with world.db.transaction() as tx:
        license_ = tx.execute(select(License)).scalar_one()
        file.write_text(rendering.render(tx, world.ports.secrets, license_, Wanted(Format.TOKEN), by="test", now=now))
        licenses.revoke(tx, license_.id, reason="A drill", by="test", now=now)
    asked = blp("license", "doctor", str(file))
    alone = blp("license", "doctor", str(file), "--key", str(keys), "--at", f"{now:%Y-%m-%dT%H:%M:%S}")
    assert (asked.returncode, alone.returncode) == (1, 0), (asked, alone)
    assert "State     revoked since" in asked.stdout
    assert "Ask the vendor why" in asked.stdout
    assert "offline nobody knows what was revoked" in alone.stdout
    assert "It can only be read" in alone.stdout
    assert blp("license", "doctor", str(tmp_path / "none")).returncode == 2
    # What was revoked after the token was issued is known offline by the list that was carried along.
    listed = tmp_path / "revocations"
    listed.write_bytes(world.browser().get("/v1/licenses/revocations").content)
    for command in ("verify", "doctor"):
        at = ("--at", f"{now:%Y-%m-%dT%H:%M:%S}")
        known = blp("license", command, str(file), "--key", str(keys), "--revocations", str(listed), *at)
        assert (known.returncode, "NOT ACCEPTED: revoked" in known.stdout) == (1, True), known
        assert "it is on list 1 of" in known.stdout
    assert blp("license", "verify", str(file), "--revocations", str(tmp_path / "none")).returncode == 2
