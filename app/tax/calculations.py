"""What a provider answered, kept: found again by its question, so that a price can be computed anew within a
transaction without anybody being asked (ADR 0052).
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from sqlalchemy import select
from sqlmodel import col

from app.core import policy
from app.core.db import Tx
from app.core.errors import Unavailable
from app.core.ids import new_id
from app.tax import provided
from app.tax.determination import Determination
from app.tax.errors import TaxRefused, TaxUnavailable
from app.tax.models import TaxCalculation, TaxDetermination
from app.tax.provider import Computed
from app.tax.request import Request
from app.tax.ruling import Treatment

# Of what is held: short, so that the next click asks again what somebody may have put right meanwhile, and long enough
# for the one at hand.
_FAILURE_STANDS: Final = timedelta(minutes=1)
UNREACHABLE: Final = "unreachable"


def _countries(value: Any) -> Sequence[str]:
    if not isinstance(value, list | tuple) or not all(
        isinstance(code, str) and re.fullmatch("[A-Z]{2}", code) for code in value
    ):
        raise ValueError('must be a list of country codes, such as ["US", "CA"]')
    return tuple(map(str, value))


COUNTRIES: Final = policy.declare(
    policy.Policy(
        "tax_provider_countries", [], _countries,
        "Buyers' countries whose tax a provider computes instead of the data on file (R-TAX-7).",
    )
)  # fmt: skip
FRESH_HOURS: Final = policy.declare(
    policy.Policy(
        "tax_calculation_hours", 24, policy.whole_number(minimum=1),
        "How long a provider's answer to one question is used again before it is asked anew.",
    )
)  # fmt: skip


class TaxUnasked(Unavailable):
    """The tax of this sale is a provider's to compute, and it was not asked yet: that is done outside a transaction."""

    title: ClassVar[str] = "The tax of this sale is not computed yet"

    def __init__(self, question: Request, own: Determination) -> None:
        super().__init__("A tax provider computes the tax of this sale; it is asked when the price is kept.")
        self.question, self.own = question, own


def answer_to(tx: Tx, question: Request, *, hours: int, now: datetime) -> Determination | None:
    """What was last answered to a question, as long as it is fresh in real time `now`."""
    row = tx.execute(
        select(TaxCalculation)
        .where(
            col(TaxCalculation.inputs_hash) == question.inputs_hash(),
            col(TaxCalculation.asked_at) > now - timedelta(hours=hours),
        )
        .order_by(col(TaxCalculation.asked_at).desc(), col(TaxCalculation.id).desc())
        .limit(1)
    ).scalar_one_or_none()
    if row is None:
        return None
    found = Determination.from_json(row.result)
    held = found.treatment is Treatment.NEEDS_REVIEW
    until = row.asked_at + _FAILURE_STANDS if held else row.expires_at
    return found if until is None or now < until else None


def keep(
    tx: Tx, unasked: TaxUnasked, computed: Computed, *, calculation_id: str, provider: str, title: str, now: datetime
) -> TaxCalculation:
    """An answer, with what it means for the document. `calculation_id` was made before the provider was asked."""
    meant = provided.determination(
        unasked.question, unasked.own, computed, title=title, calculation=calculation_id
    )  # fmt: skip
    row = TaxCalculation(
        id=calculation_id, provider=provider, inputs_hash=meant.inputs_hash, ref=computed.ref, result=meant.to_json(),
        reply=computed.raw, asked_at=now, expires_at=computed.expires_at,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def keep_failure(
    tx: Tx, unasked: TaxUnasked, why: TaxUnavailable | TaxRefused, *, calculation_id: str, provider: str, title: str,
    now: datetime,
) -> TaxCalculation:  # fmt: skip
    """That there was no answer: the sale is held, and no other source is asked instead."""
    code = code_of(why)
    if isinstance(why, TaxRefused):
        said = f"{title} refuses: {why.detail}"
    else:
        said = f"{title} did not answer, so the tax is not known yet. {why.detail}"
    meant = provided.held(unasked.question, said, version=provider, calculation=None)
    row = TaxCalculation(
        id=calculation_id, provider=provider, inputs_hash=meant.inputs_hash, code=code, result=meant.to_json(),
        reply={}, asked_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def code_of(why: TaxUnavailable | TaxRefused) -> str:
    """The provider's word for why there is no answer."""
    return str(why.extra.get("reason") or "refused") if isinstance(why, TaxRefused) else UNREACHABLE


def is_unanswered(tx: Tx, determination_id: str) -> bool:
    """Whether a determination holds its sale only because the provider was not reached."""
    query = (
        select(col(TaxCalculation.code))
        .join(TaxDetermination, col(TaxDetermination.inputs_hash) == col(TaxCalculation.inputs_hash))
        .where(col(TaxDetermination.id) == determination_id, col(TaxDetermination.treatment) == Treatment.NEEDS_REVIEW)
        .order_by(col(TaxCalculation.asked_at).desc(), col(TaxCalculation.id).desc())
        .limit(1)
    )
    return tx.execute(query).scalar_one_or_none() == UNREACHABLE


def new() -> str:
    """The id of a calculation to be, which is its key with the provider."""
    return new_id("tcl")


def get(tx: Tx, calculation_id: str) -> TaxCalculation:
    return tx.get_one(TaxCalculation, calculation_id)
