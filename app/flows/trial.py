"""A trial from the first click to the purchase: nobody of ours has a hand in it (R-LIC-9).

`start` looks whether a trial may be given, signs its license and has it mailed. Whoever buys keeps their server: the
new license takes the place of the trial's (`end_by_order`), and nothing is installed anew but the file.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from app.accounts import domains
from app.accounts import service as accounts
from app.accounts.addresses import normal_email
from app.accounts.errors import TooManyTries
from app.accounts.models import BuyerType
from app.accounts.service import BuyerDetails
from app.agreements import service as agreements
from app.catalog import service as catalog
from app.catalog.errors import UnknownPlan
from app.catalog.models import Family, Plan, PlanKind
from app.core import audit, jobs, policy
from app.core.clock import local_date, transport_now
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.security import allow
from app.documents.mail_shapes import MailName, TrialStarted
from app.flows import export_gate, notify, party_screening
from app.flows.ports import Ports
from app.licenses import service as licenses
from app.licenses import trials
from app.licenses.errors import TrialRefused
from app.licenses.formats.claims import LicenseCustomer
from app.licenses.models import License, LicenseState
from app.licenses.service import Grant
from app.licenses.trial_models import Trial, TrialDoor, TrialState
from app.licenses.trials import Tried
from app.orders.models import Order, OrderState
from app.screening import destinations
from app.screening.destinations import Place
from app.screening.models import CheckOutcome
from app.screening.service import PartyRefused

TOKEN: Final = "trial"  # noqa: S105 -- a purpose, not a secret
_OF_A_DOMAIN: Final = (10, 3600)  # tries, seconds: however many addresses they come from
_LONGEST_LABEL: Final = 80


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for. `sku` empty: the plan that servers try. `terms` is the tick at the terms of sale."""

    tried: Tried
    terms: bool
    door: TrialDoor
    sku: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    trial: Trial
    license: License


def start(ports: Ports, asked: Asked) -> Begun:
    """Give a trial, with a license file that a server installs. Its mail is on the queue.

    Raises Invalid (naming the field), TrialRefused, DestinationRefused, PartyRefused (451 both), TooManyTries.
    """
    tried = replace(asked.tried, email=normal_email(asked.tried.email))
    if not asked.terms:
        raise TrialRefused("Accept the terms to start a trial.", param="terms_accepted", reason="terms")
    _within(ports, tried)
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        found = _start(tx, ports, asked, tried, now)
    if not isinstance(found, Begun):  # raised here, so that the case and its record are kept
        raise found
    return found


def _start(tx: Tx, ports: Ports, asked: Asked, tried: Tried, now: datetime) -> Begun | PartyRefused | TrialRefused:
    looks = destinations.require_allowed(Place(tried.country), now.date()) or destinations.partly(
        tried.country, now.date()
    )
    trials.require_mailbox(tried.domain, policy.get(tx, trials.THROWAWAY, now))
    plan = _plan(tx, asked.sku or policy.get(tx, trials.PLAN, now))
    trials.take_turn(tx, tried)
    trials.require_first(
        tx, tried, free_mail=policy.get(tx, domains.FREE_MAIL, now),
        again_days=policy.get(tx, trials.AGAIN_DAYS, now), now=now,
    )  # fmt: skip
    buyer = BuyerDetails(
        email=tried.email, name=tried.person_name, company=tried.company, type=BuyerType.BUSINESS,
        country=tried.country, region="", postcode="", city="", line1="", line2="", locale=tried.locale,
    )  # fmt: skip
    account = accounts.account_for_buyer(tx, buyer, now)
    export_gate.require_deliverable(tx, account.id, now)
    screened = party_screening.of_trial(tx, account, buyer, now, test=ports.test_mode)
    if screened.outcome is CheckOutcome.BLOCKED:
        return PartyRefused()
    if looks or screened.outcome is CheckOutcome.REVIEW:
        return TrialRefused(
            "Our team has to look at this request first. Write to us, or try again in a few days.", reason="held"
        )
    return _give(tx, ports, asked.door, tried, plan, account.id, days=plan.trial_days, now=now)


