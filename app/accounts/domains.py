"""Which accounts are one customer to the rolling guard: those whose people have proven an address of one company.

A domain is verified by an account when one of its people opened a mail sent to an address there (they signed in).
Typing somebody else's address proves nothing, and addresses of mail providers say nothing about a company (R-THR-2).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, func, or_, select
from sqlmodel import col

from app.accounts.models import Audience, Member, SignInLink, WebSession
from app.core import policy
from app.core.db import Tx

_FREE: Final = (
    "gmail.com googlemail.com outlook.com hotmail.com hotmail.de hotmail.fr hotmail.co.uk live.com msn.com yahoo.com"
    " yahoo.co.uk yahoo.de yahoo.fr yahoo.co.jp ymail.com icloud.com me.com mac.com aol.com gmx.de gmx.net gmx.com"
    " gmx.at gmx.ch web.de t-online.de freenet.de mail.com mail.ru yandex.ru yandex.com proton.me protonmail.com pm.me"
    " tutanota.com tuta.com fastmail.com hey.com zoho.com zohomail.com qq.com 163.com 126.com sina.com naver.com"
    " daum.net hanmail.net orange.fr wanadoo.fr free.fr laposte.net sfr.fr libero.it virgilio.it tiscali.it"
    " alice.it terra.com.br uol.com.br bol.com.br rediffmail.com comcast.net verizon.net att.net sbcglobal.net cox.net"
    " btinternet.com sky.com virginmedia.com telenet.be skynet.be ziggo.nl kpnmail.nl xs4all.nl bluewin.ch seznam.cz"
    " wp.pl o2.pl onet.pl interia.pl mailbox.org posteo.de"
)


def _domains(value: Any) -> Sequence[str]:
    if not isinstance(value, list) or not all(
        isinstance(each, str) and "." in each and each == each.lower().strip() for each in value
    ):
        raise ValueError('must be a list of domains in lower case, such as ["gmail.com"]')
    return value


FREE_MAIL: Final[policy.Policy[Sequence[str]]] = policy.declare(
    policy.Policy(
        "free_mail_domains", _FREE.split(), _domains,
        "Domains of mail providers: who shares one of these is not one customer because of it.",
    )
)  # fmt: skip

_DOMAIN: Final = func.lower(func.split_part(col(Member.email), "@", 2))
# Their address was proven: a mailed link was used, or a session stands that only such a link begins.
_PROVEN: Final = or_(
    select(col(SignInLink.id))
    .where(
        func.lower(col(SignInLink.email)) == func.lower(col(Member.email)),
        col(SignInLink.audience) == Audience.CUSTOMER,
        col(SignInLink.used_at).is_not(None),
    )
    .exists(),
    select(col(WebSession.id))
    .where(
        func.lower(col(WebSession.email)) == func.lower(col(Member.email)),
        col(WebSession.audience) == Audience.CUSTOMER,
    )
    .exists(),
)
# Built once: every preview of a known account asks both (ADR 0022).
_MINE: Final = (
    select(_DOMAIN)
    .where(col(Member.account_id) == bindparam("account"), col(Member.removed_at).is_(None), _PROVEN)
    .distinct()
)
_SHARED: Final = (
    select(col(Member.account_id))
    .where(_DOMAIN.in_(bindparam("domains", expanding=True)), col(Member.removed_at).is_(None), _PROVEN)
    .distinct()
)


def verified(tx: Tx, account_id: str, now: datetime) -> frozenset[str]:
    """The domains of companies that people of this account have proven to be at."""
    found = frozenset(tx.execute(_MINE, {"account": account_id}).scalars())
    free: Sequence[str] = policy.get(tx, FREE_MAIL, now) if found else ()
    return found.difference(free)


def one_customer(tx: Tx, account_id: str, now: datetime) -> list[str]:
    """The account and every other that shares a verified domain with it."""
    domains = verified(tx, account_id, now)
    shared = tx.execute(_SHARED, {"domains": sorted(domains)}).scalars() if domains else ()
    return sorted({account_id, *shared})
