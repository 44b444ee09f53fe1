"""Kept cards: read, chosen, removed, and the pages on which new ones are entered. Numbers never reach us."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import Account, ApiKey
from app.core import ids, paging
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.errors import NotFound
from app.flows import cards
from app.payments import methods
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.payments.methods import CardState
from app.payments.models import CardSetup, PaymentMethod, SetupState
from app.web.api.access import KEYED, OfAccount, find, key_with, sees, visible
from app.web.api.shapes import ID, In, JsonRoute, Limit, PageOut, cursor
from app.web.deps import Now, Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/payment_methods", tags=["payment_methods"], route_class=JsonRoute
)  # fmt: skip
setups = APIRouter(
    prefix="/v1/card_setups", tags=["payment_methods"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("accounts:read")]
Writer = Annotated[ApiKey, key_with("payment_methods:write")]


class PaymentMethodOut(BaseModel):
    """`default` is the card that renewals charge. `expiring`: it is good until the end of this month or the next."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "pmt_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "label": "Visa •••• 4242", "exp_year": 2034, "exp_month": 12, "state": "active", "default": True,
        "provider": "sandbox", "created_at": "2026-11-22T09:00:00Z", "removed_at": None,
    }})  # fmt: skip

    id: str
    account_id: str
    label: str
    exp_year: int | None
    exp_month: int | None
    state: CardState
    default: bool
    provider: str
    created_at: datetime
    removed_at: datetime | None

    @classmethod
    def of(cls, tx: Unit, row: PaymentMethod, now: datetime) -> Self:
        first = methods.charged_first(tx, row.account_id, row.provider)
        today = local_date(now, tx.get_one(Account, row.account_id).time_zone)
        same = "id account_id label exp_year exp_month provider created_at removed_at"
        return cls(
            **{name: getattr(row, name) for name in same.split()}, state=methods.state_of(row, today),
            default=first is not None and first.id == row.id,
        )  # fmt: skip


class PaymentMethodList(PageOut[PaymentMethodOut]):
    pass


class CardSetupIn(In):
    model_config = ConfigDict(json_schema_extra={"example": {"account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk"}})

    account_id: Annotated[str, StringConstraints(pattern=f"^acc_{ID}$")]


class CardSetupOut(BaseModel):
    """Lead the card's owner to `url`, the provider's own page. `failure_code` is of the last card that was refused."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "cst_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "state": "pending",
        "url": "https://checkout.stripe.com/c/pay/cs_1", "payment_method_id": None, "failure_code": None,
        "created_at": "2026-11-22T09:00:00Z",
    }})  # fmt: skip

    id: str
    account_id: str
    state: SetupState
    url: str | None
    payment_method_id: str | None
    failure_code: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: CardSetup) -> Self:
        return cls(
            id=row.id, account_id=row.account_id, state=row.state, payment_method_id=row.method_id,
            url=row.redirect_url if row.state is SetupState.PENDING else None, failure_code=row.failure_code,
            created_at=row.created_at,
        )  # fmt: skip


@router.get("", responses=problems(*KEYED))
def list_payment_methods(
    tx: Tx,
    now: Now,
    key: Reader,
    account_id: OfAccount = None,
    limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("pmt")] = None,
) -> PaymentMethodList:
    """Cards that are kept, newest first."""
    query = visible(select(PaymentMethod), col(PaymentMethod.account_id), key, account_id)
    query = query.where(col(PaymentMethod.removed_at).is_(None))
    found = paging.page(tx, query, col(PaymentMethod.id), limit=limit, starting_after=starting_after)
    return PaymentMethodList(data=[PaymentMethodOut.of(tx, row, now) for row in found.data], has_more=found.has_more)


@router.get("/{payment_method_id}", responses=problems(*KEYED, NotFound))
def get_payment_method(payment_method_id: str, tx: Tx, now: Now, key: Reader) -> PaymentMethodOut:
    """One card; a removed one says since when."""
    return PaymentMethodOut.of(tx, find(tx, PaymentMethod, "pmt", payment_method_id, key), now)


@router.post("/{payment_method_id}/default", responses=problems(*KEYED, NotFound))
def choose_payment_method(payment_method_id: str, ports: Wired, now: Now, key: Writer) -> PaymentMethodOut:
    """Charge this card for renewals from now on."""
    with ports.db.transaction() as tx:
        account_id = find(tx, PaymentMethod, "pmt", payment_method_id, key).account_id
    row = cards.choose(ports, account_id, payment_method_id, by=key.id)
    with ports.db.transaction() as tx:
        return PaymentMethodOut.of(tx, row, now)


@router.delete("/{payment_method_id}", responses=problems(*KEYED, NotFound))
def remove_payment_method(payment_method_id: str, ports: Wired, now: Now, key: Writer) -> PaymentMethodOut:
    """Never charge this card again; the provider forgets it. The youngest of the others takes its place."""
    with ports.db.transaction() as tx:
        account_id = find(tx, PaymentMethod, "pmt", payment_method_id, key).account_id
    row = cards.remove(ports, account_id, payment_method_id, by=key.id)
    with ports.db.transaction() as tx:
        return PaymentMethodOut.of(tx, row, now)


@setups.post(
    "", status_code=HTTPStatus.CREATED, responses=problems(*KEYED, NotFound, PaymentUnavailable, PaymentRefused)
)
def create_card_setup(body: CardSetupIn, ports: Wired, key: Writer) -> CardSetupOut:
    """Open the provider's page on which a card is entered to be kept. Nothing is charged there.

    Once it is kept, it is charged for renewals, and what is being collected from the account is tried with it at once.
    """
    with ports.db.transaction() as tx:
        account = tx.get(Account, ids.require_form("acc", body.account_id))
        if account is None or not sees(key, account.id):
            raise NotFound(f"There is no {body.account_id} here.", param="account_id")
    return CardSetupOut.of(cards.begin(ports, account.id, by=key.id))


@setups.get("/{card_setup_id}", responses=problems(*KEYED, NotFound))
def get_card_setup(card_setup_id: str, tx: Tx, key: Reader) -> CardSetupOut:
    """What became of it."""
    return CardSetupOut.of(find(tx, CardSetup, "cst", card_setup_id, key))