def _give(
    tx: Tx, ports: Ports, door: TrialDoor, tried: Tried, plan: Plan, account_id: str, *, days: int, now: datetime,
    given_by: str = "", reason: str = "",
) -> Begun:  # fmt: skip
    terms = agreements.terms_in_force(tx, now.date())
    license_ = licenses.issue(
        tx, ports.secrets,
        Grant(
            account_id=account_id, subscription_id=None, order_id=None, plan_id=plan.id, plan_name=plan.name,
            sku=plan.sku, license_sku=plan.license_sku, flags=plan.flags,
            seats=min(tried.users, policy.get(tx, trials.MOST_USERS, now)), starts_at=now,
            expires_at=now + timedelta(days=days), grace_days=0,
            # The file goes to whoever asks: nothing in it may tell whether the address is known here.
            customer=LicenseCustomer(
                id=tried.server_id, name=tried.person_name, email=tried.email, company=tried.company
            ),
            label=(tried.site_name or tried.server_id)[:_LONGEST_LABEL],
        ), now,
    )  # fmt: skip
    trial = trials.keep(
        tx, tried, license_, door=door, terms_id=terms.id, now=now, given_by=given_by, reason=reason
    )  # fmt: skip
    audit.record(tx, account_id, actor=given_by or str(door), action="trial.started", subject=trial.id, now=now,
                 details={"license": license_.id, "server": trial.server_id, "users": trial.users, "days": days,
                          **({"reason": reason} if reason else {})})  # fmt: skip
    jobs.defer(tx, tell_started, trial_id=trial.id)
    return Begun(trial, license_)


def _plan(tx: Tx, sku: str) -> Plan:
    """Raises TrialRefused for a plan that nobody may try."""
    try:
        plan = catalog.plan_by_sku(tx, sku) if sku else None
    except UnknownPlan:
        plan = None
    tries = plan is not None and plan.kind is PlanKind.PLAN and plan.family is Family.SELF_MANAGED and plan.trial_days
    if plan is None or not tries or plan.retired_at is not None:
        raise TrialRefused("There is no trial of this plan; write to us.", param="sku", reason="plan")
    return plan


def _within(ports: Ports, tried: Tried) -> None:
    """Count a try of this domain, of the address where it is one of a mail provider. Raises TooManyTries."""
    tries, seconds = _OF_A_DOMAIN
    now = transport_now()
    with ports.db.transaction() as tx:
        free = tried.domain in policy.get(tx, domains.FREE_MAIL, ports.clock.now())
        who = ports.secrets.fingerprint("rate", f"trial/{tried.email if free else tried.domain}")
        within = allow(tx, "trial", who, limit=tries, seconds=seconds, now=now)
    if not within:
        raise TooManyTries(retry_after=seconds - int(now.timestamp()) % seconds)


def give_another(ports: Ports, trial_id: str, *, days: int, reason: str, by: str) -> Begun:
    """A person gives the server of a trial another one, of a length that the product takes on purpose.

    Raises NotFound, Invalid, TrialRefused while one runs, DestinationRefused, PartyRefused.
    """
    trials.require_repeatable(days)
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        before = trials.get(tx, trial_id)
        tried = Tried(
            server_id=before.server_id, email=before.email, person_name=before.person_name, company=before.company,
            country=before.country, locale=before.locale, users=before.users_asked, site_name=before.site_name,
            site_url=before.site_url, server_version=before.server_version, wants_mail=before.wants_mail,
        )  # fmt: skip
        trials.take_turn(tx, tried)
        newest = trials.newest_on(tx, before.server_id)
        if newest.state is not TrialState.EXPIRED:
            raise TrialRefused(
                "This server's trial is running." if newest.state is TrialState.STARTED else
                "This server has been bought for; sell more instead.", reason="server",
            )  # fmt: skip
        destinations.require_allowed(Place(before.country), local_date(now, "UTC"))
        export_gate.require_deliverable(tx, before.account_id, now)
        plan = catalog.plans_by_id(tx, [licenses.get(tx, before.license_id).plan_id]).popitem()[1]
        return _give(
            tx, ports, TrialDoor.STAFF, tried, plan, before.account_id, days=days, now=now, given_by=by, reason=reason
        )


