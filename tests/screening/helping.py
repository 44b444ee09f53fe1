"""Lists as tests import them, and what they left behind."""

from pathlib import Path

from sqlalchemy import select
from sqlmodel import col

from app.flows import rescreening
from app.screening.lists import Imported
from app.screening.models import CaseState, ScreeningCase, ScreeningCheck
from tests.world import World

CSL = Path(__file__).with_name("csl.json")
LISTED = "Zarnitsa Quorvex Trading GmbH"  # like an entry of the fixture, listed in Germany


def bring(world: World, content: bytes | None = None, *, code: str = "csl", version: str = "") -> Imported:
    """Import a list: the fixture, or a plain file under another code."""
    given = CSL.read_bytes() if content is None else content
    kind = "json" if code == "csl" else "csv"
    return rescreening.import_list(world.ports, given, code=code, kind=kind, version=version, by="cli:test")  # type: ignore[arg-type]  # one of two


def cases(world: World, state: CaseState | None = None) -> list[ScreeningCase]:
    with world.db.transaction() as tx:
        query = select(ScreeningCase).order_by(col(ScreeningCase.id))
        if state is not None:
            query = query.where(col(ScreeningCase.state) == state)
        return list(tx.execute(query).scalars())


def checks(world: World) -> list[ScreeningCheck]:
    with world.db.transaction() as tx:
        return list(tx.execute(select(ScreeningCheck).order_by(col(ScreeningCheck.id))).scalars())
