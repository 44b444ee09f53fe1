"""Purchases whose tax hangs on a number, with a registry that says what a test wants."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import AccountTaxId
from app.adapters.sandbox import clock
from app.core.db import require_no_transaction
from app.flows import tick
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.tax.models import TaxIdCheck
from app.tax.provider import RegistryAnswer
from tests.world import World

NUMBER = "DE136695976"


@dataclass
class Scripted:
    """Answers `says` to everything; `code` and `again` where that is unavailable."""

    says: str = "unavailable"
    code: str = "MS_UNAVAILABLE"
    again: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)

    def check(self, type: str, value: str, country: str) -> RegistryAnswer:  # noqa: A002, ARG002 -- the port's words
        require_no_transaction()
        self.asked.append((type, value))
        if self.says == "unavailable":
            return RegistryAnswer("unavailable", None, b'{"e":1}', registry="vies", code=self.code, again=self.again)
        return RegistryAnswer(self.says, "WAPI1" if self.says == "valid" else None, self.says.encode(),
                              registry="vies", name="BEISPIEL GMBH", address="10115 BERLIN")  # fmt: skip


def scripted(world: World) -> Scripted:
    """Put a registry of the test's own in place of the sandbox's."""
    registry = Scripted()
    world.wired = replace(world.wired, ports=replace(world.ports, tax_ids=registry))
    return registry


def later(world: World, by: timedelta) -> None:
    """Move the clock at one go, find what is due, and do it."""
    clock.set_to(world.db, world.ports.clock.now() + by)
    tick.tick(world.ports)
    world.work()


def kept(world: World, value: str = NUMBER) -> AccountTaxId:
    with world.db.transaction() as tx:
        return tx.execute(select(AccountTaxId).where(col(AccountTaxId.value) == value)).scalar_one()


def checks(ports: Ports) -> list[TaxIdCheck]:
    with ports.db.transaction() as tx:
        return list(tx.execute(select(TaxIdCheck).order_by(col(TaxIdCheck.checked_at), col(TaxIdCheck.id))).scalars())


def documents(world: World) -> list[Invoice]:
    """Every invoice, the first one first."""
    with world.db.transaction() as tx:
        return list(tx.execute(select(Invoice).order_by(col(Invoice.sequence))).scalars())


def owed(world: World, invoice: Invoice) -> int:
    with world.db.transaction() as tx:
        return invoices.owed(tx, invoice).minor
