"""The verifiers of `docs/verify`, run as those who copy them would: the Python one always, the Go one where Go is."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

from tests.licenses.making import NOW
from tests.licenses.renderings import FINGERPRINT, KEY, ROOT, documented

Said = dict[str, Any]


class Reader(Protocol):
    def __call__(
        self, texts: Sequence[bytes], key_set: Said, *, at: datetime = NOW, license_key: str | None = KEY,
        fingerprint: str | None = FINGERPRINT, users: int | None = None, revocations: Sequence[bytes] = (),
    ) -> list[Said]:  # fmt: skip
        """What it says of each text: `accepted` and either `code` or what the license grants."""
        ...


def python(
    texts: Sequence[bytes], key_set: Said, *, at: datetime = NOW, license_key: str | None = KEY,
    fingerprint: str | None = FINGERPRINT, users: int | None = None, revocations: Sequence[bytes] = (),
) -> list[Said]:  # fmt: skip
    reader, said = documented(), []
    for text in texts:
        try:
            found = reader.verify(
                text, key_set, at=at, license_key=license_key, fingerprint=fingerprint, users=users,
                revocations=revocations,
            )  # fmt: skip
            said.append({"accepted": True, **{name: value for name, value in found.items() if value is not None}})
        except reader.Refused as refused:
            said.append({"accepted": False, "code": str(refused)})
    return said


def go(
    texts: Sequence[bytes], key_set: Said, *, at: datetime = NOW, license_key: str | None = KEY,
    fingerprint: str | None = FINGERPRINT, users: int | None = None, revocations: Sequence[bytes] = (),
) -> list[Said]:  # fmt: skip
    folder = Path(mkdtemp(prefix="blp-readers-"))
    try:
        (folder / "keys.json").write_text(json.dumps(key_set))
        names = []
        for place, text in enumerate(texts):
            names.append(f"{place}")
            (folder / f"{place}").write_bytes(text)
        asked = [str(_built()), "-keys", "keys.json", "-at", at.isoformat()]
        asked += ["-license-key", license_key] if license_key else []
        asked += ["-fingerprint", fingerprint] if fingerprint else []
        asked += ["-users", str(users)] if users is not None else []
        for place, text in enumerate(revocations):
            (folder / f"list-{place}").write_bytes(text)
            asked += ["-revocations", f"list-{place}"]
        done = subprocess.run(  # noqa: S603 -- our own program on our own files
            [*asked, *names], cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode in {0, 1}, done.stderr
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == (0 if all(each["accepted"] for each in said) else 1)
        return said
    finally:
        shutil.rmtree(folder)


READERS: list[Reader] = [python, go] if shutil.which("go") else [python]


@cache
def _built() -> Path:
    """The program, built once for all tests and kept beside Go's own cache of what it builds."""
    folder = ROOT / ".blp" / "go"
    folder.mkdir(parents=True, exist_ok=True)
    compiler = shutil.which("go")
    assert compiler is not None
    program = folder / f"verify-{os.getpid()}"
    environment = {**os.environ, "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOFLAGS": ""}
    source = ROOT / "docs" / "verify" / "verify.go"
    command = [compiler, "build", "-o", str(program), str(source)]
    subprocess.run(command, env=environment, check=True, timeout=300)  # noqa: S603 -- our own source
    return program
