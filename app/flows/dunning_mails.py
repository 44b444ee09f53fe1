"""What customers are told while a payment is collected: friendly, with dates, and one link that needs no sign-in."""

from datetime import date, timedelta

from app.accounts.models import LegalEntity
from app.core import jobs
from app.core.clock import local_date
from app.core.db import Tx
from app.documents.mail_shapes import MailName, Owed, PaymentFailed, PaymentGivenUp, Vendor
from app.dunning.models import Owed as OwedState
from app.dunning.models import RunState
from app.flows import dunning, notify, renewal
from app.flows.dunning import Standing
from app.flows.ports import Ports
from app.licenses import service as licenses
from app.orders import service as orders
from app.orders.models import Preview
from app.payments import service as payments
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription


@jobs.job("dunning.write", retry=jobs.Retry(attempts=10, first=10))
def write(ports: Ports, *, run_id: str, occasion: str) -> None:
    """What failed, when it is tried again, until when all works; nothing where it was paid meanwhile."""
    with ports.db.transaction() as tx:
        found = dunning.standing_of(tx, run_id)
        if found.run.state is not RunState.OPEN or not found.owing or found.last_try_at is None:
            return
        subscription = subscriptions.get(tx, found.owing[0].subscription_id)
        saved = payments.saved_method(tx, found.run.account_id, ports.payments.name)
        zone, next_try = subscription.time_zone, found.next_try_at
        tries = not found.run.needs_card and next_try is not None
        data = PaymentFailed(
            vendor=_vendor(tx, ports, subscription), person_name=subscription.contact_name, items=_items(found),
            total=found.total, card_last4=saved.label[-4:] if saved else None, needs_card=found.run.needs_card,
            next_try_on=local_date(next_try, zone) if tries and next_try is not None else None,
            last_try_on=local_date(found.last_try_at, zone), works_until=_works_until(tx, found, zone),
            card_url=ports.link(dunning.card_link(ports, run_id)),
        )  # fmt: skip
        locale, to = _locale(tx, found), subscription.contact_email
    notify.send(ports, MailName.PAYMENT_FAILED, data, to=to, locale=locale, message_id=f"dunning-{run_id}-{occasion}")


@jobs.job("dunning.write_the_end", retry=jobs.Retry(attempts=10, first=10))
def write_the_end(ports: Ports, *, run_id: str) -> None:
    """It ended unpaid; the way back is one link."""
    with ports.db.transaction() as tx:
        found = dunning.standing_of(tx, run_id, OwedState.GIVEN_UP)
        first = subscriptions.get(tx, found.owing[0].subscription_id)
        url = ports.link("/account/subscriptions")
        if len(found.owing) == 1:
            url = renewal.issue_link(tx, ports, first, ports.clock.now())
        data = PaymentGivenUp(
            vendor=_vendor(tx, ports, first), person_name=first.contact_name, items=_items(found), total=found.total,
            renewal_url=url,
        )  # fmt: skip
        locale, to = _locale(tx, found), first.contact_email
    notify.send(ports, MailName.PAYMENT_GIVEN_UP, data, to=to, locale=locale, message_id=f"dunning-{run_id}-end")


def _vendor(tx: Tx, ports: Ports, subscription: Subscription) -> Vendor:
    return notify.vendor(ports, tx.get_one(LegalEntity, subscription.legal_entity_id))


def _items(found: Standing) -> tuple[Owed, ...]:
    return tuple(Owed(each.plan, each.old_end_on - timedelta(days=1), each.amount) for each in found.owing)


def _locale(tx: Tx, found: Standing) -> str:
    order = orders.get(tx, found.owing[0].order_id)
    return str(tx.get_one(Preview, order.preview_id).inputs["buyer"]["locale"])


def _works_until(tx: Tx, found: Standing, zone: str) -> date:
    """The last day on which everything works: of the license that ends first."""
    ends = []
    for each in found.owing:
        current = licenses.current(tx, each.subscription_id)
        held = subscriptions.get(tx, each.subscription_id)
        ends.append(local_date(current.expires_at, zone) if current is not None else held.ends_on)
    return min(ends) - timedelta(days=1)
