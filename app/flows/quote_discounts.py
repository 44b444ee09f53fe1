"""How steep a discount of a quote may be: by the role of its author, and above that with somebody else's agreement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlmodel import col

from app.accounts.models import Staff
from app.core import policy
from app.core.db import Tx
from app.core.states import MoveRefused
from app.flows.ports import Ports
from app.orders.models import Preview
from app.quotes import service as quotes
from app.quotes.discounts import WHOLE
from app.quotes.errors import ApprovalRefused
from app.quotes.models import Quote, QuoteApproval, QuoteLine, QuoteState

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
    return policy.get(tx, DISCOUNT_PERCENT, now).get(_role(actor, person), 0) * WHOLE // 100


@dataclass(frozen=True, slots=True)
class Steep:
    """A draft that cannot be sent before somebody else approves its discount, in hundredths of a percent."""

    quote: Quote
    points: int
    author: str


def waiting(tx: Tx, now: datetime, limit: int = 50) -> list[Steep]:
    """The drafts whose discount waits for approval, the oldest first; two queries however many there are."""
    allowed = {role: percent_ * WHOLE // 100 for role, percent_ in policy.get(tx, DISCOUNT_PERCENT, now).items()}
    approved = select(col(QuoteApproval.offer_id))
    drafts = (
        select(Quote, col(Preview.currency), Staff)
        .join(Preview, col(Preview.id) == func.coalesce(col(Quote.offer_id), col(Quote.preview_id)))
        .outerjoin(Staff, col(Staff.id) == col(Quote.prepared_by))
        .where(
            col(Quote.state) == QuoteState.DRAFT,
            or_(col(Quote.offer_id).is_(None), col(Quote.offer_id).not_in(approved)),
        )
        .order_by(col(Quote.created_at))
    )
    rows = tx.execute(drafts).all()
    lines: dict[str, list[QuoteLine]] = {}
    of_drafts = select(QuoteLine).where(col(QuoteLine.quote_id).in_([quote.id for quote, _, _ in rows]))
    for line in tx.execute(of_drafts).scalars():
        lines.setdefault(line.quote_id, []).append(line)
    found = []
    for quote, currency, joined in rows:
        author: Staff | None = joined
        points = quotes.steepest(lines.get(quote.id, []), currency)
        if points > allowed.get(_role(quote.prepared_by or "", author), 0):
            found.append(Steep(quote, points, author.email if author is not None else PROGRAM))
    return found[:limit]


def _role(actor: str, person: Staff | None) -> str:
    """The role that limits somebody; who was removed has none."""
    if not actor.startswith("stf_"):
        return PROGRAM
    return str(person.role) if person is not None and person.removed_at is None else ""


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
