"""What the mails about changes to come need to be told (see `mail_shapes`)."""

from dataclasses import dataclass
from datetime import date

from app.documents.mail_shapes import MailData


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeScheduled(MailData):
    """From `on`, the first day of the next term: `plan` with `seats`, without the add-ons `dropped`.

    `present_plan` and `present_seats` are what is held until then. `replaces` is set where another wish stood before.
    """

    on: date
    plan: str
    seats: int
    present_plan: str
    present_seats: int
    subscription_url: str
    dropped: tuple[str, ...] = ()
    replaces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWithdrawn(MailData):
    """What was scheduled for `on` does not happen: `plan` with `seats` go on where it `renews`, or it has `ended`.

    `by_us` where the vendor's staff took it back.
    """

    on: date
    plan: str
    seats: int
    subscription_url: str
    by_us: bool = False
    ended: bool = False
    renews: bool = True


@dataclass(frozen=True, slots=True)
class Lowered:
    """An entitlement that is less after a drop; `after` is empty where it is gone, `before` where it is yes or no."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class EndingLicense:
    """A license that stops to count: under the customer's name for it, with its seats and the day its term ends."""

    name: str
    seats: int
    until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class LicensesDrop(MailData):
    """On `on` the licenses that count together, `production` or not, give less: seats, or what is `lowered`."""

    on: date
    seats_before: int
    seats_after: int
    production: bool
    lowered: tuple[Lowered, ...]
    ending: tuple[EndingLicense, ...]
    licenses_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseReplaced(MailData):
    """The file of the license called `name` no longer holds; another with the same content lies at `license_url`."""

    name: str
    seats: int
    license_url: str
