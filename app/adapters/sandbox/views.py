"""View models of the sandbox's own pages: the pay page and the mailbox.

The sandbox is an outside party, so its pages stand alone: they need no frame, and say TEST wherever they can.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal


@dataclass(frozen=True, kw_only=True)
class MagicCard:
    """A card number and what it does."""

    number: str
    effect: str


@dataclass(frozen=True, kw_only=True)
class PayView:
    """`/pay/{session}`. Inputs: card, expires, cvc, and save (tick). `error` is the bank's answer to the last try."""

    template: ClassVar[str] = "sandbox/pay.html"
    merchant: str
    description: str
    total: str
    action: str
    csrf_token: str
    cancel_href: str
    cards: tuple[MagicCard, ...]
    lines: tuple[tuple[str, str], ...] = ()
    card: str = "4242 4242 4242 4242"
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class ConfirmView:
    """The bank's extra step (3-D Secure): posts answer=approve or answer=refuse."""

    template: ClassVar[str] = "sandbox/confirm.html"
    merchant: str
    total: str
    card: str
    action: str
    csrf_token: str


@dataclass(frozen=True, kw_only=True)
class DeclinedView:
    """A payment that ended without money: declined for good, canceled or expired."""

    template: ClassVar[str] = "sandbox/declined.html"
    merchant: str
    total: str
    reason: str
    state: Literal["declined", "canceled", "expired"]
    back_href: str
    retry_href: str = ""


@dataclass(frozen=True, kw_only=True)
class MailRow:
    href: str
    to: str
    subject: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class MailboxView:
    """Every mail the sandbox caught, newest first. The filter (GET) sends `to`."""

    template: ClassVar[str] = "sandbox/mailbox.html"
    mails: tuple[MailRow, ...]
    action: str
    to: str = ""


@dataclass(frozen=True, kw_only=True)
class MailView:
    """One mail. `text` is its plain part; `links` are the addresses in it as (label, address)."""

    template: ClassVar[str] = "sandbox/mail.html"
    to: str
    sender: str
    subject: str
    at: datetime
    text: str
    links: tuple[tuple[str, str], ...]
    attachments: tuple[tuple[str, str], ...]
    mailbox_href: str
    html_href: str = ""
