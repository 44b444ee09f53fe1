"""Amounts as Stripe counts them (R-MON-1, https://docs.stripe.com/currencies).

Stripe's minor units are ISO 4217's but for a few: ISK and UGX have no decimals and are still sent times 100, MGA
has two and is sent without; amounts with three decimals must end in 0.
"""

from typing import Final

from app.core.money import Money, exponent
from app.payments.errors import AmountMismatch, PaymentRefused

_ZERO: Final = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
_THREE: Final = frozenset("BHD JOD KWD OMR TND".split())


def _places(currency: str) -> int:
    if currency in _ZERO:
        return 0
    return 3 if currency in _THREE else 2


def to_stripe(amount: Money) -> int:
    """What to send for `amount`. Raises PaymentRefused where Stripe cannot express it."""
    shift = _places(amount.currency) - exponent(amount.currency)
    sent, rest = divmod(amount.minor * 10 ** max(shift, 0), 10 ** max(-shift, 0))
    if rest or (amount.currency in _THREE and sent % 10):
        raise PaymentRefused(f"Stripe cannot charge exactly {amount}.", reason="amount_not_expressible")
    return int(sent)


def from_stripe(amount: int, currency: str) -> Money:
    """What Stripe's figure is worth. Raises AmountMismatch where our currency has no such fraction."""
    currency = currency.upper()
    shift = exponent(currency) - _places(currency)
    minor, rest = divmod(amount * 10 ** max(shift, 0), 10 ** max(-shift, 0))
    if rest:
        raise AmountMismatch(f"Stripe reports {amount} of {currency}, which is not a whole number of its units.")
    return Money(int(minor), currency)
