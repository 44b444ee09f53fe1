"""The lists of numbered documents, invoices and credit notes alike: whose they are, found by number, name or id."""

from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy import or_, select
from sqlmodel import col

from app.accounts.models import Account
from app.core.db import Tx
from app.invoices.models import CreditNote, Invoice
from app.web.console import cells, lists
from app.web.console.views import Cell, ListView


def listed(
    tx: Tx, wanted: lists.Asked, table: type[Invoice] | type[CreditNote], *,
    kind: Literal["invoices", "credit_notes"], columns: tuple[str, ...], row: Callable[[Any], cells.Row], states: Any,
    state: Any, exact: tuple[Any, ...],
) -> ListView:  # fmt: skip
    """`columns` and `row` are those of the list within an account; the account goes behind the first.

    The filter chooses one of `states` by the column `state`; what is searched for may also be equal to one of `exact`.
    """
    query = select(table, col(Account.name)).join(Account, col(Account.id) == col(table.account_id))
    if wanted.q:
        query = query.where(
            or_(
                col(table.number).icontains(wanted.q, autoescape=True), col(table.id) == wanted.q,
                col(table.account_id) == wanted.q, col(Account.name).icontains(wanted.q, autoescape=True),
                *(column == wanted.q for column in exact),
            )
        )  # fmt: skip
    if (chosen := lists.one_of(states, wanted.state)) is not None:
        query = query.where(state == chosen)
    found = lists.window(tx, query, col(table.id), wanted, kind)
    rows = []
    for each, name in found.rows:
        first, *rest = row(each)
        rows.append((first, Cell(text=name, href=f"/console/accounts/{each.account_id}"), *rest))
    head, *others = columns
    return ListView(
        kind=kind, columns=(head, "Account", *others), rows=tuple(rows), form=wanted.form, states=lists.options(states),
        pages=found.pages,
    )  # fmt: skip
