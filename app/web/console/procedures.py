"""The procedures of `docs/procedures/`, to be read beside the work they describe."""

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core.errors import NotFound
from app.web import auth, csrf, show
from app.web.console.operations_views import ProceduresView, ProcedureView
from app.web.console.render import Reader, page
from app.web.console.views import ConsoleShell
from app.web.deps import Tx, ports_of
from app.web.views import Link

router = APIRouter()
FOLDER: Final = Path(__file__).resolve().parents[3] / "docs" / "procedures"
# What somebody needs who cannot sign in; the sign-in pages lead there.
OPEN: Final = frozenset({"staff-sign-in", "lost-second-factor"})


def known() -> dict[str, Path]:
    """Procedures by name; an installation without the docs has none."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.md"))}


def reader(request: Request, name: str) -> SignedInStaff | None:
    """Staff, or anybody for what is needed to sign in."""
    return None if name in OPEN else auth.staff(May.CONSOLE_READ)(request)


@router.get("/console/procedures")
def listed(request: Request, tx: Tx, who: Reader) -> Response:
    links = tuple(Link(label=_title(name), href=f"/console/procedures/{name}") for name in known())
    return page(request, tx, ProceduresView(procedures=links), who)


@router.get("/console/procedures/{name}")
def one(request: Request, tx: Tx, name: str, who: Annotated[SignedInStaff | None, Depends(reader)]) -> Response:
    path = known().get(name)
    if path is None:
        raise NotFound("There is no such procedure.")
    view = ProcedureView(name=name, text=path.read_text("utf-8"))
    return page(request, tx, view, who) if who is not None else _outside(request, view)


def _outside(request: Request, view: ProcedureView) -> HTMLResponse:
    ports = ports_of(request)
    shell = ConsoleShell(vendor=ports.vendor_name, csrf_token=csrf.token(request), sandbox=ports.test_mode)
    return show.answer(request, view, shell)


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()
