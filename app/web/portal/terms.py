"""`/terms/{key}/{version}`: the exact text that is accepted by a click, and its hash (R-ACC-1)."""

from collections.abc import Iterator

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.agreements import service as agreements
from app.web import show
from app.web.auth import CustomerIfAny
from app.web.deps import Now, Tx
from app.web.portal.render import see_other
from app.web.portal.views import TermsView

router = APIRouter(include_in_schema=False)


@router.get("/terms")
def in_force(tx: Tx, now: Now) -> Response:
    """The version in force."""
    terms = agreements.terms_in_force(tx, now.date())
    return see_other(f"/terms/{terms.key}/{terms.version}")


@router.get("/terms/{key}/{version}")
def terms(request: Request, tx: Tx, now: Now, who: CustomerIfAny, key: str, version: str) -> Response:
    """One version, also after it was replaced: it binds what was bought under it."""
    row = agreements.terms_version(tx, key, version)
    current = agreements.terms_in_force(tx, now.date(), key)
    path = f"/terms/{row.key}/{row.version}"
    view = TermsView(
        title=row.title, version=row.version, effective=row.effective_from, sha256=row.sha256,
        paragraphs=tuple(_paragraphs(row.text)), raw_href=f"{path}/text",
        current_href="" if current.id == row.id else f"/terms/{current.key}/{current.version}",
    )  # fmt: skip
    return show.portal(request, view, who=who)


@router.get("/terms/{key}/{version}/text")
def text(tx: Tx, key: str, version: str) -> Response:
    """The bytes that the hash is of."""
    return PlainTextResponse(agreements.terms_version(tx, key, version).text)


def _paragraphs(source: str) -> Iterator[tuple[str, str]]:
    """(heading, text) of each part, without the document's own title; markup beyond headings is shown as it is."""
    heading, lines = "", list[str]()
    for line in [*source.splitlines(), "## "]:
        if not line.startswith("#") and line.strip():
            lines.append(line.strip())
            continue
        if lines or (heading and line.startswith("#")):
            yield heading, " ".join(lines)
            heading, lines = "", []
        if line.startswith("## "):
            heading = line.removeprefix("## ").strip()
