"""From a request to a quote that can be accepted, as staff and customers do it."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

from app.accounts.models import StaffRole
from app.agreements import service as agreements
from app.agreements.models import PaperKind
from app.agreements.papers import Upload
from app.agreements.service import Evidence
from app.catalog.models import Interval
from app.core import policy
from app.core.clock import local_date
from app.flows import quote_acceptance, quoting
from app.flows.preview_request import LineRequest
from app.flows.purchase import Started
from app.flows.quote_acceptance import Signing
from app.flows.quoting import Basis, Draft
from app.orders.models import Preview
from app.quotes import service as quotes
from app.quotes.discounts import Discount
from app.quotes.models import Quote
from tests import shop
from tests.signing_in import make_staff
from tests.world import World

EVIDENCE = Evidence("203.0.113.9", "a browser")
SCAN = Upload(b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n", "signed.pdf")


def staff(world: World, role: StaffRole = StaffRole.SALES) -> str:
    """The id of a new colleague."""
    with world.db.transaction() as tx:
        return make_staff(tx, role=role).id


def requested(world: World, seats: int = 100, **wanted: Any) -> Quote:
    """Somebody asks for a quote."""
    return quoting.request(world.ports, shop.offer(world, seats, **wanted).id, note="By Friday, please.")


def draft_for(world: World, **changes: Any) -> Draft:
    """100 seats of Professional for a year at 10 % off, for thirty days."""
    today = local_date(world.ports.clock.now(), "Europe/Berlin")
    plain = Draft(
        lines=(LineRequest("professional", 100, Discount(points=1000)),), interval=Interval.YEAR, currency="EUR",
        valid_until=today + timedelta(days=30), contact_name="Ada Beispiel", contact_email="ada@example.de",
    )  # fmt: skip
    return replace(plain, **changes)


def drafted(world: World, *, by: str | None = None, seats: int = 100, **changes: Any) -> Quote:
    """Staff answer a request with a draft."""
    asked = requested(world, seats)
    return quoting.save(world.ports, Basis(quote_id=asked.id), draft_for(world, **changes), by=by or staff(world))


def sent(world: World, **changes: Any) -> Quote:
    """An offer in the customer's mailbox."""
    by = staff(world)
    return quoting.send(world.ports, drafted(world, by=by, **changes).id, by=by)


def signing(world: World, **changes: Any) -> Signing:
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    plain = Signing(name="Eva Chefin", email="eva@example.de", terms_id=terms.id, evidence=EVIDENCE)
    return replace(plain, **changes)


def accept(world: World, quote: Quote, **changes: Any) -> Started:
    return quote_acceptance.accept(world.ports, quote.id, signing(world, **changes))


def offer_of(world: World, quote: Quote) -> Preview:
    with world.db.transaction() as tx:
        return tx.get_one(Preview, quotes.get(tx, quote.id).figures_id)


def fresh(world: World, quote: Quote) -> Quote:
    """The quote as it stands now."""
    with world.db.transaction() as tx:
        return quotes.get(tx, quote.id)


def link(world: World, quote: Quote) -> str:
    return f"/q/{world.ports.secrets.sign_token(quotes.TOKEN, quote.id)}"


def limits(world: World, **minor: int) -> None:
    """Set the e-signature threshold."""
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        policy.change(tx, "esignature_threshold", minor, valid_from=now, by="test", why="test", now=now)


def mails(world: World, to: str) -> list[dict[str, Any]]:
    world.work()
    found: list[dict[str, Any]] = world.browser().get("/sandbox/mail.json", params={"to": to}).json()
    return found


def link_in(text: str, url: str) -> str:
    found = re.search(rf"{re.escape(url)}(/q/\S+)", text)
    assert found, text
    return found[1]


PURCHASE_ORDER = PaperKind.PURCHASE_ORDER
