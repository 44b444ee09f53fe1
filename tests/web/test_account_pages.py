"""Every state of the account's pages and of the pages behind mailed links."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from app.web.portal import account_views as a
from app.web.portal import entry_views as e
from app.web.portal import views as v
from app.web.views import Fact, Flash, Form, Link, MoneyRow, Option, Page, Pages, Shell, Step, SurveyForm

Show = Callable[[str, Page, Shell], str]
ADA = Shell(vendor="Northwind Chat", csrf_token="t0ken", person="ada@engines.example", account="Analytical Engines GmbH",
            support_email="help@northwind.example")  # fmt: skip
NOW = datetime(2026, 11, 22, 9, 41, tzinfo=UTC)
START, END = date(2026, 11, 22), date(2027, 11, 21)

ROWS = (
    MoneyRow(label="Professional", note="50 seats × 4.00 × 12 months", amount="2,400.00 EUR"),
    MoneyRow(label="VAT Germany", note="19 % of 2,400.00", amount="456.00 EUR", kind="tax"),
)
HOLDING = a.Holding(
    plan="Professional, self-managed", state="active", seats=50, seats_used=43, until=END, until_note="Renewal opens on 23 August 2027",
    next_charge="2,856.00 EUR", equation="50 seats × 4.00 × 12 months, with 19 % VAT", next_charge_on=END, href="/account/subscriptions/1",
    seats_href="/account/subscriptions/1#seats", license_href="/account/licenses/1/file",
)  # fmt: skip
DASHBOARD = a.DashboardView(
    company="Analytical Engines GmbH",
    holdings=(HOLDING, replace(HOLDING, plan="Enterprise, cloud", state="past_due", license_href="", seats_used=None,
                               workspace=Link(label="engines.northwind.example", href="https://engines.northwind.example"))),
    todos=(a.Todo(sentence="The card for Enterprise was declined on 20 November. We try again on 25 November.", label="Update the card",
                  href="/account/payment-methods", tone="warn"),
           a.Todo(sentence="Invoice NW-2026-00040 is due on 22 December.", label="Pay it", href="/account/invoices")),
    recent=(Fact(name="22 November 2026", value="License issued for 50 seats", href="/account/licenses/1"),
            Fact(name="22 November 2026", value="Invoice NW-2026-00042, 2,856.00 EUR", href="/account/invoices")),
    pricing_href="/",
)  # fmt: skip
LICENSE = a.LicenseRow(license_id="lic_1", label="Production", plan="Professional", seats=50, starts=START, until=END, state="active",
                       href="/account/licenses/1", fingerprint="9f86d081", download_href="/account/licenses/1/file")  # fmt: skip
GUIDES = (v.InstallGuide(title="In the System Console", steps=("Open it.", "Upload the file.")),)
LICENSE_PAGE = a.LicenseView(
    license=LICENSE, facts=(Fact(name="License id", value="lic_01kafzq5w3j8m2n4p6r8s0t2v4", mono=True), Fact(name="Signed with", value="production-2026", mono=True)),
    text="eyJpZCI6" * 40,
    files=(
        a.LicenseFile(file_id="f2", issued_at=NOW, reason="20 seats added", seats=50, until=END, state="active", download_href="/l/2"),
        a.LicenseFile(file_id="f1", issued_at=NOW, reason="Purchase", seats=30, until=END, state="superseded", download_href="/l/1"),
    ),
    activations=(a.ActivationRow(fingerprint="9f86d081884c7d65", host="chat.engines.example", since=NOW, last_seen=NOW, deactivate_href="/l/1/deactivate"),
                 a.ActivationRow(fingerprint="0cc175b9c0f1b6a8", host="staging.engines.example", since=NOW, last_seen=None, deactivate_href="/l/2/deactivate")),
    activation_limit=5, guides=GUIDES, form=Form(values={"label": "Production"}), label_href="/account/licenses/1/label",
)  # fmt: skip
SUBSCRIPTION = a.SubscriptionRow(subscription_id="sub_1", plan="Professional, self-managed", state="active", seats=50, starts=START, until=END,
                                 renewal="By link, from 23 August 2027", price="2,400.00 EUR", href="/account/subscriptions/1")  # fmt: skip
CHANGE = a.SeatChangeView(form=Form(values={"seats": "60"}), action="/account/subscriptions/1/seats", preview_href="/account/subscriptions/1/seats/preview",
                          current=50, lowest=11, used=43)  # fmt: skip
PRICED_CHANGE = replace(
    CHANGE,
    preview=v.PreviewView(
        preview_id="prv_3", rows=(MoneyRow(label="10 more seats", note="480.00 a year × 212 of 365 days", amount="278.79 EUR"),
                                  MoneyRow(label="VAT Germany", note="19 %", amount="52.97 EUR", kind="tax")),
        total="331.76 EUR", treatment="German VAT is charged.", route_sentence="Runs automatically: the new file is ready at once.", button="Pay 331.76 EUR"),
    next_rows=(MoneyRow(label="Professional", note="60 seats × 4.00 × 12 months", amount="2,880.00 EUR"),), next_total="2,880.00 EUR",
)  # fmt: skip
SUBSCRIPTION_PAGE = a.SubscriptionView(
    subscription=SUBSCRIPTION, facts=(Fact(name="Price", value="4.00 EUR a seat and month"), Fact(name="Order", value="ord_01kafz", href="/orders/1")),
    seat_change=CHANGE, history=(Step(label="Bought with 30 seats", state="done", at="22 Nov 2026"), Step(label="20 seats added", state="done", at="3 Dec 2026")),
    cancel_href="/account/subscriptions/1/cancel", cancel_note="Everything works until the last day; then the product falls back to its free edition and keeps your data.",
    license_href="/account/licenses/1",
)  # fmt: skip
INVOICE = a.InvoiceRow(number="NW-2026-00042", kind="invoice", issued=START, due=date(2026, 12, 22), about="Professional, 50 seats, 1 year", total="2,856.00 EUR",
                       open_amount="2,856.00 EUR", state="open", pdf_href="/i/42.pdf", xml_href="/i/42.xml", pay_href="/i/42/pay", explain_href="/i/42/explain")  # fmt: skip
INVOICES = a.InvoicesView(
    invoices=(INVOICE,
              replace(INVOICE, number="NW-2026-00031", state="paid", open_amount="", pay_href="", due=None),
              replace(INVOICE, number="NWC-2026-00003", kind="credit_note", about="For NW-2026-00031", total="−120.00 EUR", open_amount="", state="credited", pay_href="", due=None)),
    states=(Option(value="open", label="Open"), Option(value="paid", label="Paid")), years=(Option(value="2026", label="2026"),), form=Form(values={"state": "open"}),
    pages=Pages(older="/account/invoices?after=x", summary="1 to 3 of 28"), csv_href="/account/invoices.csv", open_total="2,856.00 EUR",
)  # fmt: skip
BUILDING = v.ProgressView(
    steps=(Step(label="Requested", state="done", at="09:38:43"), Step(label="Building the servers", state="now"), Step(label="Ready", state="todo")),
    percent=40, sentence="Usually a minute or two.", poll_href="/account/workspaces/1/progress",
)  # fmt: skip
WORKSPACE = a.WorkspaceView(name="engines.northwind.example", state="creating", url="", progress=BUILDING,
                            facts=(Fact(name="Region", value="Frankfurt"), Fact(name="Size", value="Up to 100 people")), history=())  # fmt: skip
RENEW = e.RenewView(
    state="ready", action="/renew/t", preview_id="prv_4", plan="Professional", company="Analytical Engines GmbH",
    compared=(e.RenewalRow(label="Seats", old="50", new="50"), e.RenewalRow(label="Until", old="21 November 2027", new="21 November 2028", changed=True),
              e.RenewalRow(label="A seat and month", old="4.00 EUR", new="4.20 EUR", changed=True)),
    rows=(MoneyRow(label="Professional", note="50 seats × 4.20 × 12 months", amount="2,520.00 EUR"), MoneyRow(label="VAT Germany", note="19 % of 2,520.00", amount="478.80 EUR", kind="tax")),
    total="2,998.80 EUR", treatment="German VAT is charged.", button="Renew for 2,998.80 EUR", payment="Charged to Visa ending in 4242.",
    change_href="/account/subscriptions/1", stop_href="/account/subscriptions/1#ending",
)  # fmt: skip
SURVEY = SurveyForm(action="/survey/t", invitation_id="srv_1", score="8",
                    question="Based on this renewal, how likely are you to recommend buying from Northwind Chat to a colleague?")  # fmt: skip
VERIFIED = e.VerifyView(
    verdict="valid", headline="Genuine and in force", code="VALID", checked_at=NOW,
    findings=(e.Finding(state="valid", title="Signature", detail="Made with the key production-2026, which was valid at the time."),
              e.Finding(state="expiring", title="Superseded", detail="A newer file with 60 seats exists.", remedy="Download it from the account.")),
    facts=(Fact(name="Customer", value="Analytical Engines GmbH"), Fact(name="Seats", value="50"), Fact(name="Until", value="21 November 2027")),
)  # fmt: skip
ROLES = (Option(value="owner", label="Owner"), Option(value="billing", label="Billing"), Option(value="viewer", label="Viewer"))

PAGES: dict[str, Page] = {
    "sign-in": e.SignInView(),
    "sign-in-wrong": e.SignInView(form=Form(values={"email": "ada"}, errors={"email": "An e-mail address looks like name@company.example."})),
    "sign-in-check": e.SignInCheckView(email="ada@engines.example", challenge="c", minutes=15),
    "sign-in-check-wrong": e.SignInCheckView(email="ada@engines.example", challenge="c", minutes=15, form=Form(errors={"code": "That code is not the one we sent. Four tries are left."})),
    "sign-in-link": e.SignInLinkView(state="ready", token="t", email="ada@engines.example"),
    "sign-in-link-used": e.SignInLinkView(state="used"),
    "sign-in-link-expired": e.SignInLinkView(state="expired"),
    "dashboard": DASHBOARD,
    "dashboard-well": replace(DASHBOARD, holdings=(HOLDING,), todos=(), managed_by="Grace Hopper at Northwind"),
    "dashboard-empty": replace(DASHBOARD, holdings=(), todos=(), recent=()),
    "licenses": a.LicensesView(licenses=(LICENSE, replace(LICENSE, license_id="lic_2", label="", state="superseded", fingerprint="", download_href=""))),
    "licenses-empty": a.LicensesView(licenses=()),
    "license": LICENSE_PAGE,
    "license-bare": replace(LICENSE_PAGE, activations=(), activation_limit=None, guides=(), text="", label_href=""),
    "subscriptions": a.SubscriptionsView(subscriptions=(SUBSCRIPTION,), pricing_href="/"),
    "subscriptions-empty": a.SubscriptionsView(subscriptions=(), pricing_href="/"),
    "subscription": SUBSCRIPTION_PAGE,
    "subscription-priced": replace(SUBSCRIPTION_PAGE, seat_change=PRICED_CHANGE, renew_href="/renew"),
    "subscription-scheduled": replace(SUBSCRIPTION_PAGE, scheduled="Falls to 40 seats on 22 November 2027.", withdraw_href="/w", seat_change=replace(CHANGE, blocked="Pay invoice NW-2026-00042 first.")),
    "subscription-ending": replace(SUBSCRIPTION_PAGE, seat_change=None, cancel_href="", resume_href="/r"),
    "invoices": INVOICES,
    "invoices-empty": replace(INVOICES, invoices=(), pages=Pages(), open_total="", csv_href=""),
    "workspaces": a.WorkspacesView(workspaces=(a.WorkspaceRow(name="engines", state="stable", url="https://engines.northwind.example", region="Frankfurt", version="11.4", href="/account/workspaces/1"),)),
    "workspaces-empty": a.WorkspacesView(workspaces=()),
    "workspace": WORKSPACE,
    "workspace-deletion": replace(WORKSPACE, state="delete_pending", delete_on=END, actions=(Link(label="Keep it", href="/account/workspaces/1/keep"),), progress=v.ProgressView(steps=())),
    "workspace-failed": replace(WORKSPACE, state="create_failed", problem="The region had no room. We try again by ourselves.", history=(Step(label="First try failed", state="failed", at="09:41"),)),
    "people": a.PeopleView(
        people=(a.PersonRow(member_id="mem_1", name="Ada Byron", email="ada@engines.example", role="owner", state="active", you=True, last_owner=True),
                a.PersonRow(member_id="mem_2", name="", email="charles@engines.example", role="billing", state="invited")),
        roles=ROLES, form=Form(), invite_href="/account/people/invite", role_href="/account/people/role", remove_href="/account/people/remove"),
    "tax-ids": a.TaxIdsView(tax_ids=(a.TaxIdRow(tax_id="txd_1", kind="EU VAT", value="DE123456789", state="valid"), a.TaxIdRow(tax_id="txd_2", kind="Swiss VAT", value="CHE-123.456.788", state="unavailable", note="Asked again every hour.")),
                            kinds=(Option(value="eu_vat", label="EU VAT"),), form=Form(), add_href="/account/tax-ids", remove_href="/account/tax-ids/remove"),
    "tax-ids-empty": a.TaxIdsView(tax_ids=(), kinds=(), form=Form()),
    "payment-methods": a.PaymentMethodsView(methods=(a.PaymentMethodRow(method_id="m1", label="Visa ending in 4242", detail="Expires 04/2028", state="active", default=True), a.PaymentMethodRow(method_id="m2", label="Mastercard ending in 4444", detail="Expires 12/2026", state="expiring")),
                                            add_href="/account/payment-methods/add", default_href="/d", remove_href="/r"),
    "payment-methods-empty": a.PaymentMethodsView(methods=(), add_href="/account/payment-methods/add"),
    "privacy": a.PrivacyView(stored=(Fact(name="Name", value="Ada Byron"),), kept=(Fact(name="Invoices", value="until 31 December 2036 (German Fiscal Code, section 147)"),), form=Form(),
                             export_href="/account/privacy/export", erase_href="/account/privacy/erase", survey_href="/account/privacy/survey", survey_opt_out=False),
    "renew": RENEW,
    "renew-new-terms": replace(RENEW, terms=Link(label="Software License Agreement", href="/terms/license/4"), terms_version="4", authority="I am entitled to bind the company.", form=Form(errors={"accept": "Without the new terms there is no renewal."})),
    **{f"renew-{state}": e.RenewView(state=state, opens_on=date(2027, 8, 23), order_href="/orders/1" if state in {"used", "quote"} else "")
       for state in ("used", "expired", "early", "foreign", "quote", "gone")},
    "survey": e.SurveyView(state="open", about="Your renewal of 22 November 2026", survey=SURVEY, opt_out_href="/survey/t/opt-out"),
    "survey-unanswered": e.SurveyView(state="open", survey=replace(SURVEY, score="", error="Choose a number from 0 to 10.")),
    "survey-answered": e.SurveyView(state="answered", survey=SURVEY),
    "survey-expired": e.SurveyView(state="expired"),
    "survey-opted-out": e.SurveyView(state="opted_out"),
    "verify": e.VerifyView(),
    "verify-good": VERIFIED,
    "verify-bad": replace(VERIFIED, verdict="invalid", headline="Not one of ours", code="SIGNATURE_INVALID", facts=(), findings=(e.Finding(state="invalid", title="Signature", detail="No key of ours made it."),)),
    "verify-refused": e.VerifyView(form=Form(errors={"file": "The file is larger than 20,000 characters.", "": "Nothing was checked."})),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_every_state_of_the_account_keeps_the_rules_of_a_page(show: Show, name: str) -> None:
    assert show(name, PAGES[name], ADA)


def test_the_dashboard_has_one_primary_action(show: Show) -> None:
    html = show("dashboard-primary", DASHBOARD, ADA)
    body = html.split("<main")[1]
    assert body.count('class="button primary"') == 1
    assert "Update the card" in body


def test_a_score_from_the_mail_is_chosen_but_not_sent(show: Show) -> None:
    html = show("survey-from-mail", PAGES["survey"], ADA)
    assert 'name="score" value="8" required checked' in html
    assert html.count(" checked") == 1
    assert "Nothing is counted until you press the button." in html


def test_the_seat_fragment_is_part_of_the_page(show: Show) -> None:
    fragment = show("seat-fragment", PRICED_CHANGE, ADA)
    page = show("seat-page", PAGES["subscription-priced"], ADA)
    assert "<html" not in fragment
    assert "331.76 EUR" in fragment
    assert "".join(fragment.split()) in "".join(page.split())


@pytest.mark.parametrize("state", ["used", "expired", "early", "foreign", "quote", "gone"])
def test_a_renewal_link_that_cannot_act_has_no_form_to_act_with(show: Show, state: str) -> None:
    html = show(f"renew-{state}-formless", PAGES[f"renew-{state}"], replace(ADA, person=""))
    assert "<form" not in html


def test_messages_after_a_redirect_are_announced(show: Show) -> None:
    html = show("people-flash", PAGES["people"], replace(ADA, flashes=(Flash(text="The invitation is on its way."), Flash(text="No.", tone="bad"))))
    assert 'role="status">The invitation is on its way.' in html
    assert 'role="alert">No.' in html
