"""View models of the sandbox's own pages: the pay page and the mailbox.

The sandbox is an outside party, so its pages stand alone: they need no frame, and say TEST wherever they can.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal


@dataclass(frozen=True, kw_only=True)
class MagicCard:
    """A card number and what it does, as the end of a sentence: "is declined"."""

    number: str
    effect: str


@dataclass(frozen=True, kw_only=True)
class PayView:
    """`/sandbox/pay/{session}`. Inputs: card, expires, cvc, and save (tick).

    `error` is the bank's answer to the last try; `errors` has a sentence for each input that has to change.
    """

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
    errors: Mapping[str, str] = field(default_factory=dict)
    consent: str = ""


@dataclass(frozen=True, kw_only=True)
class SetupPageView:
    """`/sandbox/setup/{session}`: a card is entered to be kept. Inputs: card, expires, cvc. Nothing is charged.

    `error` is the bank's answer to the last try; `errors` has a sentence for each input that has to change.
    """

    template: ClassVar[str] = "sandbox/setup.html"
    merchant: str
    action: str
    csrf_token: str
    cancel_href: str
    cards: tuple[MagicCard, ...]
    consent: str
    card: str = "4242 4242 4242 4242"
    error: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ConfirmView:
    """The bank's extra step (3-D Secure): posts answer=approve or answer=refuse. Without `total` a card is kept."""

    template: ClassVar[str] = "sandbox/confirm.html"
    merchant: str
    total: str = ""
    card: str
    action: str
    csrf_token: str


@dataclass(frozen=True, kw_only=True)
class ClosedView:
    """A pay page on which nothing can be paid any more, or never could be."""

    template: ClassVar[str] = "sandbox/closed.html"
    merchant: str
    state: Literal["paid", "kept", "expired", "unknown"]
    reason: str
    back_href: str
    total: str = ""  # not known of an unknown page


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