def name_for_order(ports: Ports, order_id: str, server_id: str) -> bool:
    """The buyer names the server that they tried it on; returns whether there is such a trial.

    Named before the payment, or at once after an order on invoice: then it ends here.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        trial = trials.running_on(tx, server_id)
        if trial is None:
            return False
        trial.order_id = order_id
        tx.flush()
        order = tx.get_one(Order, order_id)
        license_ = licenses.of_order(tx, order_id)
        if order.state is OrderState.COMPLETED:
            end_by_order(tx, order, license_, now)
    return True


def end_by_order(tx: Tx, order: Order, bought: License | None, now: datetime) -> None:
    """What a purchase means for the trial of its buyer: the new license is for the same server and takes its place."""
    trial = trials.ended_by(tx, order_id=order.id, account_id=order.account_id, email=order.buyer_email)
    if trial is None:
        return
    trials.convert(tx, trial, order_id=order.id, license_id=bought.id if bought else None, now=now)
    tried = licenses.lock(tx, trial.license_id)
    if bought is not None:
        bought.label = bought.label or tried.label
        if tried.state is LicenseState.ACTIVE:
            licenses.give_way(tx, tried, bought, now)
    audit.record(tx, trial.account_id, actor="buyer", action="trial.converted", subject=trial.id, now=now,
                 details={"order": order.id})  # fmt: skip


def expire_due(ports: Ports) -> int:
    """For `tick`: trials end."""
    with ports.db.transaction() as tx:
        return trials.expire_due(tx, ports.clock.now())


def page_of(ports: Ports, trial: Trial) -> str:
    """The path of a trial's page, which needs no sign-in."""
    return f"/trial/{ports.secrets.sign_token(TOKEN, trial.id)}"


def behind(tx: Tx, ports: Ports, token: str) -> Trial:
    """Raises NotFound for a token that was never given out."""
    trial_id = ports.secrets.read_token(TOKEN, token)
    if trial_id is None:
        raise NotFound("This link is not one of ours; open it from the mail.")
    return trials.get(tx, trial_id)


def buy_path(trial: Trial, license_: License) -> str:
    """Where the tried plan is bought, with the server named."""
    wanted: dict[str, Any] = {"sku": license_.sku, "seats": trial.users_asked, "trial": trial.server_id}
    return f"/checkout?{urlencode(wanted)}"


@jobs.job("notify.trial_started", retry=jobs.Retry(attempts=10, first=5))
def tell_started(ports: Ports, *, trial_id: str) -> None:
    """The way to the file, and to buying."""
    with ports.db.transaction() as tx:
        trial = trials.get(tx, trial_id)
        license_ = licenses.get(tx, trial.license_id)
        plan = catalog.plans_by_id(tx, [license_.plan_id])[license_.plan_id]
        zone = accounts.get(tx, trial.account_id).time_zone
        page = page_of(ports, trial)
        data = TrialStarted(
            vendor=notify.sender(tx, ports), person_name=trial.person_name, plan=plan.name, users=trial.users,
            server=trial.site_name or trial.server_id, last=local_date(trial.ends_at - timedelta(seconds=1), zone),
            trial_url=ports.link(page), license_url=ports.link(f"{page}/license"),
            buy_url=ports.link(buy_path(trial, license_)),
        )  # fmt: skip
    notify.send(ports, MailName.TRIAL_STARTED, data, to=trial.email, locale=trial.locale,
                message_id=f"trial-{trial.id}")  # fmt: skip
