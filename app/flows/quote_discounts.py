"""How steep a discount of a quote may be: by the role of its author, and above that with somebody else's agreement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.accounts.models import Staff
from app.core import policy
from app.core.db import Tx
from app.core.states import MoveRefused
from app.flows.ports import Ports
from app.orders.models import Preview
from app.quotes import service as quotes
from app.quotes.discounts import WHOLE
from app.quotes.errors import ApprovalRefused
from app.quotes.models import Quote, QuoteState

# Whoever sends over the API has no role among staff; it has a limit of its own.
PROGRAM: Final = "api"


def _percent_by_role(value: Any) -> Mapping[str, int]:
    known = {"sales", "support", "finance", "admin", PROGRAM}
    if not isinstance(value, dict) or not all(
        role in known and type(percent) is int and 0 <= percent <= 100 for role, percent in value.items()
    ):
        raise ValueError(f'must map roles ({", ".join(sorted(known))}) to whole percentages, such as {{"sales": 15}}')
    return value


DISCOUNT_PERCENT: Final = policy.declare(
    policy.Policy(
        "quote_discount_percent", {"sales": 15, "finance": 30, "admin": 100, PROGRAM: 0}, _percent_by_role,
        "The steepest discount on a line of a quote that a role may give, or approve for somebody else, in percent.",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Steepness:
    """The largest discount of a draft and what its author may give, both in hundredths of a percent."""

    points: int
    limit: int
    approved: bool

    @property
    def needs_approval(self) -> bool:
        return self.points > self.limit and not self.approved


def steepness(tx: Tx, quote: Quote, now: datetime) -> Steepness:
    offer = tx.get_one(Preview, quote.figures_id)
    points = quotes.steepest(quotes.lines(tx, quote.id), offer.currency)
    return Steepness(
        points, limit_of(tx, quote.prepared_by or "", now), approved=quotes.approval_of(tx, quote) is not None
    )


def limit_of(tx: Tx, actor: str, now: datetime) -> int:
    """How steep a discount somebody may give, in hundredths of a percent: by their role as it is now."""
    person = tx.get(Staff, actor) if actor.startswith("stf_") else None
    if actor.startswith("stf_") and (person is None or person.removed_at is not None):
        return 0
    role = str(person.role) if person is not None else PROGRAM
    return policy.get(tx, DISCOUNT_PERCENT, now).get(role, 0) * WHOLE // 100


def approve(ports: Ports, quote_id: str, *, by: str, why: str) -> Quote:
    """Agree to a discount that its author may not give alone. Raises NotFound, MoveRefused, ApprovalRefused."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        quote = quotes.lock(tx, quote_id)
        if quote.state is not QuoteState.DRAFT:
            raise MoveRefused("Only the discount of a draft is approved.", state=str(quote.state))
        steep = steepness(tx, quote, now)
        if not steep.needs_approval:
            raise ApprovalRefused("This discount needs no approval.")
        if by == quote.prepared_by:
            raise ApprovalRefused("You wrote this draft; somebody else approves its discount.")
        limit = limit_of(tx, by, now)
        if steep.points > limit:
            raise ApprovalRefused(f"Your role may approve {percent(limit)}, and this is {percent(steep.points)}.")
        quotes.approve(tx, quote, points=steep.points, by=by, why=why, now=now)
    return quote


def percent(points: int) -> str:
    """`1250` is `12.5 %`."""
    return f"{points / 100:g} %"
