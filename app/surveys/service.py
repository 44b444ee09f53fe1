"""Asking one question after every purchase, renewal and expansion, and keeping the answers (R-NPS, ADR 0018)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.accounts.models import Account
from app.core import events, policy
from app.core.bulk import among
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.ids import has_form, new_id
from app.core.security import Secrets
from app.surveys import policies, wordings
from app.surveys.errors import InvitationDiffers, SurveyClosed, SurveyNotFound, TooManyAnswers
from app.surveys.models import AnswerSource, SurveyFetch, SurveyInvitation, SurveyKind, SurveyOptOut, SurveyResponse
from app.surveys.nps import band
from app.surveys.scrubbing import scrub

OURS: Final = "blp"  # the source of invitations that our own orders opened
MAX_COMMENT: Final = 2000
_MOST_VERSIONS: Final = 50
_MOST_FETCHES: Final = 200
_LONGEST_AGENT: Final = 200
_TOKEN: Final = "survey"  # noqa: S105 -- the purpose a link token is signed for, not a secret


class Suppressed(StrEnum):
    """Why no mail is sent. The invitation stays in every count, and its link stays answerable."""

    OPTED_OUT = "opted_out"
    ASKED_RECENTLY = "asked_recently"
    COUNTRY_OFF = "country_off"
    COUNTRY_UNKNOWN = "country_unknown"  # whether consent is needed cannot be known, so it is not sent


def invite(
    tx: Tx,
    secrets: Secrets,
    *,
    kind: SurveyKind,
    order_id: str | None,
    account_id: str | None,
    email: str | None,
    person_name: str,
    segment: Mapping[str, str | int | bool],
    locale: str,
    country: str | None,
    test: bool,
    now: datetime,
    source: str = OURS,
    external_ref: str | None = None,
) -> SurveyInvitation:
    """The one invitation of a purchase, renewal or expansion, known by `(source, external_ref)`; `external_ref` is the
    order's id unless given. Asking again returns the first one.

    Always recorded: what keeps a mail from being sent is kept as `suppressed_reason`. `country` (ISO, two letters)
    is where the person is. `segment` is what answers are grouped by and holds nothing about a person; `plan` is
    told in events. Raises InvitationDiffers if the reference was used for another kind.
    """
    ref = external_ref or order_id
    if ref is None:
        raise ValueError("an invitation needs an order or a reference of its own")
    if known := find(tx, secrets, source, ref):
        if known.kind is not kind:
            raise InvitationDiffers(f"{ref!r} was given before for a {known.kind}.", param="external_ref")
        return known
    person = person_hash(secrets, email) if email else None
    rules = Rules.read(tx, kind, now)
    due = now + rules.mail_after if email else None
    made = row(
        rules, kind=kind, order_id=order_id, account_id=account_id, email=email, person=person,
        person_name=person_name, segment=segment, locale=locale, test=test, now=now, source=source, external_ref=ref,
        suppressed=_suppression(tx, rules, person, country, due) if person and due else None,
    )  # fmt: skip
    tx.execute(insert(SurveyInvitation).values(made).on_conflict_do_nothing(index_elements=["source", "external_ref"]))
    return tx.execute(
        select(SurveyInvitation).where(
            col(SurveyInvitation.source) == source, col(SurveyInvitation.external_ref) == ref
        )
    ).scalar_one()


@dataclass(frozen=True, slots=True)
class Rules:
    """The policies that hold for an invitation made now."""

    mail_after: timedelta
    open_for: timedelta
    quiet: timedelta
    countries_off: frozenset[str]

    @classmethod
    def read(cls, tx: Tx, kind: SurveyKind, now: datetime) -> Self:
        return cls(
            timedelta(days=policy.get(tx, policies.MAIL_AFTER_DAYS, now)[kind]),
            timedelta(days=policy.get(tx, policies.OPEN_DAYS, now)),
            timedelta(days=policy.get(tx, policies.QUIET_DAYS, now)), policy.get(tx, policies.COUNTRIES_OFF, now),
        )  # fmt: skip


def row(
    rules: Rules, *, kind: SurveyKind, order_id: str | None, account_id: str | None, email: str | None,
    person: str | None, person_name: str, segment: Mapping[str, str | int | bool], locale: str, test: bool,
    now: datetime, source: str, external_ref: str, suppressed: Suppressed | None,
) -> dict[str, Any]:  # fmt: skip
    """An invitation as it is kept; `person` is the hash of the address."""
    return {
        "id": new_id("srv"), "kind": kind, "source": source, "external_ref": external_ref, "account_id": account_id,
        "order_id": order_id, "person_email": email or None, "person_name": person_name, "person_hash": person,
        "wording_id": wordings.current(kind).id, "segment": dict(segment), "locale": locale, "test": test,
        "suppressed_reason": suppressed, "created_at": now, "email_due_at": now + rules.mail_after if email else None,
        "expires_at": now + rules.open_for,
    }  # fmt: skip


def find(tx: Tx, secrets: Secrets, source: str, ref: str) -> SurveyInvitation | None:
    """The invitation of a purchase, also after the person in it was forgotten."""
    return tx.execute(
        select(SurveyInvitation).where(
            col(SurveyInvitation.source) == source,
            col(SurveyInvitation.external_ref).in_([ref, _forgotten_ref(secrets, source, ref)]),
        )
    ).scalar_one_or_none()


def person_hash(secrets: Secrets, email: str) -> str:
    """Who, without saying who: the key of the 90 days rule and of opt-outs."""
    return secrets.fingerprint("survey-person", email.strip().lower())


def _forgotten_ref(secrets: Secrets, source: str, ref: str) -> str:
    return f"forgotten:{secrets.fingerprint('survey-reference', f'{source}/{ref}')}"


def _suppression(
    tx: Tx, rules: Rules, person: str, country: str | None, due: datetime
) -> Suppressed | None:  # fmt: skip
    return suppression(
        rules, country, opted_out=tx.get(SurveyOptOut, person) is not None,
        asked_recently=lambda: person in asked_since(tx, [person], due - rules.quiet),
    )  # fmt: skip


def suppression(
    rules: Rules, country: str | None, *, opted_out: bool, asked_recently: Callable[[], bool]
) -> Suppressed | None:
    """The first reason that applies; a person's own objection comes before ours."""
    if opted_out:
        return Suppressed.OPTED_OUT
    if country is None:
        return Suppressed.COUNTRY_UNKNOWN
    if country in rules.countries_off:
        return Suppressed.COUNTRY_OFF
    return Suppressed.ASKED_RECENTLY if asked_recently() else None


