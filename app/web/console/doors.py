"""Every page of the console behind the staff's sign-in."""

from fastapi import APIRouter

from app.web.console import (
    accounts,
    agreements,
    api_keys,
    clock,
    coupons,
    credit,
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
    staff,
    subscriptions,
    survey,
    workspaces,
)
from app.web.console.render import GUARDED

router = APIRouter(include_in_schema=False, dependencies=GUARDED)
for _page in (
    overview, search, accounts, agreements, credit, orders, quote_builder, quotes, subscriptions, licenses, workspaces,
    invoices, coupons, exports, survey, jobs, policies, clock, procedures, staff, api_keys,
):  # fmt: skip
    router.include_router(_page.router)
