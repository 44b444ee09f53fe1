"""What we send and what the sandbox answers, held against the types that Stripe's own SDK carries."""

import ast
import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import pytest
import stripe
import stripe.checkout
from sqlalchemy import select
from sqlmodel import col
from typing_extensions import is_typeddict

from app.adapters.sandbox.models import SandboxEvent
from app.adapters.stripe import words
from app.core.clock import transport_now
from app.core.ids import new_id
from app.core.money import Money
from app.payments.provider import CardRequest, CheckoutRequest, SavedMethod
from tests import paying, shop
from tests.adapters.test_stripe_api import stripe_client
from tests.world import World

_UNTIL = timedelta(hours=1)
CHECKOUT = CheckoutRequest(
    attempt_id=new_id("pat"), amount=Money(1_00, "USD"), description="x", customer_email="a@b.example",
    success_url="https://shop.example", cancel_url="https://shop.example", expires_at=transport_now() + _UNTIL,
    consent="You let us keep this card.",
)  # fmt: skip
SETUP = CardRequest(
    setup_id=new_id("cst"), customer_ref=None, customer_email="a@b.example", consent="You let us keep this card.",
    success_url="https://shop.example", cancel_url="https://shop.example", expires_at=transport_now() + _UNTIL,
)  # fmt: skip
CARD = SavedMethod("cus_1", "pm_1", "Visa")


def hints(owner: Any) -> dict[str, Any]:
    """The resolved annotations of one of the SDK's classes; what it imports for type checkers only is looked up."""
    known = {name: value for name, value in vars(owner).items() if isinstance(value, type)}
    while True:
        try:
            return get_type_hints(owner, {**vars(sys.modules[owner.__module__]), **known})
        except NameError as missing:
            known[str(missing.name)] = _imported(sys.modules[owner.__module__], str(missing.name))


def _imported(module: types.ModuleType, name: str) -> Any:
    """What `from x import name` under TYPE_CHECKING would have brought to a module or to its bases'."""
    for each in (module, importlib.import_module("stripe._request_options")):
        for node in ast.walk(ast.parse(inspect.getsource(each))):
            for alias in node.names if isinstance(node, ast.ImportFrom) else []:
                if name in {alias.name, alias.asname} and isinstance(node, ast.ImportFrom) and node.module:
                    return getattr(importlib.import_module(node.module), alias.name)
    raise AssertionError(f"{module.__name__} names {name}, which it imports from nowhere")


def misfits(value: Any, hint: Any, at: str) -> Iterator[str]:
    """Where a value does not have the type that the SDK gives it."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in {NotRequired, Required}:
        yield from misfits(value, args[0], at)
    elif origin in {Union, types.UnionType}:
        # "One of these words, or one that is added later": we only ever mean one of these.
        worded = isinstance(value, str) and any(get_origin(each) is Literal for each in args)
        tried = [list(misfits(value, each, at)) for each in args if not (worded and each is str)]
        if all(tried):
            yield tried[0][0]
    elif origin is Literal:
        if value not in args:
            yield f"{at}: {value!r} is none of {args}"
    elif origin is not None:
        yield from _inside(value, origin, args, at)
    else:
        yield from _plain(value, hint, at)


def _plain(value: Any, hint: Any, at: str) -> Iterator[str]:
    if is_typeddict(hint) or (isinstance(hint, type) and issubclass(hint, stripe.StripeObject)):
        yield from of_object(value, hint, at)
    elif hint is not Any and type(value) is not hint:
        yield f"{at}: {value!r} is not {hint}"


def _inside(value: Any, kind: Any, args: tuple[Any, ...], at: str) -> Iterator[str]:
    """A list or a mapping; Stripe's own classes of them are answered as the plain ones."""
    wanted = list if kind is list else dict
    if not isinstance(value, wanted):
        yield f"{at}: {value!r} is not a {wanted.__name__}"
        return
    pairs = enumerate(value) if isinstance(value, list) else value.items()
    for key, each in pairs:
        yield from misfits(each, args[-1], f"{at}[{key}]")


