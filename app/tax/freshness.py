"""Whether the packaged EU rates are too old to be trusted without a look (R-TAX-7)."""

from datetime import date, datetime

import structlog

from app.core import policy
from app.core.db import Tx
from app.tax.rates import EU_RATES_AS_OF
from app.tax.service import STALE_DAYS

log = structlog.get_logger()


def stale(today: date, days: int, as_of: date = EU_RATES_AS_OF) -> str | None:
    """What to do about rates that are more than `days` old, or None while they are not."""
    age = (today - as_of).days
    if age <= days:
        return None
    return (
        f"The packaged EU tax rates are {age} days old (as of {as_of}, warned of after {days}): update duty27-eu-vat, "
        "compare with `blp tax diff`, and read docs/tax.md."
    )


def warn(tx: Tx, now: datetime) -> str | None:
    """The same on business time and by the policy; also written to the log. Sales go on: old rates are mostly right."""
    warning = stale(now.date(), policy.get(tx, STALE_DAYS, now))
    if warning is not None:
        log.warning("tax.rates_are_old", as_of=EU_RATES_AS_OF.isoformat(), detail=warning)
    return warning
