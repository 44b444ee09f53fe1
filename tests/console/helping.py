"""What tests of the console share: an installation with something in it, and what its doors are."""

import json
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import func, select, text
from sqlmodel import col

from app.accounts import api_keys
from app.accounts import service as accounts
from app.accounts.models import StaffRole
from app.agreements import contracts
from app.agreements.contracts import Terms
from app.agreements.papers import Upload
from app.core import events
from app.core.audit import AuditEntry
from app.core.clock import transport_now
from app.core.db import metadata
from app.core.events import Event
from app.core.ids import new_id, new_license_file_id
from app.dunning.models import DunningRun, RunState
from app.flows import exemptions, quoting, refund, rescreening, trial, unmatched
from app.flows.refund import Asked
from app.invoices import service as invoices
from app.licenses import service as licenses
from app.licenses.models import License, LicenseState, MergedLicense
from app.licenses.trial_models import TrialDoor
from app.licenses.trials import Tried
from app.main import create_app
from app.orders.models import Order
from app.payments import refunds
from app.payments import service as payments
from app.quotes.models import Quote
from app.screening import service as screening
from app.screening.matching import Hit, Party
from app.screening.models import Role, ScreeningEntry
from app.subscriptions import scheduled
from app.subscriptions import service as subscriptions
from app.subscriptions.scheduled import Wish
from app.tax import overruling
from app.tax.certificates import Stated
from app.tax.models import NexusAlert
from app.tax.overruling import Wanted
from tests import shop
from tests.screening.lines import plain
from tests.signing_in import form_token, make_staff, send_form
from tests.world import World

BUFFALO = {"country": "US", "region": "NY", "postcode": "14201", "city": "Buffalo", "email": "ny@example.com"}
DONETSK = {"country": "UA", "postcode": "84301", "city": "Kramatorsk", "email": "ua@example.com"}


def held(world: World, **where: Any) -> str:
    """The id of an order that waits for a person: for its tax, unless told otherwise."""
    offered = shop.offer(world, currency="USD", vat=None, seats=25, **(where or BUFFALO))
    return shop.order(world, offered).order_id


def asked(world: World, **wanted: Any) -> Quote:
    """A request for a quote on 400 seats."""
    given = {"seats": 400, "email": "big@example.de", "company": "Big AG", **wanted}
    return quoting.request(world.ports, shop.offer(world, **given).id, note="We would like three years.")