def of_object(value: Any, owner: Any, at: str) -> Iterator[str]:
    """Every field of ours is one of Stripe's, and has its type. Fields that we leave out are not missed."""
    if not isinstance(value, dict):
        yield f"{at}: {value!r} is not a {owner.__name__}"
        return
    fields = hints(owner)
    for name, each in value.items():
        if name not in fields:
            yield f"{at}.{name}: Stripe's {owner.__name__} has no such field"
        else:
            yield from misfits(each, fields[name], f"{at}.{name}")


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        (words.checkout_params(CHECKOUT), "checkout.SessionCreateParams"),
        (words.setup_params(SETUP), "checkout.SessionCreateParams"),
        (words.charge_params(CARD, CHECKOUT.amount, attempt_id="pat_1", description="x"), "PaymentIntentCreateParams"),
        (words.intents_of_params("cus_1", transport_now()), "PaymentIntentListParams"),
        (words.refund_params("ch_1", CHECKOUT.amount, "ref_1"), "RefundCreateParams"),
    ],
)
def test_what_we_send_is_what_the_sdk_knows(params: dict[str, Any], kind: str) -> None:
    owner: Any = importlib.import_module("stripe.params" + (".checkout" if "." in kind else ""))
    kind = kind.rpartition(".")[2]
    assert list(of_object(params, getattr(owner, kind), kind)) == []


def test_a_field_that_stripe_does_not_know_or_another_type_is_found() -> None:
    owner: Any = importlib.import_module("stripe.params.checkout")
    wrong = words.checkout_params(CHECKOUT) | {"colour": "red", "mode": "gift", "expires_at": "soon"}
    found = list(of_object(wrong, owner.SessionCreateParams, "session"))
    assert sorted(each.partition(":")[0] for each in found) == ["session.colour", "session.expires_at", "session.mode"]


OBJECTS: Final[dict[str, Any]] = {
    "checkout.session": stripe.checkout.Session, "payment_intent": stripe.PaymentIntent, "charge": stripe.Charge,
    "setup_intent": stripe.SetupIntent, "payment_method": stripe.PaymentMethod, "customer": stripe.Customer,
    "refund": stripe.Refund, "dispute": stripe.Dispute,
}  # fmt: skip


def test_every_object_of_the_sandbox_has_the_shape_of_stripes(world: World) -> None:
    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    for card in (paying.DECLINED, paying.PAYS):
        paying.pay(world.browser(), started.payment_url, card)
    ref = started.payment_url.rpartition("/")[2]
    for action in ({"action": "refund", "amount": 100}, {"action": "fail_refund"}, {"action": "dispute"}):
        assert world.browser().post(f"/sandbox/payments/{ref}", json=action).is_success
    page = world.ports.payments.start_card_setup(SETUP)
    for card in (paying.LOST, paying.PAYS):
        paying.pay(world.browser(), page.url, card)
    method = world.ports.payments.report_setup(page.ref).method
    assert method is not None
    for action in ({"action": "update"}, {"action": "forget_customer"}):
        assert world.browser().post(f"/sandbox/methods/{method.method_ref}", json=action).is_success
    with world.db.transaction() as tx:
        events = [row.body for row in tx.execute(select(SandboxEvent).order_by(col(SandboxEvent.sequence))).scalars()]
    api = stripe_client(world)
    expanded = {"expand[]": "setup_intent"}
    bodies = [event["data"]["object"] for event in events] + [
        api.get(f"checkout/sessions/{page.ref}", params=expanded).json()
    ]
    wrong = [each for body in bodies for each in of_object(body, OBJECTS[body["object"]], body["object"])]
    assert wrong == []
    assert {body["object"] for body in bodies} == OBJECTS.keys(), "each kind was looked at"
    assert [each for event in events for each in of_object(_outside(event), stripe.Event, "event")] == []


def _outside(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "data"}
