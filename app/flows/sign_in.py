"""Signing in: ask for a mail, come back with its link or its code, and for staff show a second factor (S1, S4-S6, S19).

All times here are real time. What counts tries commits by itself, so that a refusal does not forget it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from app.accounts import members, sessions, sign_in, staff
from app.accounts.addresses import normal_email
from app.accounts.errors import TooManyTries
from app.accounts.models import Audience, SignInLink, WebSession
from app.accounts.sessions import Caller
from app.accounts.sign_in import LIVES, Standing
from app.core import audit, jobs
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.security import allow, forget_windows
from app.documents.mail_shapes import MailName, SignIn
from app.flows import notify
from app.flows.ports import Ports

log = structlog.get_logger()

# (tries, seconds) of each deed, per person and per network address (S19).
_LIMITS: Final[Mapping[str, tuple[tuple[int, int], ...]]] = {
    "sign-in": ((10, 300),),
    "sign-in-code": ((5, 300), (20, 3600)),
    "second-factor": ((5, 300), (20, 3600)),
}
# Mailed links lead to the pages of their audience.
_PATHS: Final = {Audience.CUSTOMER: "/sign-in", Audience.STAFF: "/console/sign-in"}


@dataclass(frozen=True, slots=True)
class Entered:
    """A new session. `token` is its cookie; a customer of several accounts still has to choose one."""

    session_id: str
    token: str
    must_choose_account: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a link or code does not sign in. `tries_left` is for a code that was wrong."""

    standing: Standing
    tries_left: int = 0


def ask(ports: Ports, *, audience: Audience, email: str, browser: str, ip: str, now: datetime) -> str:
    """Begin signing in and return the id under which this browser can type the code.

    The same work for a known and an unknown address, so that neither answer nor time tells them apart (S4): who
    is known is looked up by the job. Raises Invalid for what is no address, TooManyTries.
    """
    address = normal_email(email)
    _within(ports, "sign-in", {"email": address, "ip": ip}, now)
    with ports.db.transaction() as tx:
        link = sign_in.begin(tx, ports.secrets, audience=audience, email=address, browser=browser, now=now)
        jobs.defer(tx, send, link_id=link.id)
    return link.id


