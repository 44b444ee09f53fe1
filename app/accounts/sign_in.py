"""The e-mailed way in (S1): a link and a six-digit code, for one browser, once, for a quarter of an hour.

Link and code are derived from the id of their row with the installation's secret: the job that mails them is
given an id and no secret, a retried mail says the same, and the table holds only hashes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import delete, select, update
from sqlmodel import col

from app.accounts.models import Audience, SignInLink
from app.accounts.totp import normal_code
from app.core.db import Tx
from app.core.ids import has_form, new_id
from app.core.security import Secrets, same

LIVES: Final = timedelta(minutes=15)
CODE_TRIES: Final = 5
_KEPT: Final = timedelta(days=1)


class Standing(StrEnum):
    """What a link is good for in the browser that presents it."""

    READY = "ready"
    USED = "used"
    EXPIRED = "expired"  # and whatever was never a link
    ELSEWHERE = "elsewhere"  # asked for in another browser


@dataclass(frozen=True, slots=True)
class Tried:
    """Whether a code was right, and how many tries are left if it was not."""

    right: bool
    left: int


def begin(tx: Tx, secrets: Secrets, *, audience: Audience, email: str, browser: str, now: datetime) -> SignInLink:
    """A new way in for whoever reads `email` and asks from `browser`. Does not look whether anybody is known (S4).

    `email` is normal (see addresses.py), `browser` is the random value of its cookie, `now` is real time.
    """
    id_ = new_id("sil")
    link = SignInLink(
        id=id_, audience=audience, email=email, token_hash=_token_hash(secrets, token_of(secrets, id_)),
        code_hash=_code_hash(secrets, id_, code_of(secrets, id_)),
        browser_hash=secrets.fingerprint("sign-in-browser", browser), created_at=now, expires_at=now + LIVES,
    )  # fmt: skip
    tx.add(link)
    return link


def token_of(secrets: Secrets, link_id: str) -> str:
    """What the mailed address ends in; 144 of its bits cannot be known without the secret."""
    return secrets.sign_token("sign-in-link", link_id)


def code_of(secrets: Secrets, link_id: str) -> str:
    """Six digits. 64 bits reduced to a million values favour none by more than one in 10^13."""
    return f"{int(secrets.fingerprint('sign-in-code', link_id)[:16], 16) % 1_000_000:06}"


def _token_hash(secrets: Secrets, token: str) -> str:
    return secrets.fingerprint("sign-in-link-stored", token)


def _code_hash(secrets: Secrets, link_id: str, code: str) -> str:
    return secrets.fingerprint("sign-in-code-stored", f"{link_id}/{code}")


def of_browser(tx: Tx, secrets: Secrets, link_id: str, *, audience: Audience, browser: str) -> SignInLink | None:
    """The way in that this browser asked for, whatever became of it."""
    if not has_form("sil", link_id):
        return None
    link = tx.get(SignInLink, link_id)
    ours = link is not None and link.audience is audience and _same_browser(secrets, link, browser)
    return link if ours else None


def look(
    tx: Tx, secrets: Secrets, token: str, *, audience: Audience, browser: str, now: datetime, lock: bool = False
) -> tuple[Standing, SignInLink | None]:
    """What a mailed link is good for here; changes nothing (S1). With `lock` nobody else can use it meanwhile."""
    query = select(SignInLink).where(
        col(SignInLink.token_hash) == _token_hash(secrets, token), col(SignInLink.audience) == audience
    )
    if lock:
        query = query.with_for_update()
    link = tx.execute(query).scalar_one_or_none()
    if link is None:
        return Standing.EXPIRED, None
    standing = _standing(link, now)
    if standing is Standing.READY and not _same_browser(secrets, link, browser):
        standing = Standing.ELSEWHERE
    return standing, link


def _same_browser(secrets: Secrets, link: SignInLink, browser: str) -> bool:
    return same(link.browser_hash, secrets.fingerprint("sign-in-browser", browser))


def _standing(link: SignInLink, now: datetime) -> Standing:
    if link.used_at is not None:
        return Standing.USED
    return Standing.READY if now < link.expires_at else Standing.EXPIRED


def try_code(tx: Tx, secrets: Secrets, link_id: str, code: str, *, somebody: bool, now: datetime) -> Tried:
    """Compare a typed code, counting misses under the row's lock; the fifth miss kills link and code.

    `somebody` says whether the address belongs to anybody: a code for nobody is never right. The caller
    commits either way.
    """
    link = tx.get_one(SignInLink, link_id, with_for_update=True, populate_existing=True)
    if _standing(link, now) is not Standing.READY or link.failed_codes >= CODE_TRIES:
        return Tried(right=False, left=0)
    typed = _code_hash(secrets, link.id, normal_code(code))
    if same(typed, link.code_hash) and somebody:
        return Tried(right=True, left=0)
    link.failed_codes += 1
    if link.failed_codes >= CODE_TRIES:
        link.expires_at = min(link.expires_at, now)
    return Tried(right=False, left=CODE_TRIES - link.failed_codes)


def use_up(tx: Tx, link: SignInLink, now: datetime) -> None:
    """Mark a way in as used, and with it every other one still open for the same address."""
    tx.execute(
        update(SignInLink)
        .where(
            col(SignInLink.audience) == link.audience,
            col(SignInLink.email) == link.email,
            col(SignInLink.used_at).is_(None),
        )
        .values(used_at=now)
    )


def forget_old(tx: Tx, now: datetime) -> None:
    """Addresses that were only typed into the form are not kept."""
    tx.execute(delete(SignInLink).where(col(SignInLink.created_at) < now - _KEPT))
