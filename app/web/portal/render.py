"""What customer doors share: what was posted, the reader's language, the page to answer with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.accounts import service as accounts
from app.accounts.sessions import SignedInCustomer
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.i18n import FALLBACK, languages
from app.web import show
from app.web.views import Flash, Page

_LONGEST: Final = 300
_MOST_LANGUAGES: Final = 20


@dataclass(frozen=True, slots=True)
class Posted:
    """A form as it came: every value of every input, and the bytes of its files by the names of their inputs.

    `upload` is the first file, for forms that carry one.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    upload: bytes = b""
    uploads: Mapping[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """One line: trimmed, without control characters (PostgreSQL takes no NUL). Raises Invalid beyond 300 letters:
        what is printed on documents is what was typed, or nothing.
        """
        line = self.values.get(name, ("",))[0].strip()
        if len(line) > _LONGEST:
            raise Invalid(f"At most {_LONGEST} characters fit into {name!r}; these are {len(line):,}.", param=name)
        return "".join(char for char in line if char.isprintable())

    def many(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def prose(self, name: str, longest: int) -> str:
        """Several lines as typed, without control characters but line breaks."""
        first = self.values.get(name, ("",))[0].replace("\r\n", "\n")
        return "".join(char for char in first if char == "\n" or char.isprintable())[:longest]


async def posted(request: Request) -> Posted:
    """A dependency: the form of this request."""
    form = await request.form()
    values: dict[str, tuple[str, ...]] = {}
    uploads: dict[str, bytes] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            uploads[name] = uploads.get(name) or await value.read()
        else:
            values[name] = (*values.get(name, ()), value)
    await form.close()
    return Posted(values, next(filter(None, uploads.values()), b""), uploads)


Form = Annotated[Posted, Depends(posted)]


def locale_of(request: Request) -> str:
    """The first language of Accept-Language that documents and mails can be written in, else English."""
    known = languages()
    wishes = []
    for position, part in enumerate(request.headers.get("accept-language", "").split(",")[:_MOST_LANGUAGES]):
        tag, _, weight = part.strip().partition(";q=")
        wishes.append((-_weight(weight), position, tag.partition("-")[0].lower()))
    return next((language for weight, _, language in sorted(wishes) if weight and language in known), FALLBACK)


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0) if text else 1.0
    except ValueError:
        return 0.0


def see_other(path: str) -> Response:
    """After a post: the browser gets the page it may reload without posting again."""
    return RedirectResponse(path, 303)


def account_page(
    request: Request, tx: Tx, page: Page, who: SignedInCustomer, *, status: int = 200, said: str = ""
) -> HTMLResponse:
    """A page under `/account`; `said` is what a redirect wants to have told."""
    flashes = (Flash(text=SAID[said]),) if said in SAID else ()
    name = accounts.get(tx, who.account_id).name
    return show.portal(request, page, who=who, account=name, status=status, flashes=flashes)


# What a page may say after a redirect: the address carries the key, never a sentence.
SAID: Final[Mapping[str, str]] = {
    "asked_to_erase": "Your request was recorded. A person answers it within a month, by mail.",
    "invited": "A mail is on its way. They can sign in with their address now.",
    "server_released": "Its place is free for another server.",
    "server_moved": "The place has moved. The new server may start.",
    "carried": "Done. Carry the file below back to the server.",
    "usage_reported": "The report is kept. What it means for your seats stands below.",
    "labelled": "The name was saved.",
    "person_removed": "The person can no longer act for this account.",
    "role_changed": "The role was changed; it counts from the next click.",
    "surveys_off": "You will not be asked again.",
    "surveys_on": "You will be asked after purchases again.",
    "certificate_sent": "The certificate was sent in. It counts once our team has looked at it; you hear by mail.",
    "tax_id_added": "The number was added and its registry asked.",
    "tax_id_removed": "The number was removed; documents that carry it stay as they are.",
    "not_renewing": "It ends with its term. You can take this back until then.",
    "renewing_again": "It goes on after this term.",
    "change_scheduled": "It is written down for the next term. You can take it back until then.",
    "change_withdrawn": "It was taken back; the next term is as the present one.",
    "change_canceled": "The change was given up; everything stays as it is.",
    "auto_renew_on": "It renews by itself from now on.",
    "auto_renew_off": "It is renewed by hand from now on; we remind you in time.",
    "deletion_taken_back": "The deletion was taken back.",
    "retried": "It is being tried again.",
    "card_chosen": "Renewals charge this card from now on.",
    "card_removed": "The card is not charged any more, and the provider forgets it.",
    "provider_away": "The payment provider does not answer just now. Please try again in a moment.",
}
