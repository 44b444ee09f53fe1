"""Every state of the account's pages."""

from dataclasses import replace
from datetime import date

import pytest

from app.web import together as t
from app.web.portal import account_views as a
from app.web.portal import license_views as li
from app.web.portal import subscription_views as su
from app.web.portal import views as v
from app.web.views import Fact, Flash, Form, Link, MoneyRow, Option, Page, Pages, Step
from tests.web.samples import ADA, NOW, Show

START, END = date(2026, 11, 22), date(2027, 11, 21)

HOLDING = a.Holding(
    plan="Professional, self-managed",
    state="active",
    seats=50,
    seats_used=43,
    until=END,
    until_note="Renewal opens on 23 August 2027",
    next_charge="2,856.00 EUR",
    equation="50 seats \u00d7 4.00 \u00d7 12 months, with 19 % VAT",
    next_charge_on=END,
    href="/account/subscriptions/1",
    seats_href="/account/subscriptions/1#seats",
    license_href="/account/licenses/1/file",
)

DASHBOARD = a.DashboardView(
    company="Analytical Engines GmbH",
    holdings=(
        HOLDING,
        replace(
            HOLDING,
            plan="Enterprise, cloud",
            state="past_due",
            license_href="",
            seats_used=None,
            workspace=Link(label="engines.northwind.example", href="https://engines.northwind.example"),
        ),
    ),
    todos=(
        a.Todo(
            sentence="The card for Enterprise was declined on 20 November. We try again on 25 November.",
            label="Update the card",
            href="/account/payment-methods",
            tone="warn",
        ),
        a.Todo(sentence="Invoice NW-2026-00040 is due on 22 December.", label="Pay it", href="/account/invoices"),
    ),
    recent=(
        Fact(name="22 November 2026", value="License issued for 50 seats", href="/account/licenses/1"),
        Fact(name="22 November 2026", value="Invoice NW-2026-00042, 2,856.00 EUR", href="/account/invoices"),
    ),
    pricing_href="/",
)

LICENSE = li.LicenseRow(
    license_id="lic_1",
    label="Production",
    plan="Professional",
    seats=50,
    starts=START,
    until=END,
    state="active",
    href="/account/licenses/1",
    fingerprint="9f86d081",
    download_href="/account/licenses/1/file",
)

GUIDES = (v.InstallGuide(title="In the System Console", steps=("Open it.", "Upload the file.")),)

FILE = t.MergedFile(
    server="", file_id="f9", seats=70, sources=2, until=END, issued_at=NOW, state="active",
    download_href="/account/licenses/together/1/file",
)  # fmt: skip

TOGETHER = t.TogetherView(
    environments=(
        t.EnvironmentTogether(
            name="Production", slug="production", seats=70, tier="enterprise", switched_on=("ldap", "saml"),
            limits=("call duration: 3,600",),
            sources=(
                t.TogetherSource(name="Production", href="/account/licenses/1", plan="Professional",
                                 server="chat.engines.example", seats=50, until=END, note="Renews by itself"),
                t.TogetherSource(name="Enterprise", href="/account/licenses/2", plan="Enterprise", server="", seats=20,
                                 until=END, note=""),
            ),
            steps=(
                t.SeatStep(x="0%", width="60%", y="20%", height="80%", label="70", label_x="30%", label_y="16%"),
                t.SeatStep(x="60%", width="40%", y="43%", height="57%", label="50", label_x="80%", label_y="39%"),
            ),
            coming=(
                t.ComingChange(sentence="On 2 December 2027 you drop to 50 seats.", drop=True, x="60%"),
                t.ComingChange(sentence="On 2 December 2029 you rise to 60 seats.", drop=False, x=""),
            ),
            first=START, last=END,
        ),
    ),
    files=(FILE,), past_files=(replace(FILE, server="chat-2", state="revoked", download_href=""),),
)  # fmt: skip

LICENSE_PAGE = li.LicenseView(
    license=LICENSE,
    facts=(
        Fact(name="License id", value="lic_01kafzq5w3j8m2n4p6r8s0t2v4", mono=True),
        Fact(name="Signed with", value="production-2026", mono=True),
    ),
    text="eyJpZCI6" * 40,
    files=(
        li.LicenseFile(
            file_id="f2",
            issued_at=NOW,
            reason="20 seats added",
            seats=50,
            until=END,
            state="active",
            download_href="/l/2",
        ),
        li.LicenseFile(
            file_id="f1",
            issued_at=NOW,
            reason="Purchase",
            seats=30,
            until=END,
            state="superseded",
            download_href="/l/1",
        ),
    ),
    activations=(
        li.ActivationRow(
            fingerprint="9f86d081884c7d65",
            host="chat.engines.example",
            since=NOW,
            last_seen=NOW,
            deactivate_href="/l/1/deactivate",
        ),
        li.ActivationRow(
            fingerprint="0cc175b9c0f1b6a8",
            host="staging.engines.example",
            since=NOW,
            last_seen=None,
            deactivate_href="/l/2/deactivate",
        ),
    ),
    activation_limit=5,
    guides=GUIDES,
    form=Form(values={"label": "Production"}),
    label_href="/account/licenses/1/label",
)

