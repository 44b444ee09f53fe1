"""`/subscribe/renew?token=`: the link of a running server to its renewal, as a hint and no more (R-LIC-9).

The token is keyed with an e-mail address, which is no secret, so whoever holds it learns the product's name and what
the token itself says. Everything else comes after signing in with the owner's mailbox.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.catalog import service as catalog
from app.core.clock import transport_now
from app.core.db import Tx as Unit
from app.licenses import renewal_hint, trials
from app.licenses.formats.stated import Stated
from app.licenses.models import License
from app.licenses.renewal_hint import BadHint, Hint
from app.web import show
from app.web.auth import CustomerIfAny
from app.web.deps import Tx, count_try
from app.web.portal.render import see_other

router = APIRouter(include_in_schema=False)
_TRIES = (60, 600)


@dataclass(frozen=True, kw_only=True)
class RenewHintView:
    """The link of a server. `plan` is empty where the token says nothing that can be believed."""

    template: ClassVar[str] = "portal/renew_hint.html"
    section: ClassVar[str] = ""
    plan: str = ""
    users: int = 0
    sign_in_href: str = "/sign-in?" + urlencode({"next": "/account/subscriptions"})


@router.get("/subscribe/renew")
def arrive(request: Request, tx: Tx, who: CustomerIfAny, token: str = "") -> Response:
    """To the renewal, if it is known that the owner asks; else to signing in, with the renewal remembered."""
    count_try(request, "renew-hint", *_TRIES)
    believed = _believed(tx, token, transport_now())
    if believed is None:
        return show.portal(request, RenewHintView(), who=who)
    hint, license_ = believed
    tried = trials.of_license(tx, license_.id) if license_.trial else None
    if tried is not None:  # nothing is renewed of a trial: it is bought; the server's id is not told, mails know it
        wanted = {"sku": license_.sku, "seats": max(hint.active_users, 1)}
        return see_other(f"/checkout?{urlencode(wanted)}")
    if who is not None and who.account_id == license_.account_id and license_.subscription_id:
        seats = max(hint.active_users, license_.seats)  # fewer is a choice for the page, not for a link
        return see_other(f"/account/subscriptions/{license_.subscription_id}/renew?{urlencode({'seats': seats})}")
    view = RenewHintView(
        plan=catalog.plans_by_id(tx, [license_.plan_id])[license_.plan_id].name, users=hint.active_users,
        sign_in_href="/sign-in?" + urlencode({"next": f"/subscribe/renew?{urlencode({'token': token})}"}),
    )  # fmt: skip
    return show.portal(request, view, who=who)


def _believed(tx: Unit, token: str, now: datetime) -> tuple[Hint, License] | None:
    """The license first, then the key that it names (reference/licensing.md §1.4)."""
    try:
        hint = renewal_hint.read(token)
        license_ = tx.execute(select(License).where(col(License.file_id) == hint.license_id)).scalar_one_or_none()
        email = Stated.of(license_).claims.customer.email if license_ is not None else ""
        renewal_hint.require_genuine(hint, email, now)
    except BadHint:
        return None
    return (hint, license_) if license_ is not None else None