@dataclass(frozen=True)
class Stocked:
    """One of everything."""

    order: Order
    held: str
    quote: str
    subscription: str
    license: str
    invoice: str
    payment: str
    workspace: str
    run: str
    staff: str
    key: str
    credit_note: str
    refund: str
    dispute: str
    agreement: str
    change: str
    override: str
    alert: str
    certificate: str
    case: str
    trial: str
    merged: str

    @property
    def named(self) -> dict[str, str]:
        """The id of each."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"order": self.order.id}

    @property
    def paths(self) -> dict[str, str]:
        return {
            "account_id": self.order.account_id, "order_id": self.order.id, "quote_id": self.quote,
            "subscription_id": self.subscription, "license_id": self.license, "invoice_id": self.invoice,
            "payment_id": self.payment,
            "workspace_id": self.workspace, "run_id": self.run, "staff_id": self.staff, "key_id": self.key,
            "credit_note_id": self.credit_note, "refund_id": self.refund, "dispute_id": self.dispute,
            "agreement_id": self.agreement, "change_id": self.change, "override_id": self.override,
            "alert_id": self.alert, "certificate_id": self.certificate, "case_id": self.case,
            "trial_id": self.trial, "merged_id": self.merged,
            "name": "invoice_register", "ending": "csv", "job_id": "1",
        }  # fmt: skip


def stock(world: World) -> Stocked:
    """A purchase of a cloud plan, a part of it refunded and the rest disputed; a held order, a request for a quote; a
    colleague, a key. Or a copy of all that.
    """
    told = json.loads(world.past.after("one of everything", (), lambda: json.dumps(_stocked(world).named)))
    with world.db.transaction() as tx:
        return Stocked(tx.get_one(Order, told.pop("order")), **told)


def _stocked(world: World) -> Stocked:
    order = shop.buy(world, sku="cloud-professional", interval="month", seats=5)
    with world.db.transaction() as tx:
        invoice, payment = invoices.of_order(tx, order.id), payments.of_order(tx, order.id)
        assert invoice
        assert payment
        colleague = make_staff(tx, role=StaffRole.SUPPORT).id
        key, _ = api_keys.create(tx, world.ports.secrets, name="ERP", scopes=["invoices:read"],
                                 account_id=order.account_id, actor="test", now=transport_now())  # fmt: skip
    refund_id = refund.request(world.ports, Asked(invoice.id, total=100), by="stf_1").id
    world.work()
    world.browser().post(f"/sandbox/payments/{payment.provider_ref}", json={"action": "dispute"})
    world.work()
    request = asked(world)
    with world.db.transaction() as tx:
        license_ = licenses.of_order(tx, order.id)
        workspace = tx.execute(text("SELECT id FROM workspace")).scalar_one()
        note, dispute = refunds.get(tx, refund_id).credit_note_id, refunds.disputes_of(tx, payment.id)[0].id
        assert license_
        assert note
        now = world.ports.clock.now()
        terms = Terms("Master agreement", "Net 60 days.", now.date(), None, "Grace Hopper")
        special = contracts.record(
            tx, request.account_id, terms, Upload(b"%PDF-1.7 %%EOF"), remind_days=60, time_zone="Europe/Berlin",
            by="test", now=now,
        )  # fmt: skip
    return Stocked(
        order, held(world), request.id, order.subscription_id or "", license_.id, invoice.id, payment.id, workspace,
        collected(world, order), colleague, key.id, note, refund_id, dispute, special.id, scheduled_for(world, order),
        overridden(world), alerted(world), certified(world, order.account_id), questioned(world, order),
        tried(world), merged(world, license_),
    )  # fmt: skip


def certified(world: World, account_id: str, jurisdiction: str = "US-NY", *, accept: bool = False, **says: Any) -> str:
    """An exemption certificate of the account, waiting for a review or accepted; the id."""
    now = world.ports.clock.now()
    given: dict[str, Any] = {"reason": "resale", "number": "RS-1", "signed_on": now.date(), **says}
    with world.db.transaction() as tx:
        paper = Upload(b"%PDF-1.7 %%EOF", "certificate.pdf")
        row = exemptions.submit(tx, account_id, Stated(jurisdiction, **given), paper, by="mem_1", now=now)
        if accept:
            exemptions.accept(tx, row.id, note="Looked up", by="test", now=now)
        return row.id


def tried(world: World) -> str:
    """A server that tries the product; the id of the trial."""
    wish = Tried(server_id="ehsr1oaxbty8bmw6xqhp8pj7pe", email="tess@trying.example", person_name="Tess Trying",
                 company="Trying Ltd", country="GB", locale="en", users=20)  # fmt: skip
    return trial.start(world.ports, trial.Asked(wish, terms=True, door=TrialDoor.PORTAL)).trial.id


def merged(world: World, of: License) -> str:
    """A file of several licenses, as a row to look at; the id."""
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        row = MergedLicense(
            id=new_id("mrg"), account_id=of.account_id, server="chat.example.org", file_id=new_license_file_id(),
            plan="Professional", sku="professional", seats=of.seats, starts_at=of.starts_at, expires_at=of.expires_at,
            grace_days=10, state=LicenseState.ACTIVE, entitlements={"ldap": True},
            sources=[{"license": of.id, "users": of.seats, "expires_at": of.expires_at.isoformat()}],
            content_sha256="0" * 64, kid=of.kid, file_text="-", file_sha256="1" * 64, issued_at=now,
        )  # fmt: skip
        tx.add(row)
        return row.id


def alerted(world: World) -> str:
    """A registration that comes near; the id of the alert."""
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        alert = NexusAlert(
            id=new_id("tna"), legal_entity_id=accounts.seller(tx).id, jurisdiction="US-TX", level=80,
            figures={"name": "Texas", "percent": 85}, raised_at=now,
        )  # fmt: skip
        tx.add(alert)
    return alert.id


def overridden(world: World, jurisdiction: str = "US-DC", rate: str | None = "7", **wanted: Any) -> str:
    """A tax override of the operator's; the id."""
    now = world.ports.clock.now()
    given: dict[str, Any] = {
        "treatment": "standard", "source": "Adviser's letter of 2026-11-20", "why": "The rate is confirmed.",
        "valid_from": now.date(), **wanted,
    }  # fmt: skip
    with world.db.transaction() as tx:
        asked = Wanted(jurisdiction, rate=Decimal(rate) if rate else None, **given)
        return overruling.record(tx, asked, by="test", now=now).id


