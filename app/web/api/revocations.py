"""The signed list of files that no longer hold, for products without a network (R-LIC-6, R-LIC-8)."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from app.core.keys import NoSigningKey
from app.licenses import revocations
from app.licenses.revocations import RevocationsUnknown
from app.web.api.shapes import JsonRoute
from app.web.deps import Now, Tx, Wired
from app.web.problems import problems

router = APIRouter(prefix="/v1/licenses", tags=["licenses"], route_class=JsonRoute)
_LIST: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The list as one line of text",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "v4.public.eyJ0eXBlIjoi…"}},
    }
}


@router.get("/revocations", response_class=Response, responses=problems(RevocationsUnknown, NoSigningKey) | _LIST)
def revocation_list(
    tx: Tx, ports: Wired, now: Now,
    since: Annotated[int, Query(
        ge=0, le=2**62, description="The number of the list that you have: the answer continues it."
    )] = 0,
    known: Annotated[str | None, Header(alias="If-None-Match", max_length=1000)] = None,
) -> Response:  # fmt: skip
    """Every file that was revoked, signed: to check without a network what the online check knows at any time.

    Needs no key. Files are named by a hash of their id. `ETag` is the number of the list; a token and a Keygen file
    name the newest list of their time. May be kept for a minute.
    """
    found, text = revocations.signed(tx, ports.secrets, since, now)
    mark = f'"{found.since}-{found.sequence}"'
    headers = {"Cache-Control": "public, max-age=60", "ETag": mark}
    if known is not None and mark in known:
        return Response(status_code=304, headers=headers)
    name = f"revocations-{found.sequence}.token" if since == 0 else f"revocations-{since}-{found.sequence}.token"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(text, media_type="text/plain", headers=headers)
