"""Stripe Tax, through Stripe's own SDK: calculations, and the transactions that its reports list (ADR 0052)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from app.adapters.stripe import tax_words
from app.adapters.stripe.answers import Failed, translated
from app.adapters.stripe.pace import NoPace, Pace
from app.core.db import require_no_transaction
from app.core.errors import NotFound
from app.payments.errors import AmountMismatch, PaymentRefused, PaymentUnavailable
from app.tax.errors import TaxRefused, TaxUnavailable
from app.tax.provider import Computed, Recorded, TakenBack
from app.tax.request import Request

if TYPE_CHECKING:
    import stripe
    from stripe.params.tax import (
        CalculationCreateParams,
        TransactionCreateFromCalculationParams,
        TransactionCreateReversalParams,
    )

_CALL_SECONDS: Final = 8  # of one try: a buyer waits for the price


class StripeTax:
    """`api_base` is another address than Stripe's, for tests. `pace` keeps Stripe's rate limits."""

    name, title = "stripe", "Stripe Tax"

    def __init__(self, *, api_key: str, api_base: str | None, pace: Pace | None = None) -> None:
        self._api_key, self._api_base, self._pace = api_key, api_base, pace or NoPace()
        self.live = api_key.startswith(("sk_live_", "rk_live_"))

    def compute(self, question: Request, *, exempt: bool, key: str) -> Computed:
        with _in_our_words():
            params = cast("CalculationCreateParams", tax_words.calculation_params(question, exempt=exempt))
            with translated():
                found = self.client.v1.tax.calculations.create(params, {"idempotency_key": key}).to_dict()
            return tax_words.computed(self._of_our_mode(found))

    def record(self, computation_ref: str, *, reference: str, key: str) -> Recorded:
        params = cast(
            "TransactionCreateFromCalculationParams", tax_words.transaction_params(computation_ref, reference)
        )
        with _in_our_words():
            with translated():
                made = self.client.v1.tax.transactions.create_from_calculation(params, {"idempotency_key": key})
            return tax_words.recorded(self._of_our_mode(made.to_dict()))

    def reverse(
        self, sale_ref: str, parts: Sequence[TakenBack], *, reference: str, currency: str, key: str
    ) -> str:  # fmt: skip
        with _in_our_words():
            params = cast(
                "TransactionCreateReversalParams", tax_words.reversal_params(sale_ref, parts, reference, currency)
            )
            with translated():
                made = self.client.v1.tax.transactions.create_reversal(params, {"idempotency_key": key}).to_dict()
            return str(self._of_our_mode(made)["id"])

    def recorded(self, sale_ref: str) -> Recorded:
        with _in_our_words():
            with translated():
                found = self.client.v1.tax.transactions.retrieve(sale_ref, {"expand": ["line_items"]}).to_dict()
            return tax_words.recorded(self._of_our_mode(found))

    @cached_property
    def client(self) -> "stripe.StripeClient":
        """The SDK's client, pinned to one version of the API."""
        require_no_transaction()
        # 0.8 s: only a process that asks waits for the SDK.
        from app.adapters.stripe.transport import pinned_client

        return pinned_client(self._api_key, self._api_base, self._pace, timeout=_CALL_SECONDS)

    def _of_our_mode(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """Test and live registrations differ, so an answer of the other mode is none."""
        if found["livemode"] is not self.live:
            raise TaxUnavailable("Stripe mixed test and live mode; check BLP_STRIPE_SECRET_KEY.")
        return found


@contextmanager
def _in_our_words() -> Iterator[None]:
    """The errors of the line to Stripe, which speaks of payments, as those of this port."""
    try:
        yield
    except PaymentUnavailable as exc:
        said = exc.detail.replace("payment provider", "tax provider")
        raise TaxUnavailable(said, spent=isinstance(exc, Failed)) from exc
    except PaymentRefused as exc:
        said = exc.detail.removeprefix("The payment provider refuses: ")
        raise TaxRefused(said, reason=str(exc.extra.get("reason") or "refused")) from exc
    except AmountMismatch as exc:
        raise TaxRefused(exc.detail, reason="strange_answer") from exc
    except NotFound as exc:
        raise TaxRefused("Stripe knows no such object.", reason="resource_missing") from exc
