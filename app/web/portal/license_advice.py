"""What a license's page says where it is not simply in force, and what to do then."""

from datetime import datetime, timedelta
from typing import Final, Literal

from app.core.clock import local_date
from app.licenses.models import License
from app.licenses.standing import Standing, standing, works_until
from app.web import pages
from app.web.portal.license_files import last_day
from app.web.portal.license_views import Advice
from app.web.views import Link

_ENGLISH: Final = pages.English()
_SAID: Final[dict[Standing, tuple[Literal["info", "warn", "bad"], str]]] = {
    Standing.SCHEDULED: ("info", "Its term begins on {first}. The license before it counts until then."),
    Standing.LAPSED: ("warn", "Its term ended on {last}. It goes on working until {still}; renew it before."),
    Standing.EXPIRED: ("bad", "It ended on {last} and counts no more."),
    Standing.SUPERSEDED: (
        "info", "Another license has taken its place. Install that file; this one is kept for your records.",
    ),
    Standing.SUSPENDED: (
        "warn", "It is suspended: products that check online refuse it. It counts again once the reason is gone.",
    ),
    Standing.REVOKED: (
        "bad", "It was revoked: online checks refuse it, and our list of revoked licenses names it. Remove its file.",
    ),
}  # fmt: skip


def advice(found: License, time_zone: str, now: datetime) -> Advice | None:
    """None where the license is in force and nothing has to be done."""
    stands = standing(found, now)
    if stands not in _SAID:
        return None
    tone, sentence = _SAID[stands]
    return Advice(
        sentence=sentence.format(
            first=_ENGLISH.day(local_date(found.starts_at, time_zone)), last=_ENGLISH.day(last_day(found, time_zone)),
            still=_ENGLISH.day(local_date(works_until(found) - timedelta(seconds=1), time_zone)),
        ),
        tone=tone, link=_next(found, stands), ask=stands in {Standing.SUSPENDED, Standing.REVOKED},
    )  # fmt: skip


def _next(found: License, stands: Standing) -> Link | None:
    """Where to go on."""
    if stands is Standing.SUPERSEDED and found.superseded_by:
        return Link(label="Go to the newer one", href=f"/account/licenses/{found.superseded_by}")
    if stands in {Standing.LAPSED, Standing.EXPIRED}:
        if found.subscription_id:
            return Link(label="Go to the subscription", href=f"/account/subscriptions/{found.subscription_id}")
        return Link(label="See plans and prices", href="/")
    return None