def asked_since(tx: Tx, people: Sequence[str], since: datetime) -> set[str]:
    """Those of these people (by hash) who were mailed, or will be, after `since`."""
    mailed = func.coalesce(col(SurveyInvitation.emailed_at), col(SurveyInvitation.email_due_at))
    query = select(col(SurveyInvitation.person_hash)).where(
        among(col(SurveyInvitation.person_hash), people),
        col(SurveyInvitation.suppressed_reason).is_(None),
        mailed > since,
    )
    return {person for person in tx.execute(query.distinct()).scalars() if person is not None}


def opted_out(tx: Tx, people: Sequence[str]) -> set[str]:
    """Those of these people (by hash) who do not want to be asked."""
    query = select(col(SurveyOptOut.person_hash)).where(among(col(SurveyOptOut.person_hash), people))
    return set(tx.execute(query).scalars())


# --- The link ---------------------------------------------------------------------------------------------------


def token_of(secrets: Secrets, invitation: SurveyInvitation) -> str:
    """What stands in the link `/survey/{token}`; whoever has it may answer."""
    return secrets.sign_token(_TOKEN, invitation.id)


def by_token(tx: Tx, secrets: Secrets, token: str) -> SurveyInvitation:
    """Raises SurveyNotFound. A link that has died is still found: its page says so, and opting out still works."""
    subject = secrets.read_token(_TOKEN, token)
    found = tx.get(SurveyInvitation, subject) if subject is not None and has_form("srv", subject) else None
    if found is None:
        raise SurveyNotFound("This survey link is not complete; copy all of it from the mail.", param="token")
    return found


