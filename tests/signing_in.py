"""Being somebody in a test: through the pages where signing in is the subject, by a made session where it is not."""

import re
from dataclasses import dataclass
from itertools import count

import httpx
import pyotp

from app.accounts import members, sessions, staff
from app.accounts.members import By
from app.accounts.models import Account, Audience, BuyerType, Member, Role, Staff, StaffRole
from app.accounts.sessions import Caller
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.ids import new_id
from app.core.security import Secrets
from app.web import cookies
from tests.world import World

_serial = count(1)
OPERATOR = By("operator", StaffRole.ADMIN)
CALLER = Caller("203.0.113.7", "a browser")


def make_account(tx: Tx, name: str = "Engines Ltd") -> Account:
    account = Account(
        id=new_id("acc"), name=name, type=BuyerType.BUSINESS, email="office@engines.example", line1="1 Mill Lane",
        city="London", postcode="N1 1AA", country="GB", time_zone="Europe/London", created_at=transport_now(),
    )  # fmt: skip
    tx.add(account)
    tx.flush()
    return account


def make_member(
    tx: Tx, *, email: str = "", role: Role = Role.OWNER, account: Account | None = None, name: str = "Ada"
) -> Member:
    """A person of an account of their own, unless one is given."""
    return members.invite(
        tx, (account or make_account(tx)).id, email=email or f"person{next(_serial)}@engines.example", name=name,
        role=role, by=OPERATOR, now=transport_now(),
    )  # fmt: skip


def make_staff(tx: Tx, *, email: str = "", role: StaffRole = StaffRole.ADMIN, name: str = "Grace") -> Staff:
    return staff.add(
        tx, email=email or f"staff{next(_serial)}@vendor.example", name=name, role=role, by="operator",
        now=transport_now(),
    )  # fmt: skip


def session_of_member(tx: Tx, secrets: Secrets, member: Member) -> str:
    """A cookie value with which a member is signed in."""
    return sessions.begin(
        tx, secrets, audience=Audience.CUSTOMER, email=member.email, caller=CALLER, now=transport_now(),
        account_id=member.account_id,
    )[1]  # fmt: skip


def session_of_staff(tx: Tx, secrets: Secrets, person: Staff) -> str:
    """A cookie value with which a staff member is signed in, second factor included."""
    session, token = sessions.begin(
        tx, secrets, audience=Audience.STAFF, email=person.email, caller=CALLER, now=transport_now(),
        staff_id=person.id,
    )  # fmt: skip
    session.second_factor_at = transport_now()
    return token


def customer_browser(world: World, role: Role = Role.OWNER, *, email: str = "") -> tuple[httpx.Client, Member]:
    """A browser in which a new member of a new account is signed in."""
    with world.db.transaction() as tx:
        member = make_member(tx, email=email, role=role)
        token = session_of_member(tx, world.ports.secrets, member)
    browser = world.browser()
    browser.cookies.set(cookies.SESSIONS[Audience.CUSTOMER], token, domain="127.0.0.1")
    return browser, member


def staff_browser(world: World, role: StaffRole = StaffRole.ADMIN, *, email: str = "") -> tuple[httpx.Client, Staff]:
    """A browser in which a new staff member is signed in, second factor included."""
    with world.db.transaction() as tx:
        person = make_staff(tx, email=email, role=role)
        token = session_of_staff(tx, world.ports.secrets, person)
    browser = world.browser()
    browser.cookies.set(cookies.SESSIONS[Audience.STAFF], token, domain="127.0.0.1")
    return browser, person


def form_token(html: str) -> str:
    found = re.search(r'name="csrf_token" value="(\w+)"', html)
    assert found, html
    return found[1]


def send_form(browser: httpx.Client, page: str, action: str, **values: str) -> httpx.Response:
    """Load the page at `page` and post its form to `action`, as a person would."""
    loaded = browser.get(page)
    return browser.post(action, data={"csrf_token": form_token(loaded.text), **values})


@dataclass(frozen=True)
class Mailed:
    """What a sign-in mail says: the path of its link, and the code."""

    path: str
    code: str

    @property
    def token(self) -> str:
        return self.path.rpartition("/")[2]


def read_mail(world: World, email: str) -> Mailed:
    """The newest sign-in mail to an address, out of the sandbox's mailbox."""
    world.work()
    mails = world.browser().get("/sandbox/mail.json", params={"to": email}).json()
    assert mails, f"nothing was mailed to {email}"
    link = re.search(rf"{re.escape(world.url)}(/\S+)", mails[0]["text"])
    code = re.search(r"\b\d{6}\b", mails[0]["text"].replace(link[0] if link else "", ""))
    assert link
    assert code
    return Mailed(link[1], code[0])


def ask(browser: httpx.Client, email: str, *, at: str = "/sign-in", after: str = "") -> str:
    """Ask for a sign-in mail; the challenge under which this browser may type the code."""
    answer = send_form(browser, at, at, email=email, next=after)
    assert answer.status_code == 303, answer.text
    return httpx.URL(answer.headers["location"]).params["challenge"]


def come_by_link(world: World, browser: httpx.Client, email: str, *, at: str = "/sign-in") -> httpx.Response:
    """Ask for a mail, follow its link, press the button."""
    ask(browser, email, at=at)
    mail = read_mail(world, email)
    return send_form(browser, mail.path, f"{at}/link", token=mail.token)


def secret_on(html: str) -> str:
    """The authenticator's secret on the page that sets it up."""
    found = re.search(r">([A-Z2-7]{32})<", html)
    assert found, html
    return found[1]


def totp_code(secret: str, *, steps_ahead: int = 0) -> str:
    """What an authenticator shows now, or `steps_ahead` half-minutes later."""
    return pyotp.HOTP(secret).at(int(transport_now().timestamp()) // 30 + steps_ahead)