SUBSCRIPTION = su.SubscriptionRow(
    subscription_id="sub_1",
    plan="Professional, self-managed",
    state="active",
    seats=50,
    starts=START,
    until=END,
    renewal="By link, from 23 August 2027",
    price="2,400.00 EUR",
    href="/account/subscriptions/1",
)

CHANGE = su.SeatChangeView(
    form=Form(values={"seats": "60"}),
    action="/account/subscriptions/1/seats",
    preview_href="/account/subscriptions/1/seats/preview",
    current=50,
    lowest=11,
    used=43,
)

PRICED_CHANGE = replace(
    CHANGE,
    preview=v.PreviewView(
        preview_id="prv_3",
        rows=(
            MoneyRow(label="10 more seats", note="480.00 a year \u00d7 212 of 365 days", amount="278.79 EUR"),
            MoneyRow(label="VAT Germany", note="19 %", amount="52.97 EUR", kind="tax"),
        ),
        total="331.76 EUR",
        treatment="German VAT is charged.",
        route_sentence="Runs automatically: the new file is ready at once.",
        button="Pay 331.76 EUR",
    ),
    next_rows=(MoneyRow(label="Professional", note="60 seats \u00d7 4.00 \u00d7 12 months", amount="2,880.00 EUR"),),
    next_total="2,880.00 EUR",
)

SUBSCRIPTION_PAGE = su.SubscriptionView(
    subscription=SUBSCRIPTION,
    facts=(
        Fact(name="Price", value="4.00 EUR a seat and month"),
        Fact(name="Order", value="ord_01kafz", href="/orders/1"),
    ),
    seat_change=CHANGE,
    history=(
        Step(label="Bought with 30 seats", state="done", at="22 Nov 2026"),
        Step(label="20 seats added", state="done", at="3 Dec 2026"),
    ),
    cancel_href="/account/subscriptions/1/cancel",
    cancel_note="Everything works until the last day; then it falls back to the free edition and keeps your data.",
    license_href="/account/licenses/1",
)

INVOICE = a.InvoiceRow(
    number="NW-2026-00042",
    kind="invoice",
    issued=START,
    due=date(2026, 12, 22),
    about="Professional, 50 seats, 1 year",
    total="2,856.00 EUR",
    open_amount="2,856.00 EUR",
    state="open",
    pdf_href="/i/42.pdf",
    xml_href="/i/42.xml",
    pay_href="/i/42/pay",
    explain_href="/i/42/explain",
)

INVOICES = a.InvoicesView(
    invoices=(
        INVOICE,
        replace(INVOICE, number="NW-2026-00031", state="paid", open_amount="", pay_href="", due=None),
        replace(
            INVOICE,
            number="NWC-2026-00003",
            kind="credit_note",
            about="For NW-2026-00031",
            total="\u2212120.00 EUR",
            open_amount="",
            state="credited",
            pay_href="",
            due=None,
        ),
    ),
    states=(Option(value="open", label="Open"), Option(value="paid", label="Paid")),
    years=(Option(value="2026", label="2026"),),
    form=Form(values={"state": "open"}),
    pages=Pages(older="/account/invoices?after=x", summary="1 to 3 of 28"),
    csv_href="/account/invoices.csv",
    open_total="2,856.00 EUR",
)

BUILDING = v.ProgressView(
    steps=(
        Step(label="Requested", state="done", at="09:38:43"),
        Step(label="Building the servers", state="now"),
        Step(label="Ready", state="todo"),
    ),
    percent=40,
    sentence="Usually a minute or two.",
    poll_href="/account/workspaces/1/progress",
)

WORKSPACE = a.WorkspaceView(
    name="engines.northwind.example",
    state="creating",
    url="",
    progress=BUILDING,
    facts=(Fact(name="Region", value="Frankfurt"), Fact(name="Size", value="Up to 100 people")),
    history=(),
)

ROLES = (
    Option(value="owner", label="Owner"),
    Option(value="billing", label="Billing"),
    Option(value="viewer", label="Viewer"),
)

