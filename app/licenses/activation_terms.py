"""How many servers the licenses of a subscription bind, and who may change that (R-LIC-5)."""

from datetime import datetime
from typing import Final

from sqlalchemy import select, text
from sqlmodel import col

from app.catalog.activation_rules import ActivationRules
from app.catalog.models import Plan
from app.core import audit
from app.core.db import Tx
from app.core.errors import Invalid
from app.licenses import activations
from app.licenses.activation_models import ActivationLimit
from app.licenses.activations import Terms
from app.licenses.models import License
from app.licenses.service import subscription_of

_TURN: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:of, 0))")
_MOST: Final = 1_000_000


def set_limit(tx: Tx, license_: License, most: int | None, *, reason: str, by: str, now: datetime) -> ActivationLimit:
    """Another limit than the plan's for all licenses of its subscription; None takes that back.

    Servers beyond a lowered limit stay bound and are told so by validation. Raises Invalid, NothingBought.
    """
    rules = terms_of(tx, license_).rules
    if tx.get_one(Plan, license_.plan_id).activation_rules is None:
        raise Invalid("Its plan binds no servers, so there is nothing to limit.", param="most")
    if most is not None:
        if not 1 <= most <= _MOST:
            raise Invalid(f"Give 1 to {_MOST:,} activations.", param="most")
        activations.require_divisible(most, rules)
    subscription_id = subscription_of(license_)
    take_turn(tx, subscription_id)
    before = terms_of(tx, license_).limit
    row = ActivationLimit(
        account_id=license_.account_id, subscription_id=subscription_id, most=most, set_by=by, reason=reason,
        set_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    after = rules.limit if most is None else most
    audit.record(tx, license_.account_id, actor=by, action="license.activations_limited", subject=license_.id, now=now,
                 details={"before": before, "after": after, "reason": reason})  # fmt: skip
    return row


def terms_of(tx: Tx, license_: License) -> Terms:
    """The plan's rules and the limit in force. A plan without rules lets any number of servers be listed."""
    override = (
        select(col(ActivationLimit.most))
        .where(col(ActivationLimit.subscription_id) == license_.subscription_id)
        .order_by(col(ActivationLimit.id).desc())
        .limit(1)
    )
    query = select(col(Plan.activation_rules), override.scalar_subquery()).where(col(Plan.id) == license_.plan_id)
    rules, most = tx.execute(query).one()
    return Terms(ActivationRules.model_validate(rules or {}), most)


def take_turn(tx: Tx, subscription_id: str) -> None:
    """Until the transaction ends. What is read after it is what the one before left."""
    tx.execute(_TURN, {"of": f"activations:{subscription_id}"})
