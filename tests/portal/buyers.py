"""Somebody who buys through the pages, step by step."""

from typing import Final

from sqlalchemy import func, select
from sqlmodel import col

from app.accounts.models import Account, Audience, Member, Role
from app.core.db import Table
from app.flows.purchase import ORDER_TOKEN
from app.orders.models import Order
from app.web import cookies
from tests.portal.forms import Page, Visitor
from tests.signing_in import make_member, session_of_member
from tests.world import World

ADA: Final = {
    "email": "ada@example.de", "full_name": "Ada Beispiel", "company": "Beispiel GmbH", "country": "DE",
    "address": "Invalidenstr. 1", "city": "Berlin", "postcode": "10115", "tax_id": "DE136695976",
}  # fmt: skip
BO: Final = {
    "email": "bo@example.com", "full_name": "Bo Example", "company": "Example Inc.", "country": "US",
    "region": "US-KY", "address": "1 Main Street", "city": "Louisville", "postcode": "40202",
}  # fmt: skip
CARD: Final = {"expires": "12/34", "cvc": "123"}
CHECKOUT: Final = "/checkout?sku=professional&seats=25&interval=year&currency=EUR"


def visitor(world: World) -> Visitor:
    return Visitor(world.browser())


def priced(world: World, at: str = CHECKOUT, who: dict[str, str] | None = None, /, **typed: str) -> Visitor:
    """Somebody at the checkout with a filled-in form, the terms ticked, and the total on the page."""
    buyer = visitor(world)
    buyer.open(at)
    buyer.send("/checkout", "Show the total", "accept", **{**(who or ADA), **typed})
    return buyer


def at_payment(world: World, at: str = CHECKOUT, who: dict[str, str] | None = None, /, **typed: str) -> Visitor:
    """Somebody on the provider's pay page."""
    buyer = priced(world, at, who, **typed)
    buyer.send("/checkout", "Pay ")
    assert "/sandbox/pay/" in buyer.page.url, buyer.page.text
    return buyer


def pay(buyer: Visitor, card: str = "4242 4242 4242 4242") -> Page:
    action = buyer.page.url.partition("?")[0].rpartition("/")[2]
    return buyer.send(action, "Pretend to pay", card=card, **CARD)


def count(world: World, table: type[Table]) -> int:
    with world.db.transaction() as tx:
        return tx.execute(select(func.count()).select_from(table)).scalar_one()


def signed_in(world: World, order: Order, role: Role = Role.OWNER) -> Visitor:
    """A person of the order's account, signed in; the buyer owns it, other roles belong to a new colleague."""
    with world.db.transaction() as tx:
        if role is Role.OWNER:
            member = tx.execute(select(Member).where(col(Member.account_id) == order.account_id)).scalars().first()
            assert member is not None
        else:
            account = tx.get_one(Account, order.account_id)
            member = make_member(tx, role=role, account=account, email=f"{role.value}@beispiel.example")
        token = session_of_member(tx, world.ports.secrets, member)
    buyer = visitor(world)
    buyer.browser.cookies.set(cookies.SESSIONS[Audience.CUSTOMER], token, domain="127.0.0.1")
    return buyer


def page_of(world: World, order: Order) -> str:
    """The path of an order's page, as it stands in the receipt."""
    return f"/orders/{world.ports.secrets.sign_token(ORDER_TOKEN, order.id)}"
