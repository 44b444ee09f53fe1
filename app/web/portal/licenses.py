"""`/account/licenses`: every license, every file it ever had, under the name the customer gives it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.models import Account
from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.catalog import service as catalog
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotFound
from app.licenses import activation_terms
from app.licenses import service as licenses
from app.licenses.formats.recognize import OF_A_LICENSE, Format
from app.licenses.models import License, LicenseEnvironment, LicenseState, MergedLicense
from app.licenses.standing import Standing, standing
from app.orders.models import Order, OrderKind
from app.web import csrf, pages, together
from app.web.auth import customer
from app.web.deps import Now, Tx, Wired
from app.web.portal import license_advice, license_files, owned, servers
from app.web.portal.license_views import LicenseFile, LicenseFormat, LicenseRow, LicensesView, LicenseView
from app.web.portal.render import Form, account_page, see_other
from app.web.views import Fact, Option
from app.web.views import Form as FormView

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.LICENSES_READ))]
Writer = Annotated[SignedInCustomer, Depends(customer(Permission.LICENSES_WRITE))]
router = APIRouter(include_in_schema=False, prefix="/account/licenses", dependencies=[Depends(csrf.protect)])
_ENGLISH = pages.English()
_ENVIRONMENTS = (
    Option(value=LicenseEnvironment.PRODUCTION.value, label="Production"),
    Option(value=LicenseEnvironment.NON_PRODUCTION.value, label="Tests and staging"),
)
# Nothing more is signed or installed of these.
_OVER = {Standing.EXPIRED, Standing.SUSPENDED, Standing.REVOKED}
_REASONS = {
    OrderKind.PURCHASE: "Purchase", OrderKind.RENEWAL: "Renewal", OrderKind.EXPANSION: "Change",
    OrderKind.INSTALMENT: "Next year",
}  # fmt: skip


@router.get("")
def listed(request: Request, tx: Tx, now: Now, who: Reader) -> Response:
    """Newest first; those that another one replaced too."""
    account = accounts.get(tx, who.account_id)
    rows = tuple(_row(tx, account, each, now) for each in owned.all_of(tx, who, License))
    shown = together.panel(
        tx, who.account_id, account.time_zone, now, license_href="/account/licenses/",
        file_href=lambda merged_id: f"/account/licenses/together/{merged_id}/file",
    )  # fmt: skip
    return account_page(request, tx, LicensesView(licenses=rows, together=shown), who)


@router.get("/together/{merged_id}/file")
def merged_file(tx: Tx, now: Now, who: Reader, merged_id: str) -> Response:
    """One file for all production licenses of a server; earlier ones are kept."""
    found = owned.one(tx, who, MergedLicense, "mrg", merged_id)
    return license_files.download_merged(tx, found, accounts.get(tx, who.account_id).name, now)


@router.get("/{license_id}")
def one(request: Request, tx: Tx, now: Now, who: Reader, license_id: str, said: str = "") -> Response:
    """One license with its files and how to install it."""
    found = owned.one(tx, who, License, "lic", license_id)
    return account_page(request, tx, _view(tx, who, found, FormView(values=_said(found)), now), who, said=said)


@router.get("/{license_id}/file")
def file(tx: Tx, now: Now, who: Reader, license_id: str) -> Response:
    """The file byte for byte as it was signed; past ones are kept."""
    found = owned.one(tx, who, License, "lic", license_id)
    return license_files.download_license(tx, found, accounts.get(tx, who.account_id).name, now)


@router.get("/{license_id}/file/{written}")
def file_in_format(tx: Tx, ports: Wired, now: Now, who: Reader, license_id: str, written: str) -> Response:
    """The same license for products that read Keygen files, or tokens; signed anew at each download."""
    found = owned.one(tx, who, License, "lic", license_id)
    if written not in OF_A_LICENSE:
        raise NotFound("There is no such format.")
    company = accounts.get(tx, who.account_id).name
    return license_files.download_in(tx, ports, found, Format(written), company, by=who.member_id, now=now)


@router.post("/{license_id}/label")
def label(request: Request, tx: Tx, now: Now, who: Writer, license_id: str, form: Form) -> Response:
    """Name it, and say what it is for and on which server."""
    found = owned.one(tx, who, License, "lic", license_id)
    typed = {name: form.text(name) for name in ("label", "environment", "server")}
    try:
        licenses.describe(
            tx, found.id, label=typed["label"], environment=_environment(typed["environment"]),
            server=typed["server"] if typed["environment"] else None, by=who.member_id, now=now,
        )  # fmt: skip
    except Invalid as refused:
        bad = FormView(values=typed, errors={refused.param or "label": refused.detail})
        return account_page(request, tx, _view(tx, who, found, bad, now), who, status=refused.status)
    return see_other(f"/account/licenses/{found.id}?said=labelled")


def _said(found: License) -> dict[str, str]:
    return {"label": found.label, "environment": found.environment.value, "server": found.server}


def _environment(typed: str) -> LicenseEnvironment | None:
    """None where the form does not say; it then stays. Raises Invalid."""
    if not typed:
        return None
    try:
        return LicenseEnvironment(typed)
    except ValueError as unknown:
        raise Invalid("Choose one of them.", param="environment") from unknown


def _row(tx: Unit, account: Account, each: License, now: datetime) -> LicenseRow:
    path = f"/account/licenses/{each.id}"
    return LicenseRow(
        license_id=each.id, label=each.label, plan=catalog.plans_by_id(tx, [each.plan_id])[each.plan_id].name,
        seats=each.seats, starts=local_date(each.starts_at, account.time_zone),
        until=license_files.last_day(each, account.time_zone),
        state=standing(each, now), href=path, fingerprint=each.file_sha256[:12],
        download_href=f"{path}/file" if each.state is not LicenseState.REVOKED else "",
    )  # fmt: skip


def _view(tx: Unit, who: SignedInCustomer, found: License, form: FormView, now: datetime) -> LicenseView:
    account = accounts.get(tx, who.account_id)
    writes = may(who.role, Permission.LICENSES_WRITE)
    stands = standing(found, now)
    counts = stands not in _OVER
    return LicenseView(
        license=_row(tx, account, found, now), facts=_facts(found),
        advice=license_advice.advice(found, account.time_zone, now),
        text="" if stands is Standing.REVOKED else license_files.text_of(tx, found, now),
        files=tuple(_file(tx, account, each, now) for each in licenses.family(tx, found)),
        activations=servers.rows(tx, found, writes=writes), activation_limit=activation_terms.terms_of(tx, found).limit,
        offline_href=f"/account/licenses/{found.id}/offline" if counts and servers.binds(tx, found) else "",
        guides=license_files.guides(license_files.file_name(account.name)) if counts else (),
        form=form, label_href=f"/account/licenses/{found.id}/label" if writes else "",
        formats=_formats(found) if counts else (), environments=_ENVIRONMENTS,
    )  # fmt: skip


def _formats(found: License) -> tuple[LicenseFormat, ...]:
    path = f"/account/licenses/{found.id}/file"
    return tuple(LicenseFormat(format=each.value, href=f"{path}/{each.value}") for each in OF_A_LICENSE)


def _facts(found: License) -> tuple[Fact, ...]:
    replaced = (
        [
            Fact(
                name="Replaced by",
                value=found.superseded_by,
                href=f"/account/licenses/{found.superseded_by}",
                mono=True,
            )
        ]
        if found.superseded_by
        else []
    )
    return (
        Fact(name="Issued", value=_ENGLISH.moment(found.issued_at)),
        *replaced,
        Fact(name="File id", value=found.file_id, mono=True),
        Fact(name="SHA-256 of the file", value=found.file_sha256, mono=True),
        Fact(name="Signed with key", value=found.kid, mono=True),
        Fact(name="License", value=found.id, mono=True),
    )


def _file(tx: Unit, account: Account, each: License, now: datetime) -> LicenseFile:
    reason = _REASONS[tx.get_one(Order, each.order_id).kind] if each.order_id else "Trial"
    return LicenseFile(
        file_id=each.file_id, issued_at=each.issued_at, reason=reason, seats=each.seats,
        until=license_files.last_day(each, account.time_zone), state=standing(each, now),
        download_href=f"/account/licenses/{each.id}/file" if each.state is not LicenseState.REVOKED else "",
    )  # fmt: skip
