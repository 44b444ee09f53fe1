"""How what is sold is classified for export control, from a day on (tax.md §8; 15 CFR parts 740, 742, 774).

Rows are added and never changed. A document takes the row that was in force on its day among those that were on file
when it was issued, so that drawing it again says the same.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col

from app.catalog.models import ExportClass, Plan
from app.core.bulk import among
from app.core.db import Tx

# `5D992.c`, `5D002.c.1`, `5A002`, or EAR99 for what is on no list (15 CFR 774, supplement 1).
_ECCN: Final = re.compile(r"EAR99|[0-9][A-E][0-9]{3}(\.[a-z](\.[0-9]{1,2}(\.[a-z])?)?)?")
# No license required; an exception of part 740, with its paragraph where it has several; or a license of BIS.
_EXCEPTIONS: Final = "LVS|GBS|TSR|APP|TMP|RPL|GOV|GFT|TSU|BAG|AVS|APR|ENC|STA|ACE|CCD"
_AUTHORISATION: Final = re.compile(
    rf"NLR|({_EXCEPTIONS})( 740\.[0-9]{{1,2}}(\([A-Za-z0-9]{{1,4}}\)){{0,4}})?|[A-Z][0-9]{{6,7}}"
)
_CCATS: Final = re.compile(r"G[0-9]{6,7}")
_CONTROLLED: Final = re.compile(r"5[ABDE]002")


def fault(eccn: str, authorisation: str, ccats: str) -> str | None:
    """What is wrong with a classification, in a sentence; None where nothing is."""
    if not _ECCN.fullmatch(eccn):
        return f"{eccn!r} is no ECCN: write it like 5D992.c, 5D002 or EAR99"
    if not _AUTHORISATION.fullmatch(authorisation):
        return (f"{authorisation!r} is no authorisation: NLR, a license exception such as ENC 740.17(b)(1), or the"
                " number of a license")  # fmt: skip
    if ccats and not _CCATS.fullmatch(ccats):
        return f"{ccats!r} is no CCATS number: write it like G123456, or leave it out"
    if _CONTROLLED.match(eccn) and authorisation == "NLR":
        return f"{eccn} needs a license exception such as ENC, or a license, nearly everywhere: NLR cannot be right"
    return None


def of_skus(tx: Tx, skus: Iterable[str], *, on: date, known_at: datetime) -> dict[str, ExportClass]:
    """The classification of each sku that has one on a day, as far as it was on file at an instant."""
    query = (
        select(col(Plan.sku), ExportClass)
        .join(Plan, col(Plan.id) == col(ExportClass.plan_id))
        .where(
            among(col(Plan.sku), sorted(set(skus))), col(ExportClass.valid_from) <= on,
            col(ExportClass.recorded_at) <= known_at,
        )
        .ext(distinct_on(col(Plan.sku)))
        .order_by(col(Plan.sku), col(ExportClass.valid_from).desc())
    )  # fmt: skip
    return dict(tx.execute(query).all())


def of_plan(tx: Tx, plan_id: str) -> list[ExportClass]:
    """Every classification a plan ever had, the first first."""
    query = select(ExportClass).where(col(ExportClass.plan_id) == plan_id).order_by(col(ExportClass.valid_from))
    return list(tx.execute(query).scalars())
