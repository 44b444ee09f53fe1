"""Licenses that were held back: an early renewal with less in it hands its file over on the old end date (R-LIC-7)."""

from app.catalog.models import Family, Plan
from app.core import events
from app.flows import provisioning
from app.flows.ports import Ports
from app.licenses import service as licenses
from app.subscriptions import service as subscriptions


def release_due(ports: Ports) -> int:
    """The present license gives way to the one that was held back, and workspaces hear of it. For `tick`."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        due = licenses.to_release(tx, now)
        for license_ in due:
            licenses.supersede(tx, license_, now)
            events.append(tx, "license.released", license_.id, now=now, account_id=license_.account_id,
                          subscription=license_.subscription_id)  # fmt: skip
            if tx.get_one(Plan, license_.plan_id).family is Family.CLOUD:
                provisioning.provide(tx, subscriptions.get(tx, licenses.subscription_of(license_)), license_,
                                     region=None, now=now)  # fmt: skip
    return len(due)