@jobs.job("sign_in.send", retry=jobs.Retry(attempts=6, first=5, factor=2))
def send(ports: Ports, link_id: str) -> None:
    """Mail a link and a code to an address that belongs to somebody; nothing goes to any other."""
    with ports.db.transaction() as tx:
        link = tx.get(SignInLink, link_id)
        if link is None or link.used_at is not None or link.expires_at <= transport_now():
            return  # too late to be of use
        person = _person(tx, link.audience, link.email)
        if person is None:
            log.info("sign_in.nobody", audience=link.audience)
            return
        sender = notify.sender(tx, ports)
    path = f"{_PATHS[link.audience]}/{sign_in.token_of(ports.secrets, link.id)}"
    data = SignIn(
        vendor=sender, person_name=person.name, sign_in_url=ports.link(path),
        code=sign_in.code_of(ports.secrets, link.id), valid_minutes=int(LIVES.total_seconds()) // 60,
    )  # fmt: skip
    notify.send(
        ports, MailName.SIGN_IN, data, to=link.email, locale=person.locale, message_id=f"sign-in-{link.id}"
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Person:
    """Whoever an address belongs to. `accounts` is empty for staff, `staff_id` None for a customer."""

    name: str
    locale: str
    accounts: Sequence[str] = ()
    staff_id: str | None = None


def _person(tx: Tx, audience: Audience, email: str) -> _Person | None:
    if audience is Audience.STAFF:
        colleague = staff.of_person(tx, email)
        return _Person(colleague.name, "en", staff_id=colleague.id) if colleague else None
    memberships = members.of_person(tx, email)
    if not memberships:
        return None
    first = memberships[0]
    return _Person(first.member_name, first.locale, accounts=[each.account_id for each in memberships])


def look(ports: Ports, *, audience: Audience, token: str, browser: str, now: datetime) -> tuple[Standing, str]:
    """What a mailed link is good for in this browser, and for whom if it is; using it up is left to a press (S1)."""
    with ports.db.transaction() as tx:
        standing, link = sign_in.look(tx, ports.secrets, token, audience=audience, browser=browser, now=now)
        return standing, link.email if link is not None and standing is Standing.READY else ""


def asked_for(ports: Ports, *, audience: Audience, challenge: str, browser: str) -> str | None:
    """The address that this browser asked a code for, or None."""
    with ports.db.transaction() as tx:
        link = sign_in.of_browser(tx, ports.secrets, challenge, audience=audience, browser=browser)
        return link.email if link is not None else None


def enter_by_link(
    ports: Ports, *, audience: Audience, token: str, browser: str, caller: Caller, now: datetime
) -> Entered | Refused:
    """Spend a mailed link in the browser that asked for it."""
    with ports.db.transaction() as tx:
        standing, link = sign_in.look(tx, ports.secrets, token, audience=audience, browser=browser, now=now, lock=True)
        if link is None or standing is not Standing.READY:
            return Refused(standing)
        person = _person(tx, audience, link.email)
        return _enter(tx, ports, link, person, caller, now) if person else Refused(Standing.EXPIRED)


def enter_by_code(
    ports: Ports, *, audience: Audience, challenge: str, code: str, browser: str, caller: Caller, now: datetime
) -> Entered | Refused:
    """Spend the code of a mail, typed into the browser that asked for it; five misses kill it. Raises TooManyTries."""
    address = asked_for(ports, audience=audience, challenge=challenge, browser=browser)
    if address is None:
        return Refused(Standing.EXPIRED)
    _within(ports, "sign-in-code", {"email": address, "ip": caller.ip}, now)
    with ports.db.transaction() as tx:
        person = _person(tx, audience, address)
        tried = sign_in.try_code(tx, ports.secrets, challenge, code, somebody=person is not None, now=now)
        if person is None or not tried.right:
            return Refused(Standing.READY if tried.left else Standing.EXPIRED, tries_left=tried.left)
        return _enter(tx, ports, tx.get_one(SignInLink, challenge), person, caller, now)


def _enter(tx: Tx, ports: Ports, link: SignInLink, person: _Person, caller: Caller, now: datetime) -> Entered:
    sign_in.use_up(tx, link, now)
    only = person.accounts[0] if len(person.accounts) == 1 else None
    session, token = sessions.begin(
        tx, ports.secrets, audience=link.audience, email=link.email, caller=caller, now=now,
        staff_id=person.staff_id, account_id=only,
    )  # fmt: skip
    if only is not None:
        _signed_in(tx, only, session, now)
    return Entered(session.id, token, must_choose_account=link.audience is Audience.CUSTOMER and only is None)


def _signed_in(tx: Tx, chain: str, session: WebSession, now: datetime) -> None:
    audit.record(tx, chain, actor=session.staff_id or session.id, action="session.began", subject=session.id, now=now)


def choose_account(ports: Ports, session_id: str, account_id: str, now: datetime) -> str:
    """Act for another of one's accounts; returns the new cookie. Raises NotFound for one that is not one's own."""
    with ports.db.transaction() as tx:
        session = tx.get_one(WebSession, session_id, with_for_update=True)
        token = sessions.act_for(tx, ports.secrets, session, account_id)
        _signed_in(tx, account_id, session, now)
        return token


def show_second_factor(
    ports: Ports, session_id: str, *, code: str, ip: str, now: datetime, enrol: bool = False
) -> str | None:
    """Take a code of the authenticator; with `enrol` of one being set up. The new cookie, None for a wrong code.

    Raises TooManyTries.
    """
    with ports.db.transaction() as tx:
        staff_id = tx.get_one(WebSession, session_id).staff_id or ""
    _within(ports, "second-factor", {"staff": staff_id, "ip": ip}, now)
    with ports.db.transaction() as tx:
        if enrol:
            right = staff.enrol(tx, ports.secrets, staff_id, session_id=session_id, code=code, now=now)
        else:
            right = staff.show_second_factor(tx, ports.secrets, staff_id, code=code, now=now)
        if not right:
            return None
        session = tx.get_one(WebSession, session_id, with_for_update=True)
        if session.second_factor_at is None:
            _signed_in(tx, audit.SYSTEM, session, now)
        session.second_factor_at = now
        return sessions.rotate(tx, ports.secrets, session)


def sign_out(ports: Ports, session_id: str, now: datetime) -> None:
    with ports.db.transaction() as tx:
        sessions.revoke(tx, session_id, now)


def _within(ports: Ports, deed: str, who: dict[str, str], now: datetime) -> None:
    """Count one try of everybody in `who` in a transaction of its own; without a count nobody gets further (S19)."""
    exceeded = 0
    with ports.db.transaction() as tx:
        for kind, name in who.items():
            # The limiter's table needs no addresses, only to tell them apart.
            fingerprint = ports.secrets.fingerprint("rate", f"{kind}/{name}")
            for tries, seconds in _LIMITS[deed]:
                if not allow(tx, deed, fingerprint, limit=tries, seconds=seconds, now=now):
                    exceeded = max(exceeded, seconds)
    if exceeded:
        raise TooManyTries(retry_after=exceeded - int(now.timestamp()) % exceeded)


@jobs.job("sign_in.forget", every="41 3 * * *", retry=jobs.Retry(attempts=3))
def forget(ports: Ports) -> None:
    """Drop what signing in leaves behind once nothing needs it."""
    now = transport_now()
    with ports.db.transaction() as tx:
        sign_in.forget_old(tx, now)
        sessions.forget_old(tx, now)
        forget_windows(tx, now)