def scheduled_for(world: World, order: Order, seats: int = 3) -> str:
    """Fewer seats, from the next term on."""
    with world.db.transaction() as tx:
        held = subscriptions.lock(tx, order.subscription_id or "")
        return scheduled.schedule(tx, held, Wish(seats=seats), by="mem_1", now=world.ports.clock.now()).id


def questioned(world: World, order: Order) -> str:
    """An open case of screening, as a row to look at."""
    now = world.ports.clock.now()
    rescreening.import_list(world.ports, plain("1,person,Nobody Alike,,,,,,"), code="eu", kind="csv", version="",
                            by="test")  # fmt: skip
    with world.db.transaction() as tx:
        entry = tx.execute(select(ScreeningEntry)).scalar_one()
        party = Party(Role.PERSON, "Nobody Alyke", "DE")
        return screening.screen(tx, order.account_id, [party], [Hit(party, entry, 91, exact=False)], by="rescreen",
                                test=True, now=now).cases[0].id  # fmt: skip


def collected(world: World, order: Order) -> str:
    """A closed run of dunning about an order, as a row to look at."""
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        run = DunningRun(
            id=new_id("dun"), account_id=order.account_id, currency=order.currency, state=RunState.RECOVERED,
            opened_at=now, closed_at=now, failure_code="card_declined", needs_card=False,
        )  # fmt: skip
        tx.add(run)
    return run.id


def lose_money(world: World, order: Order) -> None:
    """Make a payment appear that fits no open order."""
    with world.db.transaction() as tx:
        events.append(tx, unmatched.FOUND, order.id, now=world.ports.clock.now(), account_id=order.account_id,
                      why="paid_twice")  # fmt: skip


def doors(world: World) -> list[tuple[str, str]]:
    """Every (method, path) of the console, from the app itself."""
    app: FastAPI = create_app(world.settings, world.wired)
    found = [each for each in iter_route_contexts(app.routes) if isinstance(each.original_route, APIRoute)]
    return sorted(
        (method, each.path)
        for each in found
        for method in (each.methods or set()) - {"HEAD"}
        if each.path and each.path.startswith("/console")
    )


def audited(world: World, action: str) -> list[AuditEntry]:
    with world.db.transaction() as tx:
        query = select(AuditEntry).where(col(AuditEntry.action) == action).order_by(col(AuditEntry.id))
        return list(tx.execute(query).scalars())


def told(world: World, kind: str) -> int:
    """How often an event of a kind was appended."""
    with world.db.transaction() as tx:
        return tx.execute(select(func.count()).select_from(Event).where(col(Event.type) == kind)).scalar_one()


def fingerprint(world: World) -> dict[str, tuple[int, int]]:
    """How many rows every table has and a sum over their content; sessions and limits are the door-keeper's own."""
    own = {"web_session", "rate_window"}
    with world.db.transaction() as tx:
        return {
            name: tuple(tx.execute(text(f'SELECT count(*), coalesce(sum(hashtext(t::text)), 0) FROM "{name}" t')).one())  # noqa: S608 -- names of our own tables
            for name in sorted(metadata.tables)
            if name not in own
        }


def do(browser: httpx.Client, page: str, action: str, **values: str) -> httpx.Response:
    """Press a button of a page of the console."""
    return send_form(browser, page, action, **values)


def token_of(browser: httpx.Client, page: str = "/console/procedures") -> str:
    return form_token(browser.get(page).text)
