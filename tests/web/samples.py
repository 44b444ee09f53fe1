"""Who looks at a page in a test, when, and what is often on it; a test says only what matters to it."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from app.web.console import views as c
from app.web.portal import views as v
from app.web.views import MoneyRow, Page, Shell

Show = Callable[[str, Page, Shell], str]

NOW = datetime(2026, 11, 22, 9, 41, tzinfo=UTC)

DAY = date(2026, 11, 22)

STRANGER = Shell(vendor="Northwind Chat", csrf_token="t0ken", support_email="help@northwind.example")

ADA = Shell(
    vendor="Northwind Chat",
    csrf_token="t0ken",
    person="ada@engines.example",
    account="Analytical Engines GmbH",
    support_email="help@northwind.example",
)

GRACE = c.ConsoleShell(
    vendor="Northwind Chat",
    csrf_token="t0ken",
    person="grace@northwind.example",
    role="Sales operations",
    todo={"quotes": 3, "jobs": 1},
    sandbox=True,
    business_time=NOW,
)

PLAN = v.PlanCard(
    sku="enterprise",
    name="Enterprise",
    tagline="Channels, calls and playbooks for one team.",
    price="10.00 USD",
    price_unit="per seat and month, billed yearly",
    equation="50 seats \u00d7 10.00 \u00d7 12 months",
    total="6,000.00 USD",
    total_unit="a year",
    route="quote",
    automatic_up_to=41,
    href="/checkout?sku=enterprise&seats=50",
    features=(
        "Unlimited history",
        "Group calls with screen sharing",
        "Single sign-on",
        "Support in one business day",
    ),
)

ROWS = (
    MoneyRow(label="Professional", note="50 seats \u00d7 4.00 \u00d7 12 months", amount="2,400.00 EUR"),
    MoneyRow(label="Premium support", note="50 seats \u00d7 1.00 \u00d7 12 months", amount="600.00 EUR"),
    MoneyRow(label="Coupon WELCOME10", note="10 % off the first year", amount="\u2212300.00 EUR", kind="discount"),
    MoneyRow(label="Net", amount="2,700.00 EUR", kind="subtotal"),
    MoneyRow(label="VAT Germany", note="19 % of 2,700.00", amount="513.00 EUR", kind="tax"),
)
