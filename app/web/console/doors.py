"""Every page of the console behind the staff's sign-in."""

from fastapi import APIRouter

from app.web.console import (
    accounts,
    clock,
    credit_notes,
    disputes,
    exports,
    invoices,
    jobs,
    licenses,
    orders,
    overview,
    policies,
    procedures,
    quotes,
    refunds,
    search,
    subscriptions,
    survey,
    workspaces,
)
from app.web.console.render import GUARDED

router = APIRouter(include_in_schema=False, dependencies=GUARDED)
for _page in (
    overview, search, accounts, orders, quotes, subscriptions, licenses, workspaces, refunds, invoices, credit_notes,
    disputes, exports, survey, jobs, policies, clock, procedures,
):  # fmt: skip
    router.include_router(_page.router)