def may_ask_on_page(invitation: SurveyInvitation) -> bool:
    """Whether the confirmation page shows the question: always, except to somebody who asked not to be asked.

    The quiet days and the country switch are about mail; a question on a page that the customer opened is neither.
    """
    return invitation.suppressed_reason != Suppressed.OPTED_OUT


def latest(tx: Tx, invitation: SurveyInvitation) -> SurveyResponse | None:
    """The answer that counts."""
    return tx.execute(
        select(SurveyResponse).where(
            col(SurveyResponse.invitation_id) == invitation.id, col(SurveyResponse.latest).is_(True)
        )
    ).scalar_one_or_none()


def answer(
    tx: Tx, invitation: SurveyInvitation, *, score: int, comment: str, source: AnswerSource, now: datetime
) -> SurveyResponse:
    """Store an answer, or a changed one as the next version; the same answer sent twice is stored once.

    `score` is 0 to 10, `comment` at most 2,000 characters. Raises Invalid, SurveyClosed once the link is dead,
    TooManyAnswers. Versions are counted under the invitation's row lock, so they have no gap and one is the latest.
    """
    if not 0 <= score <= 10:
        raise Invalid("Choose a number from 0 to 10.", param="score")
    text = _readable(comment)
    if len(text) > MAX_COMMENT:
        raise Invalid(f"Write at most {MAX_COMMENT} characters; this has {len(text)}.", param="comment")
    locked = tx.get_one(SurveyInvitation, invitation.id, with_for_update=True, populate_existing=True)
    if now >= locked.expires_at:
        raise SurveyClosed("It was open for a while after the purchase; thank you all the same.")
    before = latest(tx, locked)
    if before is not None:
        if (before.score, before.comment) == (score, text):
            return before
        if before.version >= _MOST_VERSIONS:
            raise TooManyAnswers(f"The last of {_MOST_VERSIONS} changes counts.")
        before.latest = False
        tx.flush()  # the index allows one latest answer, so the old one steps down first
    given = SurveyResponse(
        invitation_id=locked.id, version=before.version + 1 if before else 1, latest=True, score=score, comment=text,
        wording_id=locked.wording_id, source=source, answered_at=now,
    )  # fmt: skip
    tx.add(given)
    locked.answered_at = locked.answered_at or now
    kind = "survey.updated" if before else "survey.answered"
    # No account: who in a company answered what is between that person and the vendor (R-NPS-4).
    events.append(tx, kind, locked.id, now=now, **_told(tx, locked, given, now))
    return given


