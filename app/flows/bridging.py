"""A license for the time until a renewal is paid (R-SUB-5, R-LIC-2): new id, marked as a bridge, no longer than needed.

It takes the place of the license that ends, and gives way to the one of the paid order by itself.
"""

from datetime import datetime

from app.accounts import service as accounts
from app.catalog import service as catalog
from app.catalog.models import Family
from app.core import events
from app.core.db import Tx
from app.flows import provisioning
from app.flows.ports import Ports
from app.licenses import service as licenses
from app.licenses.formats.claims import LicenseCustomer
from app.licenses.models import License
from app.licenses.service import Grant
from app.orders.models import Order, Preview
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription


def bridge(tx: Tx, ports: Ports, subscription: Subscription, order: Order, until: datetime) -> License | None:
    """Cover the subscription until `until` while `order` is not paid.

    None where there is nothing to carry on: its license was revoked or suspended, or already lasts that long.
    """
    now = ports.clock.now()
    current = licenses.current(tx, subscription.id)
    if current is None or current.expires_at >= until or until <= now:
        return None
    lines = subscriptions.lines(tx, subscription.id)
    plans = catalog.plans_by_id(tx, [line.plan_id for line in lines])
    plan = plans[subscription.plan_id]
    flags = {name: value for each in plans.values() for name, value in each.flags.items()}
    made = licenses.issue(
        tx, ports.secrets,
        Grant(
            account_id=subscription.account_id, subscription_id=subscription.id, order_id=order.id, plan_id=plan.id,
            plan_name=plan.name, sku=plan.sku, license_sku=plan.license_sku, flags=flags, seats=current.seats,
            starts_at=min(now, current.expires_at), expires_at=until, grace_days=subscription.grace_days,
            customer=LicenseCustomer(
                id=subscription.account_id, name=subscription.contact_name, email=subscription.contact_email,
                company=_company(tx, order),
            ),
            bridge=True,
        ),
        now,
    )  # fmt: skip
    licenses.supersede(tx, made, now)
    events.append(tx, "license.bridged", made.id, now=now, account_id=made.account_id,
                  subscription=subscription.id, until=until.isoformat())  # fmt: skip
    if plan.family is Family.CLOUD:
        provisioning.provide(tx, subscription, made, region=None, now=now)
    return made


def _company(tx: Tx, order: Order) -> str:
    buyer = tx.get_one(Preview, order.preview_id).inputs["buyer"]
    return str(buyer["company"] or accounts.get(tx, order.account_id).name)


def revoke(tx: Tx, subscription_id: str, order_id: str, *, reason: str, now: datetime) -> None:
    """Take back the bridge to an order, if it is in force."""
    current = licenses.current(tx, subscription_id)
    if current is not None and current.bridge and current.order_id == order_id:
        licenses.revoke(tx, current.id, reason=reason, by="billing", now=now)
