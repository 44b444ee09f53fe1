"""Secrets: made, hashed, sealed and compared in one place."""

import hashlib
import hmac
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import BigInteger, cast, delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from app.core.db import Table, Tx
from app.core.ids import new_secret

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Secrets:
    """Everything derived from the installation's one secret (`BLP_SECRET_KEY`), each use under its own label."""

    def __init__(self, master: str) -> None:
        if len(master) < 32:
            raise ValueError("BLP_SECRET_KEY must have at least 32 characters; `openssl rand -hex 32` makes one")
        self._master = master.encode()

    def _key(self, purpose: str) -> bytes:
        return hmac.digest(self._master, f"blp/{purpose}/v1".encode(), "sha256")

    def fingerprint(self, purpose: str, value: str) -> str:
        """A keyed hash to store instead of `value`: a stolen table cannot be used or searched."""
        return hmac.digest(self._key(purpose), value.encode(), "sha256").hex()

    def sign_token(self, purpose: str, subject: str) -> str:
        """An opaque link token that names `subject` and cannot be made up."""
        tag = hmac.digest(self._key(purpose), subject.encode(), "sha256")[:18]
        return f"{subject}.{urlsafe_b64encode(tag).decode()}"

    def read_token(self, purpose: str, token: str) -> str | None:
        """The subject of a token made by `sign_token` for this purpose, else None."""
        subject, dot, _ = token.rpartition(".")
        return subject if dot and same(self.sign_token(purpose, subject), token) else None

    def seal(self, purpose: str, plain: bytes) -> str:
        """Encrypt for storage (AES-256-GCM); only the same purpose opens it again."""
        nonce = hashlib.sha256(new_secret().encode()).digest()[:12]
        return urlsafe_b64encode(nonce + AESGCM(self._key(purpose)).encrypt(nonce, plain, purpose.encode())).decode()

    def open(self, purpose: str, sealed: str) -> bytes:
        """Raises ValueError if it was altered or sealed under another secret."""
        raw = urlsafe_b64decode(sealed)
        try:
            return AESGCM(self._key(purpose)).decrypt(raw[:12], raw[12:], purpose.encode())
        except InvalidTag as exc:
            raise ValueError(f"a stored {purpose} secret does not open: was BLP_SECRET_KEY changed?") from exc


def same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits += _BASE62[rest]
    return digits


def new_api_key() -> str:
    """`blp_` + 32 random bytes + checksum: recognizable by a secret scanner, `blp_[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}`."""
    body = new_secret(32)
    return f"blp_{body}{_checksum(body)}"


def api_key_has_form(key: str) -> bool:
    """Whether the checksum fits, so that a typo is told apart without asking the database."""
    body = key[4:-6]
    return key.startswith("blp_") and len(body) == 43 and same(_checksum(body), key[-6:])


class RateWindow(Table, table=True):
    """Attempts counted per key and window of real time; kept in the database so that all processes share it."""

    __tablename__ = "rate_window"

    key: str = Field(primary_key=True)
    window: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    count: int


def allow(tx: Tx, deed: str, who: str, *, limit: int, seconds: int, now: datetime) -> bool:
    """Count one attempt of `who` at `deed` and say whether it is within `limit` per `seconds` of real time.

    `who` is an id or a fingerprint: the table tells people apart and names none.
    """
    window = int(now.timestamp()) // seconds
    statement = insert(RateWindow).values(key=f"{deed}/{seconds}/{who}", window=window, count=1)
    count: int = tx.execute(
        statement.on_conflict_do_update(
            index_elements=["key", "window"], set_={"count": col(RateWindow.count) + 1}
        ).returning(col(RateWindow.count))
    ).scalar_one()
    return count <= limit


def forget_windows(tx: Tx, now: datetime) -> None:
    """Drop the counts of every window that is over."""
    seconds = cast(func.split_part(col(RateWindow.key), "/", 2), BigInteger)
    tx.execute(delete(RateWindow).where((col(RateWindow.window) + 1) * seconds <= int(now.timestamp())))
