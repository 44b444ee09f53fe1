"""The list of doors."""

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from app.web import auth, show
from app.web.api import (
    accounts,
    activations,
    api_keys,
    changes,
    credit_notes,
    disputes,
    entitlements,
    events,
    exemptions,
    invoices,
    licenses,
    merged_licenses,
    orders,
    payment_methods,
    payments,
    plans,
    previews,
    provisioning,
    quotes,
    refunds,
    reports,
    revocations,
    sandbox,
    statements,
    subscriptions,
    surveys,
    tax,
    usage_reports,
    webhook_endpoints,
    workspace_entitlements,
    workspaces,
)
from app.web.console import doors as console_doors
from app.web.console import render
from app.web.console import sign_in as console_sign_in
from app.web.inbound import mattermost, stripe
from app.web.portal import doors as portal


def include(app: FastAPI) -> None:
    """Add every door to the app."""
    app.include_router(stripe.router)
    app.include_router(revocations.router)  # ahead of the licenses, whose ids would take its name
    app.include_router(mattermost.router)
    for room in (plans, previews, orders, quotes, subscriptions, invoices, payments, licenses, accounts, sandbox):
        app.include_router(room.router)
    for room in (changes, credit_notes, refunds, disputes, payment_methods, statements, exemptions, entitlements):
        app.include_router(room.router)
    app.include_router(refunds.previews)
    app.include_router(payment_methods.setups)
    app.include_router(licenses.checks)
    app.include_router(usage_reports.router)
    app.include_router(merged_licenses.router)
    app.include_router(activations.router)
    app.include_router(workspaces.router)
    app.include_router(workspace_entitlements.router)
    app.include_router(provisioning.router)
    auth.install(app)
    app.include_router(api_keys.router)
    portal.include(app)
    app.include_router(console_sign_in.router)
    app.include_router(surveys.router)
    app.include_router(tax.router)
    app.include_router(webhook_endpoints.router)
    app.include_router(events.router)
    app.include_router(reports.router)
    app.include_router(console_doors.router)


def problem_page(request: Request, answer: JSONResponse) -> Response:
    in_console = request.url.path.startswith("/console")
    return render.problem(request, answer) if in_console else show.problem(request, answer)