PAGES: dict[str, Page] = {
    "dashboard": DASHBOARD,
    "dashboard-well": replace(DASHBOARD, holdings=(HOLDING,), todos=(), managed_by="Grace Hopper at Northwind"),
    "dashboard-empty": replace(DASHBOARD, holdings=(), todos=(), recent=()),
    "licenses": li.LicensesView(
        licenses=(
            LICENSE,
            replace(LICENSE, license_id="lic_2", label="", state="superseded", fingerprint="", download_href=""),
        ),
        together=TOGETHER,
    ),
    "licenses-empty": li.LicensesView(licenses=()),
    "license": LICENSE_PAGE,
    "license-bare": replace(LICENSE_PAGE, activations=(), activation_limit=None, guides=(), text="", label_href=""),
    "subscriptions": su.SubscriptionsView(subscriptions=(SUBSCRIPTION,), pricing_href="/"),
    "subscriptions-empty": su.SubscriptionsView(subscriptions=(), pricing_href="/"),
    "subscription": SUBSCRIPTION_PAGE,
    "subscription-priced": replace(SUBSCRIPTION_PAGE, seat_change=PRICED_CHANGE, renew_href="/renew"),
    "subscription-scheduled": replace(
        SUBSCRIPTION_PAGE,
        scheduled="Falls to 40 seats on 22 November 2027.",
        withdraw_href="/w",
        seat_change=replace(CHANGE, blocked="Pay invoice NW-2026-00042 first."),
    ),
    "subscription-ending": replace(SUBSCRIPTION_PAGE, seat_change=None, cancel_href="", resume_href="/r"),
    "invoices": INVOICES,
    "invoices-empty": replace(INVOICES, invoices=(), pages=Pages(), open_total="", csv_href=""),
    "workspaces": a.WorkspacesView(
        workspaces=(
            a.WorkspaceRow(
                name="engines",
                state="stable",
                url="https://engines.northwind.example",
                region="Frankfurt",
                version="11.4",
                href="/account/workspaces/1",
            ),
        )
    ),
    "workspaces-empty": a.WorkspacesView(workspaces=()),
    "workspace": WORKSPACE,
    "workspace-deletion": replace(
        WORKSPACE,
        state="delete_pending",
        delete_on=END,
        actions=(Link(label="Keep it", href="/account/workspaces/1/keep"),),
        progress=v.ProgressView(steps=()),
    ),
    "workspace-failed": replace(
        WORKSPACE,
        state="creation_failed",
        problem="The region had no room. We try again by ourselves.",
        history=(Step(label="First try failed", state="failed", at="09:41"),),
    ),
    "people": a.PeopleView(
        people=(
            a.PersonRow(
                member_id="mem_1",
                name="Ada Byron",
                email="ada@engines.example",
                role="owner",
                state="active",
                you=True,
                last_owner=True,
            ),
            a.PersonRow(member_id="mem_2", name="", email="charles@engines.example", role="billing", state="invited"),
        ),
        roles=ROLES,
        form=Form(),
        invite_href="/account/people/invite",
        role_href="/account/people/role",
        remove_href="/account/people/remove",
    ),
    "tax-ids": a.TaxIdsView(
        tax_ids=(
            a.TaxIdRow(tax_id="txd_1", kind="EU VAT", value="DE123456789", state="valid"),
            a.TaxIdRow(
                tax_id="txd_2",
                kind="Swiss VAT",
                value="CHE-123.456.788",
                state="unavailable",
                note="Asked again every hour.",
            ),
        ),
        kinds=(Option(value="eu_vat", label="EU VAT"),),
        form=Form(),
        add_href="/account/tax-ids",
        remove_href="/account/tax-ids/remove",
    ),
    "tax-ids-empty": a.TaxIdsView(tax_ids=(), kinds=(), form=Form()),
    "payment-methods": a.PaymentMethodsView(
        methods=(
            a.PaymentMethodRow(
                method_id="m1", label="Visa ending in 4242", detail="Expires 04/2028", state="active", default=True
            ),
            a.PaymentMethodRow(
                method_id="m2", label="Mastercard ending in 4444", detail="Expires 12/2026", state="expiring"
            ),
        ),
        add_href="/account/payment-methods/add",
        default_href="/d",
        remove_href="/r",
    ),
    "payment-methods-empty": a.PaymentMethodsView(methods=(), add_href="/account/payment-methods/add"),
    "privacy": a.PrivacyView(
        stored=(Fact(name="Name", value="Ada Byron"),),
        kept=(Fact(name="Invoices", value="until 31 December 2036 (German Fiscal Code, section 147)"),),
        form=Form(),
        export_href="/account/privacy/export",
        erase_href="/account/privacy/erase",
        survey_href="/account/privacy/survey",
        survey_opt_out=False,
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_state_of_the_account_keeps_the_rules_of_a_page(show: Show, name: str) -> None:
    assert show(name, PAGES[name], ADA)


def test_the_dashboard_has_one_primary_action(show: Show) -> None:
    html = show("dashboard-primary", DASHBOARD, ADA)
    body = html.split("<main")[1]
    assert body.count('class="button primary"') == 1
    assert "Update the card" in body


def test_the_seat_fragment_is_part_of_the_page(show: Show) -> None:
    fragment = show("seat-fragment", PRICED_CHANGE, ADA)
    page = show("seat-page", PAGES["subscription-priced"], ADA)
    assert "<html" not in fragment
    assert "331.76 EUR" in fragment
    assert "".join(fragment.split()) in "".join(page.split())


def test_messages_after_a_redirect_are_announced(show: Show) -> None:
    html = show(
        "people-flash",
        PAGES["people"],
        replace(ADA, flashes=(Flash(text="The invitation is on its way."), Flash(text="No.", tone="bad"))),
    )
    assert 'role="status">The invitation is on its way.' in html
    assert 'role="alert">No.' in html
