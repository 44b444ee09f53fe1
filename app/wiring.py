"""Reads the settings and picks an adapter for each port; nothing else in the code knows which."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from app.adapters.http_out import GuardedHttpOut
from app.adapters.no_tax_provider import NoTaxProvider
from app.adapters.no_tax_registry import NoTaxRegistry
from app.adapters.polling_provisioners import PollingProvisioners
from app.adapters.provisioner_http import Listener, PushedTasks
from app.adapters.sandbox import clock_walk, refuse_in_production
from app.adapters.sandbox import web as sandbox_web
from app.adapters.sandbox.clock import sandbox_clock
from app.adapters.sandbox.mail import SandboxMailer
from app.adapters.sandbox.payments import SandboxPayments
from app.adapters.sandbox.provisioner import SandboxProvisioners
from app.adapters.sandbox.signature import webhook_secret
from app.adapters.sandbox.tax_registry import SandboxTaxRegistry
from app.adapters.smtp import SmtpMailer
from app.adapters.stripe.pace import NoPace, Pace, SharedPace
from app.adapters.stripe.payments import StripePayments
from app.adapters.stripe.tax import StripeTax
from app.adapters.tax_registries import Hmrc, TaxRegistries, Vies
from app.config import Settings
from app.core.clock import RealClock
from app.core.db import Database
from app.core.security import Secrets
from app.flows.ports import Mailer, Ports
from app.payments.provider import PaymentProvider
from app.tax.provider import TaxIdRegistry, TaxProvider
from app.web import pages
from app.workspaces.provider import Provisioners

# Only for `dev` and `test`, where losing what was sealed costs nothing; `prod` refuses to start without its own.
DEVELOPMENT_SECRET: Final = "development-only-secret-not-for-production"  # noqa: S105 -- config.py refuses it in prod


@dataclass(frozen=True, slots=True)
class Wired:
    ports: Ports
    # A whole outside party to be mounted, as (path, app); empty in production.
    mounts: tuple[tuple[str, FastAPI], ...]
    # Walks business time forward and returns the number of stops; None where business time is real.
    advance_clock: Callable[[datetime], int] | None = None


def wire(settings: Settings, database: Database) -> Wired:
    """Everything a process of BLP needs, from its settings and its database."""
    if settings.sandbox:
        key = settings.stripe_secret_key.get_secret_value() if settings.stripe_secret_key else ""
        refuse_in_production(env=settings.env, stripe_key=key)
    secret = settings.secret_key.get_secret_value() if settings.secret_key else DEVELOPMENT_SECRET
    secrets = Secrets(secret)
    clock = sandbox_clock(database) if settings.sandbox else RealClock()
    http = GuardedHttpOut(allow_loopback=settings.sandbox)
    ports = Ports(
        db=database,
        clock=clock,
        secrets=secrets,
        payments=_payments(settings, database, secrets),
        mailer=_mailer(settings, database),
        tax_ids=_tax_ids(settings),
        tax=_tax(settings, database),
        http=http,
        provisioners=_provisioners(settings, database, secrets, http),
        base_url=settings.base_url.rstrip("/"),
        vendor_name=settings.vendor_name,
        test_mode=not settings.takes_money,
    )
    mounts = (("/sandbox", sandbox_web.build(ports, _sandbox_pages())),) if settings.sandbox else ()
    walk = partial(clock_walk.advance, ports) if settings.sandbox else None
    return Wired(ports, mounts, walk)


@cache
def _sandbox_pages() -> Callable[[Any], str]:
    """The sandbox is no part of the web room; it borrows only the frame its pages are drawn in."""
    env = pages.environment({"sandbox": Path(sandbox_web.__file__).parent / "templates"})
    return lambda page: env.get_template(page.template).render(page=page)


def _payments(settings: Settings, database: Database, secrets: Secrets) -> PaymentProvider:
    if settings.payments == "stripe" and settings.stripe_secret_key and settings.stripe_webhook_secret:
        believed = settings.stripe_webhook_secret.get_secret_value()
        if settings.stripe_api_base is not None and settings.sandbox:
            believed += f",{webhook_secret(secrets)}"  # the SDK talks to the sandbox, which signs with its own
        return StripePayments(
            api_key=settings.stripe_secret_key.get_secret_value(),
            webhook_secret=believed,
            api_base=settings.stripe_api_base,
            pace=_stripe_pace(settings, database),
        )
    return SandboxPayments(database, secrets, base_url=settings.base_url.rstrip("/"), env=settings.env)


def _stripe_pace(settings: Settings, database: Database) -> Pace:
    return NoPace() if settings.stripe_api_base else SharedPace(database, live=settings.takes_money)


def _tax(settings: Settings, database: Database) -> TaxProvider:
    if settings.tax == "stripe" and settings.stripe_secret_key:
        return StripeTax(
            api_key=settings.stripe_secret_key.get_secret_value(), api_base=settings.stripe_api_base,
            pace=_stripe_pace(settings, database),
        )  # fmt: skip
    return NoTaxProvider()


def _provisioners(settings: Settings, database: Database, secrets: Secrets, http: GuardedHttpOut) -> Provisioners:
    if not settings.sandbox or settings.provisioner == "external":
        listeners = [
            Listener(each.url, each.secret.get_secret_value(), each.key, frozenset(each.regions))
            for each in settings.provisioners
        ]
        return PollingProvisioners(PushedTasks(http, listeners) if listeners else None)
    return SandboxProvisioners(database, secrets, base_url=settings.base_url.rstrip("/"), env=settings.env)


def _tax_ids(settings: Settings) -> TaxIdRegistry:
    if settings.tax_ids == "sandbox":
        return SandboxTaxRegistry()
    if settings.tax_ids == "none":
        return NoTaxRegistry()
    by_type: dict[str, TaxIdRegistry] = {"eu_vat": Vies(settings.vies_url, requester=settings.vies_requester)}
    if settings.hmrc_client_id and settings.hmrc_client_secret:
        by_type["gb_vat"] = Hmrc(
            settings.hmrc_url, client_id=settings.hmrc_client_id,
            client_secret=settings.hmrc_client_secret.get_secret_value(), requester=settings.hmrc_requester,
        )  # fmt: skip
    return TaxRegistries(by_type)


def _mailer(settings: Settings, database: Database) -> Mailer:
    if settings.mail == "sandbox":
        return SandboxMailer(database, sandbox_clock(database))
    return SmtpMailer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else "",
        starttls=settings.smtp_starttls,
        sender=settings.mail_from,
    )
