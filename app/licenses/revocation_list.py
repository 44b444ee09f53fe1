"""The signed list of files that no longer hold, for those who check offline (R-LIC-6, ADR 0057). Pure.

A list is a token of the form of `token.py` under a key and a tag of its own. Its JSON: `type` blp/revocation-list/v1,
`since` and `sequence`, `issued_at`, and `revoked`, the entries `since` + 1 to `sequence` in their order, each
`[hash, reason, instant]`. `since` is 0 in a whole list; another is a delta, which continues one that reaches `since`.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.core.canonical import canonical_json
from app.core.signing import EdHolder
from app.licenses.formats import token
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.recognize import ReadCode
from app.licenses.formats.token import Kind
from app.licenses.models import RevocationReason

TYPE: Final = "blp/revocation-list/v1"
LIST: Final = Kind("revocation-list", b"blp/revocation-list/v1", 64_000_000)
_HASH: Final = re.compile("[0-9a-f]{20}", re.ASCII)


def file_hash(file_id: str) -> str:
    """What stands for a file on the list: its id opens online checks and encrypted files, so it is not told."""
    return hashlib.sha256(b"blp/revoked-file/v1\n" + file_id.encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Revoked:
    """`at` is a whole second."""

    file_hash: str
    reason: RevocationReason
    at: datetime


@dataclass(frozen=True)
class RevocationList:
    """The entries after `since` up to the newest, whose number is `sequence`."""

    since: int
    issued_at: datetime
    revoked: tuple[Revoked, ...] = field(repr=False)

    @property
    def sequence(self) -> int:
        return self.since + len(self.revoked)

    @cached_property
    def _by_hash(self) -> dict[str, Revoked]:
        return {each.file_hash: each for each in self.revoked}

    def entry_of(self, file_id: str) -> Revoked | None:
        """Why and since when the file with this id inside does not hold, if it is on the list."""
        return self._by_hash.get(file_hash(file_id))

    def continued(self, delta: "RevocationList") -> Self:
        """Both together. Raises LicenseFileRejected where entries between the two are missing."""
        if not self.since <= delta.since <= self.sequence:
            raise _malformed(f"It continues list {delta.since}, and what is known ends with {self.sequence}.")
        known = delta.since - self.since
        overlap = self.revoked[known : known + len(delta.revoked)]
        if overlap != delta.revoked[: len(overlap)]:
            raise _malformed("It says otherwise about entries that are known.")
        issued_at = max(self.issued_at, delta.issued_at)
        return type(self)(self.since, issued_at, self.revoked + delta.revoked[len(overlap) :])

    def to_payload(self) -> bytes:
        return canonical_json({
            "type": TYPE, "since": self.since, "sequence": self.sequence, "issued_at": _written(self.issued_at),
            "revoked": [[each.file_hash, each.reason.value, _written(each.at)] for each in self.revoked],
        })  # fmt: skip


def sign(said: RevocationList, kid: str, key: EdHolder) -> str:
    """The text of a list with a line feed at its end. The same arguments give the same text."""
    return token.encode(said.to_payload(), kid, key, LIST) + "\n"


def read(text: str | bytes, keys: Mapping[str, Ed25519PublicKey]) -> RevocationList:
    """A genuine list; `keys` are those published for lists, by kid. Raises LicenseFileRejected."""
    payload = token.open_payload(text, keys, LIST)
    try:
        said: Any = json.loads(payload)
        found = RevocationList(said["since"], _instant(said["issued_at"]), tuple(_entries(said["revoked"])))
        right = said["type"] == TYPE and type(found.since) is int and found.since >= 0
        if not right or said["sequence"] != found.sequence:
            raise ValueError("counts wrongly")  # noqa: TRY301 -- one refusal for every fault
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise _malformed("What is signed is no revocation list that this version knows.") from exc
    return found


def read_all(texts: Iterable[str | bytes], keys: Mapping[str, Ed25519PublicKey]) -> RevocationList:
    """A whole list and the deltas that continue it, in their order. Raises LicenseFileRejected."""
    whole: RevocationList | None = None
    for text in texts:
        found = read(text, keys)
        if whole is None and found.since != 0:
            raise _malformed("Begin with a whole list; this is a delta.")
        whole = found if whole is None else whole.continued(found)
    if whole is None:
        raise _malformed("No list was given.")
    return whole


def _entries(given: Any) -> Iterable[Revoked]:
    for name, reason, at in given:
        if not _HASH.fullmatch(name):
            raise ValueError("no hash of a file")
        yield Revoked(name, RevocationReason(reason), _instant(at))


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _malformed(detail: str) -> LicenseFileRejected:
    return LicenseFileRejected(ReadCode.MALFORMED_PAYLOAD, detail)
