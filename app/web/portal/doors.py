"""The portal's doors, in the order of their addresses."""

from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from app.web.portal import (
    card,
    changes,
    checkout,
    dashboard,
    exemptions,
    invoices,
    licenses,
    orders,
    pay_invoice,
    payment_methods,
    people,
    pricing,
    privacy,
    quotes,
    renew,
    renew_hint,
    servers,
    sign_in,
    statement,
    static,
    subscriptions,
    survey,
    tax_ids,
    terms,
    trial,
    usage,
    verify,
    workspaces,
)

ROUTERS: Final[tuple[APIRouter, ...]] = tuple(
    page.router
    for page in (
        static, pricing, trial, checkout, orders, pay_invoice, quotes, terms, renew, renew_hint, card, survey, verify,
        sign_in, dashboard, licenses, servers, subscriptions, usage, changes, invoices, statement, workspaces, people,
        tax_ids, exemptions, payment_methods, privacy,
    )
)  # fmt: skip


def include(app: FastAPI) -> None:
    """Add the pages and the files they need; what may be looked at may be asked about by HEAD."""
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.methods == {"GET"}:
                route.methods.add("HEAD")
        app.include_router(router)
    app.mount("/static", static.files(), name="static")
