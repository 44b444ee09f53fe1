"""Which refusals of a card are worth another try: pure, in the provider's words.

The codes are Stripe's (https://docs.stripe.com/declines/codes); the card networks fine merchants who ask again after a
refusal that is final, and nobody is served by it.
"""

from typing import Final

# The card, or the permission to charge it, is gone; or its holder has to act, and nobody is there.
HARD: Final = frozenset(
    {
        "no_card", "resource_missing", "lost_card", "stolen_card", "pickup_card", "restricted_card", "fraudulent",
        "expired_card", "incorrect_number", "invalid_number", "invalid_account", "card_not_supported",
        "currency_not_supported", "transaction_not_allowed", "revocation_of_authorization",
        "revocation_of_all_authorizations", "stop_payment_order", "security_violation", "authentication_required",
        "requires_action", "payment_intent_authentication_failure", "merchant_blacklist", "no_action_taken",
    }
)  # fmt: skip
NO_CARD: Final = "no_card"
_WORDS: Final = {
    "no_card": "There is no saved card.", "insufficient_funds": "The card has not enough money.",
    "expired_card": "The card has expired.", "lost_card": "The card was reported lost.",
    "stolen_card": "The card was reported stolen.",
    "authentication_required": "The bank wants its customer to confirm the payment.",
    "payment_intent_authentication_failure": "The bank wants its customer to confirm the payment.",
    "never_charged": "The provider never answered; nothing was charged.",
}  # fmt: skip


def is_hard(code: str) -> bool:
    """Whether a retry with the same card is pointless: another card is needed (R-SUB-5)."""
    return code in HARD


def in_words(code: str) -> str:
    """For staff; an unknown code is shown as it is."""
    return _WORDS.get(code, f"The bank declined ({code}).")
