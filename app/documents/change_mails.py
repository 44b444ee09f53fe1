"""What the mails about changes that wait for the next term need to be told (see `mail_shapes`)."""

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
