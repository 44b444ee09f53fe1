"""`/trial`: thirty days of a plan, asked for by a person; and the trial's own page behind the mailed link."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.sessions import SignedInCustomer
from app.agreements import service as agreements
from app.catalog import service as catalog
from app.catalog.models import Family
from app.core import policy
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.errors import DomainError, Invalid
from app.flows import trial as flow
from app.flows.ports import Ports
from app.flows.trial import Asked
from app.licenses import service as licenses
from app.licenses import trials
from app.licenses.trial_models import TrialDoor, TrialState
from app.licenses.trials import Tried
from app.web import csrf, pages, show
from app.web.auth import CustomerIfAny
from app.web.deps import Now, Tx, Wired, client_ip, count_try
from app.web.inbound.mattermost import TRIES
from app.web.portal import basket, license_files
from app.web.portal.pricing import parse_seats
from app.web.portal.render import Form, Posted, locale_of, see_other
from app.web.portal.views import InstallGuide
from app.web.views import Fact, Link, Option
from app.web.views import Form as FormView

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])
_ENGLISH = pages.English()
_INPUTS: Final = ("sku", "server_id", "email", "full_name", "company", "country", "users", "accept")
_INPUT_OF: Final = {"name": "full_name", "terms_accepted": "accept"}


@dataclass(frozen=True, kw_only=True)
class TrialFormView:
    """`/trial`. Inputs: sku (hidden), server_id, email, full_name, company, country, users, accept."""

    template: ClassVar[str] = "portal/trial_form.html"
    section: ClassVar[str] = "pricing"
    plan: str
    days: int
    most_users: int
    countries: tuple[Option, ...]
    terms: Link
    form: FormView


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """`/trial/{token}`. `download_href` and `guides` are empty once it is over, `buy_href` once it was bought."""

    template: ClassVar[str] = "portal/trial.html"
    section: ClassVar[str] = ""
    state: Literal["started", "expired", "converted"]
    plan: str
    facts: tuple[Fact, ...]
    download_href: str
    buy_href: str
    guides: tuple[InstallGuide, ...] = ()


@router.get("/trial")
def asked(request: Request, tx: Tx, now: Now, who: CustomerIfAny, sku: str = "") -> Response:
    """The short form for a plan that can be tried."""
    plan = next((each for each in catalog.plans_on_sale(tx) if each.sku == sku and each.trial_days), None)
    if plan is None or plan.family is not Family.SELF_MANAGED:
        return see_other("/")
    values = {"sku": sku, "users": str(min(50, policy.get(tx, trials.MOST_USERS, now)))}
    if who is not None:
        account = accounts.get(tx, who.account_id)
        values |= {"email": who.email, "full_name": who.name, "company": account.name, "country": account.country}
    return show.portal(request, _form(tx, FormView(values=values), sku, now), who=who)


@router.post("/trial")
def begin(request: Request, ports: Wired, who: CustomerIfAny, form: Form) -> Response:
    """Start it, then on to its page with the file."""
    values = {name: form.text(name) for name in _INPUTS}
    errors = _incomplete(values)
    if not errors:
        try:
            count_try(request, "trial", *TRIES)
            begun = flow.start(ports, _wish(request, form, values))
        except DomainError as refused:
            errors = {_input_of(refused): refused.detail}
            return show.later(_again(request, ports, who, values, errors, refused.status), refused)
        return see_other(flow.page_of(ports, begun.trial))
    return _again(request, ports, who, values, errors, Invalid.status)


@router.get("/trial/{token}")
def one(request: Request, ports: Wired, tx: Tx, who: CustomerIfAny, token: str) -> Response:
    """What runs, until when, and how it is kept."""
    found = flow.behind(tx, ports, token)
    license_ = licenses.get(tx, found.license_id)
    zone = accounts.get(tx, found.account_id).time_zone
    last = local_date(found.ends_at - timedelta(seconds=1), zone)
    running = found.state is TrialState.STARTED
    view = TrialView(
        state=found.state.value, plan=catalog.plans_by_id(tx, [license_.plan_id])[license_.plan_id].name,
        facts=(
            Fact(name="Server", value=found.site_name or found.server_id, mono=not found.site_name),
            Fact(name="People", value=f"{found.users:,}"),
            Fact(name="Works until", value=_ENGLISH.day(last)),
        ),
        download_href=f"/trial/{token}/license" if running else "",
        guides=license_files.guides(license_files.file_name(found.company)) if running else (),
        buy_href=flow.buy_path(found, license_) if found.state is not TrialState.CONVERTED else "",
    )  # fmt: skip
    return show.portal(request, view, who=who)


@router.get("/trial/{token}/license")
def file(ports: Wired, tx: Tx, now: Now, token: str) -> Response:
    """The license file. Raises what `download_license` raises."""
    found = flow.behind(tx, ports, token)
    return license_files.download_license(tx, licenses.get(tx, found.license_id), found.company, now)


def _input_of(refused: DomainError) -> str:
    param = _INPUT_OF.get(refused.param or "", refused.param or "")
    return param if param in _INPUTS else ""


def _incomplete(values: dict[str, str]) -> dict[str, str]:
    errors = {
        name: sentence
        for name, sentence in {
            "server_id": "Give the server's id; it stands in the system console under About.",
            "email": "Give your work e-mail; the license is sent there.", "full_name": "Give your name.",
            "company": "Give the company.", "accept": "Accept the terms to go on.",
        }.items()
        if not values[name]
    }  # fmt: skip
    server_id = values["server_id"]
    if server_id and not (server_id.isascii() and len(server_id) <= 64 and server_id.replace("-", "").isalnum()):
        errors["server_id"] = "A server's id has at most 64 letters and digits."
    if values["country"] not in {option.value for option in basket.countries()}:
        errors["country"] = "Choose the country from the list."
    if parse_seats(values["users"]) is None:
        errors["users"] = "Write how many will use it as a whole number, such as 50."
    return errors


def _wish(request: Request, form: Posted, values: dict[str, str]) -> Asked:
    tried = Tried(
        server_id=values["server_id"], email=values["email"], person_name=values["full_name"],
        company=values["company"], country=values["country"], locale=locale_of(request),
        users=parse_seats(values["users"]) or 1, ip=client_ip(request),
    )  # fmt: skip
    return Asked(tried, terms=bool(form.text("accept")), door=TrialDoor.PORTAL, sku=values["sku"])


def _again(
    request: Request, ports: Ports, who: SignedInCustomer | None, values: dict[str, str], errors: dict[str, str],
    status: int,
) -> Response:  # fmt: skip
    with ports.db.transaction() as tx:
        view = _form(tx, FormView(values=values, errors=errors), values["sku"], ports.clock.now())
    return show.portal(request, view, who=who, status=int(status))


def _form(tx: Unit, form: FormView, sku: str, now: datetime) -> TrialFormView:
    plan = catalog.plan_by_sku(tx, sku)
    terms = agreements.terms_in_force(tx, now.date())
    return TrialFormView(
        plan=plan.name, days=plan.trial_days, most_users=policy.get(tx, trials.MOST_USERS, now),
        countries=basket.countries(), form=form,
        terms=Link(label=terms.title.lower(), href=f"/terms/{terms.key}/{terms.version}"),
    )  # fmt: skip
