"""Every page of the console behind the staff's sign-in."""

from fastapi import APIRouter

from app.web.console import (
    accounts,
    activations,
    agreements,
    api_keys,
    attestation,
    clock,
    coupons,
    credit,
    credit_notes,
    disputes,
    dunning,
    exemptions,
    exports,
    invoices,
    jobs,
    licenses,
    merged_licenses,
    orders,
    overview,
    policies,
    procedures,
    quote_builder,
    quotes,
    refunds,
    renewals,
    screening,
    search,
    signing_keys,
    staff,
    statement,
    subscriptions,
    survey,
    tax_ids,
    tax_nexus,
    tax_overrides,
    trials,
    workspaces,
)
from app.web.console.render import GUARDED

router = APIRouter(include_in_schema=False, dependencies=GUARDED)
for _page in (
    overview, search, accounts, attestation, agreements, credit, tax_ids, statement, orders, quote_builder, quotes,
    subscriptions, renewals, licenses, merged_licenses, activations, trials, workspaces, refunds, invoices,
    credit_notes, disputes, dunning, coupons, tax_nexus, tax_overrides, exemptions, exports, survey, jobs,
    signing_keys, policies, clock, procedures, staff, api_keys, screening,
):  # fmt: skip
    router.include_router(_page.router)
