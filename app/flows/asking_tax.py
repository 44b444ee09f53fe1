"""Tax that a provider computes (R-TAX-7, ADR 0052): asked outside any transaction, kept, found again by its question.

`answered` runs a story's transaction; where pricing finds a question that only the provider can answer, the transaction
is undone, the provider asked, its answer or silence kept, and the story told again.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from structlog import get_logger

from app.core.clock import transport_now
from app.core.db import Tx
from app.flows.ports import Ports
from app.orders.models import Preview
from app.tax import calculations, provided
from app.tax.calculations import TaxUnasked
from app.tax.errors import TaxRefused, TaxUnavailable

log = get_logger()
T = TypeVar("T")
# One question in one story; prices that change under it ask another.
_MOST_QUESTIONS: Final = 4


def answered(ports: Ports, story: Callable[[Tx], T]) -> T:
    """What `story` returns, told in a transaction of its own. Raises what it raises."""
    for _ in range(_MOST_QUESTIONS):
        try:
            with ports.db.transaction() as tx:
                return story(tx)
        except TaxUnasked as unasked:
            question = unasked
        ask(ports, question)
    with ports.db.transaction() as tx:
        return story(tx)


def ask(ports: Ports, unasked: TaxUnasked) -> None:
    """Ask the provider one question and keep what came of it, also if that is nothing."""
    calculation_id, provider = calculations.new(), ports.tax
    exempt = provided.certificate_of(unasked.question) is not None
    try:
        computed = provider.compute(unasked.question, exempt=exempt, key=calculation_id)
    except (TaxUnavailable, TaxRefused) as why:
        # In its own sentence a provider may repeat the address; that stands with the answer, and not in a log.
        code = calculations.code_of(why)
        log.warning("tax.not_computed", provider=provider.name, calculation=calculation_id, code=code)
        with ports.db.transaction() as tx:
            calculations.keep_failure(
                tx, unasked, why, calculation_id=calculation_id, provider=provider.name, title=provider.title,
                now=transport_now(),
            )  # fmt: skip
        return
    with ports.db.transaction() as tx:
        calculations.keep(
            tx, unasked, computed, calculation_id=calculation_id, provider=provider.name, title=provider.title,
            now=transport_now(),
        )  # fmt: skip


def require_answer(tx: Tx, preview: Preview) -> None:
    """For what is priced without anybody at the door: an outage is waited for, and nothing is held because of it.

    Released later, an order held without its tax would cost something else than was ordered. Raises TaxUnavailable.
    """
    if calculations.is_unanswered(tx, preview.tax_determination_id):
        raise TaxUnavailable("The tax provider did not answer, so the next term is not priced yet. Try again shortly.")
