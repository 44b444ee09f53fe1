"""`/account/tax-ids`: the numbers that orders start from."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.models import AccountTaxId
from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.core.db import Tx as Unit
from app.core.errors import Invalid
from app.flows import tax_ids as story
from app.tax import identifiers
from app.tax.names import country_name
from app.web import csrf
from app.web.auth import customer
from app.web.deps import Tx, Wired
from app.web.portal import owned
from app.web.portal.account_views import TaxIdRow, TaxIdsView
from app.web.portal.render import Form, account_page, see_other
from app.web.views import Form as FormView
from app.web.views import Option

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.ACCOUNT_READ))]
Writer = Annotated[SignedInCustomer, Depends(customer(Permission.TAX_IDS_WRITE))]
router = APIRouter(include_in_schema=False, prefix="/account", dependencies=[Depends(csrf.protect)])
_NOTES: Final = {
    "valid": "Confirmed by its registry",
    "invalid": "Its registry does not know it; tax is charged",
    "pending": "The registry did not answer; it is asked again by itself, and tax charged meanwhile is given back",
    "unavailable": "It could not be confirmed; tax is charged. Write to us if it is valid",
    "format_invalid": "Its check digits are wrong; tax is charged. Please compare it with your certificate",
    "unchecked": "It is asked for with the next order",
    "manual_override": "Confirmed by our team",
}
# What a customer is shown of the states that mean more to staff.
_BADGES: Final = {"pending": "unchecked", "format_invalid": "invalid", "manual_override": "valid"}


def kind_name(kind: str) -> str:
    """`European Union: VAT`, `Canada: GST HST`."""
    place, _, name = kind.partition("_")
    where = "European Union" if place == "eu" else country_name(place.upper())
    return f"{where}: {name.replace('_', ' ').upper()}"


@router.get("/tax-ids")
def listed(request: Request, tx: Tx, who: Reader, said: str = "") -> Response:
    """The numbers of the account with what their registries said."""
    usual = identifiers.type_for(accounts.get(tx, who.account_id).country) or ""
    return account_page(request, tx, _view(tx, who, FormView(values={"kind": usual})), who, said=said)


@router.post("/tax-ids")
def add(request: Request, ports: Wired, who: Writer, form: Form) -> Response:
    """Add a number; its registry is asked at once."""
    kind, value = form.text("kind"), form.text("value")
    try:
        story.add(ports, who.account_id, kind=kind, value=value, by=who.member_id)
    except Invalid as refused:
        field = "kind" if refused.param == "kind" else "value"
        bad = FormView(values={"kind": kind, "value": value}, errors={field: refused.detail})
        with ports.db.transaction() as tx:
            return account_page(request, tx, _view(tx, who, bad), who, status=refused.status)
    return see_other("/account/tax-ids?said=tax_id_added")


@router.post("/tax-ids/remove")
def remove(ports: Wired, tx: Tx, who: Writer, form: Form) -> Response:
    """Forget a number."""
    story.remove(tx, ports, who.account_id, form.text("tax_id"), by=who.member_id)
    return see_other("/account/tax-ids?said=tax_id_removed")


def _view(tx: Unit, who: SignedInCustomer, form: FormView) -> TaxIdsView:
    kept = owned.all_of(tx, who, AccountTaxId)
    writes = may(who.role, Permission.TAX_IDS_WRITE)
    kinds = sorted((Option(value=kind, label=kind_name(kind)) for kind in identifiers.types()), key=lambda o: o.label)
    return TaxIdsView(
        tax_ids=tuple(
            TaxIdRow(tax_id=each.id, kind=kind_name(each.type), value=each.value,
                     state=_BADGES.get(each.status.value, each.status.value),
                     note=_NOTES[each.status.value])
            for each in kept
        ),
        kinds=tuple(kinds), form=form, add_href="/account/tax-ids" if writes else "",
        remove_href="/account/tax-ids/remove" if writes else "",
    )  # fmt: skip
