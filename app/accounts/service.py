"""Customer organizations and the seller they buy from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from babel.core import get_global
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.accounts.models import (
    Account,
    AccountTaxId,
    BuyerType,
    CreditTerms,
    LegalEntity,
    Member,
    Role,
    SellerRegistration,
    TaxIdStatus,
)
from app.core import audit, events
from app.core.db import Tx
from app.core.errors import NotFound, Unavailable
from app.core.ids import new_id
from app.core.money import Money

# Where a country has several zones, the one most of its businesses keep; an account can change its own.
_USUAL_ZONE: Final = {
    "AU": "Australia/Sydney", "BR": "America/Sao_Paulo", "CA": "America/Toronto", "CL": "America/Santiago",
    "CN": "Asia/Shanghai", "ES": "Europe/Madrid", "ID": "Asia/Jakarta", "MX": "America/Mexico_City",
    "NZ": "Pacific/Auckland", "PT": "Europe/Lisbon", "RU": "Europe/Moscow", "UA": "Europe/Kyiv",
    "US": "America/New_York",
}  # fmt: skip

# The first wait for a registry that did not answer.
ASKED_AGAIN_AFTER: Final = timedelta(minutes=5)


def time_zone_of(country: str) -> str:
    """An IANA zone for a new account; UTC for a territory without one."""
    if country in _USUAL_ZONE:
        return _USUAL_ZONE[country]
    zones = get_global("territory_zones").get(country, [])
    return str(zones[0]) if zones else "UTC"


@dataclass(frozen=True, slots=True)
class BuyerDetails:
    """Who buys, as typed at checkout; checked by the flow that prices it."""

    email: str
    name: str
    company: str
    type: BuyerType
    country: str
    region: str
    postcode: str
    city: str
    line1: str
    line2: str
    locale: str


# Built once: every preview asks these, and building costs as much as asking (ADR 0022).
_SELLER: Final = select(LegalEntity).order_by(col(LegalEntity.code)).limit(1)
_REGISTRATIONS: Final = (
    select(SellerRegistration)
    .where(col(SellerRegistration.legal_entity_id) == bindparam("entity"))
    .order_by(col(SellerRegistration.jurisdiction))
)
_MAY_BUY_FOR: Final = (
    select(col(Account.id))
    .join(Member, col(Member.account_id) == col(Account.id))
    .where(
        func.lower(col(Member.email)) == bindparam("email"),
        col(Member.removed_at).is_(None),
        col(Member.role).in_([Role.OWNER, Role.BUYER]),
    )
    .order_by(col(Account.created_at))
    .limit(1)
)


def seller(tx: Tx) -> LegalEntity:
    """The legal entity that sells. Raises Unavailable before a catalog was applied."""
    entity = tx.execute(_SELLER).scalar_one_or_none()
    if entity is None:
        raise Unavailable("Nothing is sold here yet: `blp catalog apply FILE` loads a catalog.")
    return entity


def registrations(tx: Tx, legal_entity_id: str) -> list[SellerRegistration]:
    return list(tx.execute(_REGISTRATIONS, {"entity": legal_entity_id}).scalars())


def get(tx: Tx, account_id: str) -> Account:
    account = tx.get(Account, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def lock(tx: Tx, account_id: str) -> Account:
    """The account, locked: for what may not happen twice at once in it. Rows may still refer to it meanwhile."""
    query = select(Account).where(col(Account.id) == account_id).with_for_update(key_share=True)
    account = tx.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if account is None:
        raise NotFound("There is no such account.")
    return account


def credit_terms(tx: Tx, account_id: str) -> CreditTerms | None:
    """What was decided about this account's invoices; None where the policies hold."""
    return tx.get(CreditTerms, account_id)


def freeze_credit(tx: Tx, account_id: str, why: str, *, by: str, now: datetime) -> None:
    """No orders on invoice from now on; what is open stays open."""
    terms = _terms_of(tx, account_id)
    terms.frozen_at, terms.frozen_why = now, why
    audit.record(tx, account_id, actor=by, action="credit.frozen", subject=account_id, now=now, details={"why": why})


def unfreeze_credit(tx: Tx, account_id: str, why: str, *, by: str, now: datetime) -> None:
    """Orders on invoice are possible again, within the limit."""
    terms = _terms_of(tx, account_id)
    terms.frozen_at, terms.frozen_why = None, ""
    audit.record(tx, account_id, actor=by, action="credit.unfrozen", subject=account_id, now=now,
                 details={"why": why})  # fmt: skip


