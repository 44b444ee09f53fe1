"""What `blp doctor` asks Stripe: whether the key may do what BLP does, and whether events will arrive.

Each permission is tried on an object that does not exist: Stripe answers 403 without the permission, otherwise that
there is no such object. Nothing is read or changed.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.adapters.stripe.events import KINDS
from app.adapters.stripe.payments import StripePayments
from app.adapters.stripe.tax import StripeTax
from app.adapters.stripe.version import API_VERSION

if TYPE_CHECKING:
    import stripe

_NOBODY: Final = "blp_doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """`fault` has to be put right before customers can pay; the rest is good to know."""

    fault: bool
    text: str


# The permissions of a restricted key, as the dashboard names them, each with a call that needs it.
SCOPES: Final[dict[str, Callable[["stripe.StripeClient"], object]]] = {
    "Checkout Sessions: Write": lambda client: client.v1.checkout.sessions.expire(f"cs_test_{_NOBODY}"),
    "PaymentIntents: Write": lambda client: client.v1.payment_intents.cancel(f"pi_{_NOBODY}"),
    "SetupIntents: Write": lambda client: client.v1.setup_intents.cancel(f"seti_{_NOBODY}"),
    "PaymentMethods: Write": lambda client: client.v1.payment_methods.detach(f"pm_{_NOBODY}"),
    "Customers: Write": lambda client: client.v1.customers.update(f"cus_{_NOBODY}"),
    "Charges and Refunds: Write": lambda client: client.v1.refunds.cancel(f"re_{_NOBODY}"),
    "Disputes: Read": lambda client: client.v1.disputes.retrieve(f"dp_{_NOBODY}"),
}
# Of Stripe Tax: asked only where that is set up.
TAX_SCOPES: Final[dict[str, Callable[["stripe.StripeClient"], object]]] = {
    "Tax Calculations and Transactions: Write": lambda client: client.v1.tax.transactions.create_from_calculation(
        {"calculation": f"taxcalc_{_NOBODY}", "reference": _NOBODY}
    ),
}
ENDPOINTS_SCOPE: Final = "Webhook Endpoints: Read"


def examine(payments: StripePayments, *, base_url: str) -> Iterator[Finding]:
    """Every fault with its remedy, and what was looked at."""
    import stripe

    try:
        missing = [scope for scope, call in SCOPES.items() if not _allowed(payments.client, call)]
        yield from (
            Finding(True, f"The Stripe key lacks the permission “{scope}”: add it to the restricted key.")
            for scope in missing
        )
        yield from _endpoint(payments.client, f"{base_url}/inbound/stripe")
    except stripe.AuthenticationError:
        yield Finding(True, "Stripe refuses the key: check BLP_STRIPE_SECRET_KEY, it may have been rolled or expired.")
    except stripe.StripeError as exc:
        yield Finding(False, f"Stripe did not answer ({type(exc).__name__}), so key and webhook were not checked.")
    else:
        if not missing:
            mode = "live" if payments.live else "test"
            yield Finding(False, f"Stripe takes the {mode} key, which may do all that BLP asks; API {API_VERSION}")


def examine_tax(tax: StripeTax, countries: Collection[str]) -> Iterator[Finding]:
    """Whether Stripe Tax may be asked, and for whom it is; `countries` are those of the policy."""
    import stripe

    try:
        for scope, call in TAX_SCOPES.items():
            if not _allowed(tax.client, call):
                yield Finding(True, f"The Stripe key lacks the permission “{scope}”: add it to the restricted key.")
    except stripe.AuthenticationError:
        yield Finding(True, "Stripe refuses the key: check BLP_STRIPE_SECRET_KEY, it may have been rolled or expired.")
    except stripe.StripeError as exc:
        yield Finding(False, f"Stripe did not answer ({type(exc).__name__}), so Stripe Tax was not checked.")
    whom = ", ".join(sorted(countries))
    if whom:
        yield Finding(False, f"Stripe Tax computes the tax of buyers in {whom}")
    else:
        yield Finding(False, "Stripe Tax is set up and never asked: no country is in the policy tax_provider_countries")


def _allowed(client: "stripe.StripeClient", call: Callable[["stripe.StripeClient"], object]) -> bool:
    import stripe

    try:
        call(client)
    except stripe.PermissionError:
        return False
    except stripe.InvalidRequestError:
        return True  # there is no such object, as expected
    return True


def _endpoint(client: "stripe.StripeClient", address: str) -> Iterator[Finding]:
    import stripe

    try:
        listed = [each.to_dict() for each in client.v1.webhook_endpoints.list({"limit": 100}).auto_paging_iter()]
    except (stripe.PermissionError, stripe.InvalidRequestError):
        yield Finding(False, f"The webhook endpoint was not checked: that takes the permission “{ENDPOINTS_SCOPE}”.")
        return
    ours = [each for each in listed if each["url"] == address]
    if not ours:
        yield Finding(True, f"Stripe has no webhook endpoint at {address}: make one (docs/stripe.md).")
    for each in ours:
        yield from _faults_of(each)


def _faults_of(endpoint: dict[str, object]) -> Iterator[Finding]:
    if endpoint["status"] != "enabled":
        yield Finding(True, f"The webhook endpoint {endpoint['id']} is {endpoint['status']}: enable it.")
    heard = endpoint["enabled_events"]
    heard = set(heard) if isinstance(heard, list) else set()
    deaf = sorted(KINDS.keys() - heard) if "*" not in heard else []
    if deaf:
        yield Finding(True, f"The webhook endpoint {endpoint['id']} does not listen to {', '.join(deaf)}.")
    if endpoint["api_version"] not in {None, API_VERSION}:
        yield Finding(
            False,
            f"The webhook endpoint {endpoint['id']} speaks {endpoint['api_version']}. That is handled, because BLP"
            f" fetches what an event is about in {API_VERSION}.",
        )
