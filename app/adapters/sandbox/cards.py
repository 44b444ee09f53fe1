"""Test cards: what is written on them, what they do, and what a bank says when it declines.

The numbers are the ones Stripe publishes for its own test mode, so that habits carry over
(https://docs.stripe.com/testing). A number is read, classified and forgotten; no row ever holds one.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.adapters.sandbox.models import CardKind, SandboxMethod


@dataclass(frozen=True, slots=True)
class KnownCard:
    number: str  # digits only
    brand: str
    kind: CardKind
    effect: str

    @property
    def spaced(self) -> str:
        return re.sub(r"(.{4})(?=.)", r"\1 ", self.number)


TEST_CARDS: Final = (
    KnownCard("4242424242424242", "visa", CardKind.PAYS, "is paid"),
    KnownCard("5555555555554444", "mastercard", CardKind.PAYS, "is paid, from a Mastercard"),
    KnownCard("4000000000000002", "visa", CardKind.DECLINES, "is declined"),
    KnownCard("4000000000009995", "visa", CardKind.NO_FUNDS, "is declined for insufficient funds"),
    KnownCard("4000002500003155", "visa", CardKind.ASKS, "asks you to confirm first"),
    KnownCard("4000000000000341", "visa", CardKind.DECLINES_LATER, "is paid now, declined at every later charge"),
    KnownCard("4000000000009987", "visa", CardKind.LOST, "is declined as lost"),
)
_BY_NUMBER: Final = {card.number: card for card in TEST_CARDS}


@dataclass(frozen=True, slots=True)
class Decline:
    """A bank's refusal in Stripe's words: `code`, the bank's own `decline_code`, and a sentence for the buyer."""

    code: str
    decline_code: str | None
    message: str


GENERIC: Final = "generic_decline"
NO_FUNDS: Final = "insufficient_funds"
LOST: Final = "lost_card"
EXPIRED: Final = "expired_card"
NOT_AUTHENTICATED: Final = "payment_intent_authentication_failure"

DECLINES: Final = {
    GENERIC: Decline("card_declined", GENERIC, "Your card was declined."),
    NO_FUNDS: Decline("card_declined", NO_FUNDS, "Your card has insufficient funds."),
    LOST: Decline("card_declined", LOST, "Your card was reported lost. Use another card."),
    EXPIRED: Decline(EXPIRED, EXPIRED, "Your card has expired. Use another card."),
    NOT_AUTHENTICATED: Decline(
        NOT_AUTHENTICATED, None, "The payment was not confirmed with your bank. Try again or use another card."
    ),
}

_AT_THE_PAGE: Final = {CardKind.DECLINES: GENERIC, CardKind.NO_FUNDS: NO_FUNDS, CardKind.LOST: LOST}
_FROM_THE_FILE: Final = {**_AT_THE_PAGE, CardKind.DECLINES_LATER: GENERIC}


def decline_at_page(kind: CardKind) -> str | None:
    """The decline a buyer meets who types this card in, or None if it pays (or asks)."""
    return _AT_THE_PAGE.get(kind)


def decline_from_file(method: SandboxMethod, now: datetime) -> str | None:
    """The decline a later charge of a kept card meets. A card that asked once was set up and asks no more."""
    if (method.exp_year, method.exp_month) < (now.year, now.month):
        return EXPIRED
    return _FROM_THE_FILE.get(method.kind)


@dataclass(frozen=True, slots=True)
class EnteredCard:
    """A test card as a buyer entered it, without its number."""

    brand: str
    last4: str
    kind: CardKind
    exp_year: int
    exp_month: int


class BadCard(Exception):
    """What was typed is not a usable test card; `errors` holds one sentence per form field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(", ".join(sorted(errors)))
        self.errors = errors


def read_card(number: str, expires: str, cvc: str, now: datetime) -> EnteredCard:
    """Check a filled-in card form. Raises BadCard with a sentence for every field that has to change."""
    errors: dict[str, str] = {}
    card = _find(number, errors)
    year, month = _read_expiry(expires, now, errors)
    if not re.fullmatch(r"[0-9]{3,4}", cvc.strip()):
        errors["cvc"] = "The security code is 3 or 4 digits; for a test card any will do."
    if errors or card is None:
        raise BadCard(errors)
    return EnteredCard(card.brand, card.number[-4:], card.kind, year, month)


def _find(number: str, errors: dict[str, str]) -> KnownCard | None:
    digits = re.sub(r"[ \u00a0-]", "", number)
    card = _BY_NUMBER.get(digits)
    if not re.fullmatch(r"[0-9]{12,19}", digits) or not luhn_holds(digits):
        errors["card"] = "This is not a card number: a digit is wrong or missing."
    elif card is None:
        errors["card"] = "Only the test cards listed here work. Never enter a real card: this page cannot charge it."
    return card


def luhn_holds(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + position % 2) for position, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _read_expiry(text: str, now: datetime, errors: dict[str, str]) -> tuple[int, int]:
    found = re.fullmatch(r"\s*([0-9]{1,2})\s*[/-]\s*(?:20)?([0-9]{2})\s*", text)
    month, year = (int(found[1]), 2000 + int(found[2])) if found else (0, 0)
    if not 1 <= month <= 12:
        errors["expires"] = "Write the expiry as month and year, for example 12/34."
    elif (year, month) < (now.year, now.month):
        errors["expires"] = "This expiry has passed; any month in the future will do."
    return year, month
