"""Every page of the console behind the staff's sign-in."""

from fastapi import APIRouter

from app.web.console import (
    accounts,
    agreements,
    clock,
    exports,
    invoices,
    jobs,
    licenses,
    orders,
    overview,
    policies,
    procedures,
    quote_builder,
    quotes,
    search,
    subscriptions,
    survey,
    workspaces,
)
from app.web.console.render import GUARDED

router = APIRouter(include_in_schema=False, dependencies=GUARDED)
for _page in (
    overview, search, accounts, agreements, orders, quote_builder, quotes, subscriptions, licenses, workspaces,
    invoices, exports, survey, jobs, policies, clock, procedures,
):  # fmt: skip
    router.include_router(_page.router)