def _readable(text: str) -> str:
    """Without control characters, which no person types and PostgreSQL cannot store."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in plain if char == "\n" or char.isprintable()).strip()


def _told(tx: Tx, invitation: SurveyInvitation, given: SurveyResponse, now: datetime) -> dict[str, Any]:
    """What an event says of an answer: never more than the policies allow."""
    told: dict[str, Any] = {
        "kind": invitation.kind.value, "score": given.score, "band": band(given.score).value,
        "segment": invitation.segment, "plan": invitation.segment.get("plan"), "version": given.version,
        "wording_id": given.wording_id, "source": invitation.source, "test": invitation.test,
    }  # fmt: skip
    if policy.get(tx, policies.COMMENTS_IN_EVENTS, now):
        told["comment"] = scrub(given.comment)
    if policy.get(tx, policies.NAMES_IN_EVENTS, now):
        account = tx.get(Account, invitation.account_id) if invitation.account_id else None
        told["person"] = {"name": invitation.person_name, "email": invitation.person_email}
        told["company"] = account.name if account else None
    return told


def record_fetch(tx: Tx, invitation: SurveyInvitation, *, score: int | None, user_agent: str, now: datetime) -> None:
    """Keep that a link was opened, by a person or a scanner (surveys/scanners.py); it never becomes an answer."""
    kept: int = tx.execute(
        select(func.count()).select_from(SurveyFetch).where(col(SurveyFetch.invitation_id) == invitation.id)
    ).scalar_one()
    if kept >= _MOST_FETCHES:
        return
    chosen = score if score is not None and 0 <= score <= 10 else None
    agent = _readable(user_agent).replace("\n", " ")[:_LONGEST_AGENT]
    tx.add(SurveyFetch(invitation_id=invitation.id, score=chosen, user_agent=agent, fetched_at=now))


# --- Not being asked --------------------------------------------------------------------------------------------


def opt_out(tx: Tx, invitation: SurveyInvitation, now: datetime) -> None:
    """Ask the person behind this invitation no more; also from a link that has died."""
    if invitation.person_hash is None:
        invitation.suppressed_reason = Suppressed.OPTED_OUT
        return
    _opt_out(tx, invitation.person_hash, now)


def opt_out_person(tx: Tx, secrets: Secrets, email: str, now: datetime) -> None:
    _opt_out(tx, person_hash(secrets, email), now)


def _opt_out(tx: Tx, person: str, now: datetime) -> None:
    tx.execute(insert(SurveyOptOut).values(person_hash=person, opted_out_at=now).on_conflict_do_nothing())
    waiting = (col(SurveyInvitation.person_hash) == person, col(SurveyInvitation.answered_at).is_(None))
    tx.execute(update(SurveyInvitation).where(*waiting).values(reminder_due_at=None))
    tx.execute(
        update(SurveyInvitation)
        .where(*waiting, col(SurveyInvitation.emailed_at).is_(None), col(SurveyInvitation.suppressed_reason).is_(None))
        .values(suppressed_reason=Suppressed.OPTED_OUT)
    )


def opt_in(tx: Tx, secrets: Secrets, email: str) -> None:
    """The person turned surveys on again; what was suppressed meanwhile stays so."""
    gone = tx.get(SurveyOptOut, person_hash(secrets, email))
    if gone is not None:
        tx.delete(gone)


def has_opted_out(tx: Tx, secrets: Secrets, email: str) -> bool:
    return tx.get(SurveyOptOut, person_hash(secrets, email)) is not None


# --- Forgetting -------------------------------------------------------------------------------------------------


def forget_person(tx: Tx, secrets: Secrets, email: str) -> int:
    """Detach every invitation of a person from them; returns how many. Scores and segments stay, an opt-out stays."""
    rows = tx.execute(
        select(SurveyInvitation)
        .where(col(SurveyInvitation.person_hash) == person_hash(secrets, email))
        .with_for_update()
    ).scalars()
    return sum(_forget(tx, secrets, each) for each in rows)


def forget_old(tx: Tx, secrets: Secrets, now: datetime, *, limit: int = 1000) -> int:
    """Detach what is older than the policy says; returns how many, at most `limit` a time."""
    months = policy.get(tx, policies.RETENTION_MONTHS, now)
    rows = tx.execute(
        select(SurveyInvitation)
        .where(
            col(SurveyInvitation.created_at) < now - timedelta(days=months * 365.2425 / 12),
            col(SurveyInvitation.external_ref).not_like("forgotten:%"),
        )
        .order_by(col(SurveyInvitation.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).scalars()
    return sum(_forget(tx, secrets, each) for each in rows)


def _forget(tx: Tx, secrets: Secrets, invitation: SurveyInvitation) -> int:
    if not invitation.external_ref.startswith("forgotten:"):
        invitation.external_ref = _forgotten_ref(secrets, invitation.source, invitation.external_ref)
    invitation.person_email, invitation.person_name, invitation.person_hash = None, "", None
    invitation.account_id, invitation.order_id = None, None
    ours = col(SurveyResponse.invitation_id) == invitation.id
    tx.execute(update(SurveyResponse).where(ours).values(comment=""))
    tx.execute(update(SurveyFetch).where(col(SurveyFetch.invitation_id) == invitation.id).values(user_agent=""))
    return 1
