"""The procedures of `docs/procedures/`, to be read beside the work they describe."""

import re
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from app.core.errors import NotFound
from app.web import csrf, show
from app.web.console.operations_views import ProceduresView, ProcedureView
from app.web.console.render import Reader, page
from app.web.console.views import ConsoleShell
from app.web.deps import Tx, ports_of
from app.web.views import Link

router = APIRouter()
# What starts a line of its own: an item, a row of a table, a heading, a quotation, indented code.
_BEGINS: Final = re.compile(r"\s*([-*] |\d+\. |\||#|>|```)|    ")
FOLDER: Final = Path(__file__).resolve().parents[3] / "docs" / "procedures"


def known() -> dict[str, Path]:
    """Procedures by name; an installation without the docs has none."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.md"))}


@router.get("/console/procedures")
def listed(request: Request, tx: Tx, who: Reader) -> Response:
    read = [_read(name) for name in known()]
    links = tuple(Link(label=each.title, href=f"/console/procedures/{each.name}") for each in read)
    return page(request, tx, ProceduresView(procedures=links), who)


@router.get("/console/procedures/staff-sign-in")
def staff_sign_in(request: Request) -> Response:
    return _outside(request, "staff-sign-in")


@router.get("/console/procedures/lost-second-factor")
def lost_second_factor(request: Request) -> Response:
    return _outside(request, "lost-second-factor")


@router.get("/console/procedures/{name}")
def one(request: Request, tx: Tx, who: Reader, name: str) -> Response:
    return page(request, tx, _read(name), who)


def _read(name: str) -> ProcedureView:
    path = known().get(name)
    if path is None:
        raise NotFound("There is no such procedure.")
    heading, _, rest = path.read_text("utf-8").partition("\n")
    return ProcedureView(name=name, title=heading.removeprefix("# "), text=flowing(rest))


def flowing(text: str) -> str:
    """Markdown whose paragraphs are one line each, so that the page breaks them where its own width ends."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        begins = not line.strip() or _BEGINS.match(line) or not lines or not lines[-1].strip()
        if begins:
            lines.append(line)
        else:
            lines[-1] += " " + line.strip()
    return "\n".join(lines)


def _outside(request: Request, name: str) -> HTMLResponse:
    """What somebody needs who cannot sign in; the sign-in pages lead there."""
    ports = ports_of(request)
    shell = ConsoleShell(vendor=ports.vendor_name, csrf_token=csrf.token(request), sandbox=ports.test_mode)
    return show.answer(request, _read(name), shell)