def limit_credit(tx: Tx, account_id: str, limit: Money, why: str, *, by: str, now: datetime) -> None:
    """How much this account may owe in a currency, instead of what the policy says."""
    terms = _terms_of(tx, account_id)
    before = terms.limits.get(limit.currency)
    terms.limits = {**terms.limits, limit.currency: limit.minor}
    audit.record(tx, account_id, actor=by, action="credit.limited", subject=account_id, now=now,
                 details={"currency": limit.currency, "before": before, "after": limit.minor, "why": why})  # fmt: skip


def _terms_of(tx: Tx, account_id: str) -> CreditTerms:
    lock(tx, account_id)
    terms = tx.get(CreditTerms, account_id)
    if terms is None:
        terms = CreditTerms(account_id=account_id)
        tx.add(terms)
    return terms


def account_for_buyer(tx: Tx, buyer: BuyerDetails, now: datetime) -> Account:
    """The account an unsigned buyer's order belongs to: the one its e-mail may buy for, else a new one.

    An address typed by somebody who is not signed in never changes an existing account; the order keeps its
    own copy of what was typed.
    """
    existing = account_id_for_buyer(tx, buyer.email)
    return get(tx, existing) if existing else _open(tx, buyer, now)


def account_id_for_buyer(tx: Tx, email: str) -> str | None:
    """The oldest account that this address may buy for."""
    return tx.execute(_MAY_BUY_FOR, {"email": email.lower()}).scalar_one_or_none()


def _open(tx: Tx, buyer: BuyerDetails, now: datetime) -> Account:
    account = Account(
        id=new_id("acc"), name=buyer.company or buyer.name, type=buyer.type, email=buyer.email, line1=buyer.line1,
        line2=buyer.line2, city=buyer.city, region=buyer.region, postcode=buyer.postcode, country=buyer.country,
        time_zone=time_zone_of(buyer.country), locale=buyer.locale, created_at=now,
    )  # fmt: skip
    tx.add(account)
    tx.flush()
    tx.add(Member(
        id=new_id("mem"), account_id=account.id, email=buyer.email, name=buyer.name, role=Role.OWNER, created_at=now
    ))  # fmt: skip
    events.append(tx, "account.opened", account.id, now=now, account_id=account.id, country=account.country)
    return account


def keep_tax_ids(tx: Tx, account_id: str, tax_ids: Iterable[tuple[str, str, str]], now: datetime) -> None:
    """Remember (type, value, status) given with an order, so that a renewal starts from them."""
    for kind, value, status in tax_ids:
        keep_tax_ids_of_many(tx, [(account_id, kind, value, status)], now)


def keep_tax_ids_of_many(tx: Tx, tax_ids: Sequence[tuple[str, str, str, str]], now: datetime) -> None:
    """Remember (account, type, value, status); one whose registry did not answer is due to be asked again soon.

    What staff confirmed by hand stays confirmed. A question that is due stays due, whatever was learned meanwhile:
    what was issued before has to be looked at (ADR 0046).
    """
    rows = {each[:3]: _tax_id_row(each, now) for each in tax_ids}
    if not rows:
        return
    made = insert(AccountTaxId).values(list(rows.values()))
    # Two first orders of an account may come at once.
    tx.execute(
        made.on_conflict_do_update(
            index_elements=["account_id", "type", "value"],
            set_={
                "status": made.excluded.status, "checked_at": made.excluded.checked_at,
                "next_check_at": func.coalesce(col(AccountTaxId.next_check_at), made.excluded.next_check_at),
            },
            where=col(AccountTaxId.status) != TaxIdStatus.MANUAL_OVERRIDE,
        )
    )  # fmt: skip


def _tax_id_row(given: tuple[str, str, str, str], now: datetime) -> dict[str, Any]:
    account_id, kind, value, said = given
    status = TaxIdStatus.PENDING if said == TaxIdStatus.UNAVAILABLE else TaxIdStatus(said)
    return {
        "id": new_id("tid"), "account_id": account_id, "type": kind, "value": value, "status": status,
        "checked_at": now, "next_check_at": now + ASKED_AGAIN_AFTER if status is TaxIdStatus.PENDING else None,
    }  # fmt: skip


def tax_id(tx: Tx, account_id: str, tax_id: str) -> AccountTaxId:
    """A number of this account, locked. Raises NotFound."""
    query = select(AccountTaxId).where(col(AccountTaxId.id) == tax_id, col(AccountTaxId.account_id) == account_id)
    row = tx.execute(query.with_for_update().execution_options(populate_existing=True)).scalar_one_or_none()
    if row is None:
        raise NotFound("There is no such number in this account.", param="tax_id")
    return row
