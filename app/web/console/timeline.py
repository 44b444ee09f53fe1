"""What happened to an account, newest first: its events, with who caused them, and what only the audit record knows."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, and_, cast, func, null, select, union_all
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col

from app.core.audit import AuditEntry
from app.core.db import Tx
from app.core.events import Event
from app.web.console.render import actor_name, shown
from app.web.console.views import TimelineEvent

PAGE: Final = 20
_PAGES: Final = {
    "ord": "orders", "sub": "subscriptions", "inv": "invoices", "lic": "licenses", "quo": "quotes", "wsp": "workspaces",
    "dun": "dunning", "trl": "trials", "mrg": "merged-licenses",
}  # fmt: skip
# Sentences for the kinds that matter most; any other is shown by its name.
_SENTENCES: Final = {
    "account.opened": "The account was opened",
    "order.placed": "Ordered",
    "order.held": "Ordered, and held for a person to look at",
    "order.released": "A held order was released",
    "order.completed": "Paid and delivered",
    "order.canceled": "An order was canceled",
    "order.written_off": "A charge too small to be invoiced was written off",
    "order.expired": "An order expired unpaid",
    "subscription.started": "A subscription began",
    "subscription.renewed": "A subscription was renewed",
    "subscription.changed": "A subscription was changed within its term",
    "subscription.change_scheduled": "Wants less with the next term",
    "subscription.change_withdrawn": "Takes back what was wished for the next term",
    "subscription.change_dropped": "What was wished for the next term was dropped, as there is none",
    "subscription.change_applied": "What was wished for the next term was carried out",
    "license.released": "A license that was held back took the place of the one before",
    "merged_license.issued": "One file for several licenses was made",
    "merged_license.revoked": "Of a merged license file nothing is left",
    "licenses.drop_coming": "The licenses together will give less; the customer was told",
    "subscription.billed": "A further year of a term was billed",
    "invoice.reminders_put_off": "Reminders of an invoice were put off",
    "subscription.not_renewing": "Does not want to renew",
    "subscription.renewing_again": "Wants to renew after all",
    "subscription.auto_renew_on": "Let it renew by itself",
    "subscription.auto_renew_off": "Renews by hand from now on",
    "subscription.past_due": "A renewal could not be charged",
    "subscription.lapsed": "A subscription lapsed",
    "subscription.expired": "A subscription expired",
    "subscription.canceled": "A subscription ended",
    "subscription.parked": "The billing run parked a subscription",
    "subscription.released": "A parked subscription is billed again",
    "dunning.opened": "A payment is being collected",
    "dunning.retried": "The card was tried again",
    "dunning.recovered": "What was collected is paid",
    "dunning.given_up": "Nobody paid; the collection ended",
    "dunning.paused": "A collection was paused",
    "dunning.resumed": "A collection goes on",
    "license.bridged": "A bridge license covers the time until payment",
    "renewal.needs_sales": "A renewal needs a quote",
    "license.issued": "A license was issued",
    "license.superseded": "A license was replaced",
    "license.revoked": "A license was revoked",
    "invoice.paid": "An invoice was paid",
    "invoice.replaced": "An invoice was credited in full and issued again without the tax",
    "invoice.not_replaced": "An invoice could not be issued again without the tax; a person has to look",
    "tax_id.confirmed": "A tax number was confirmed",
    "tax_id.refused": "A registry calls a tax number invalid",
    "tax_id.asked_again": "A registry was asked again about a tax number",
    "payment.unmatched": "A payment arrived that fits no open order",
    "payment.resolved": "A loose payment was dealt with",
    "quote.requested": "Asked for a quote",
    "quote.drafted": "A quote was written",
    "quote.discount_approved": "A discount was approved",
    "quote.sent": "A quote was sent",
    "quote.viewed": "A quote was looked at",
    "quote.accepted": "A quote was accepted",
    "quote.expired": "A quote expired",
    "quote.superseded": "A quote was superseded",
    "quote.declined": "A quote, or the request for one, was declined",
    "quote.withdrawn": "A quote, or the request for one, was withdrawn",
    "exemption_certificate.submitted": "An exemption certificate was sent in",
    "exemption_certificate.accepted": "An exemption certificate was accepted",
    "exemption_certificate.rejected": "An exemption certificate was rejected",
    "exemption_certificate.revoked": "An exemption certificate was revoked",
    "exemption_certificate.expiring": "An exemption certificate ends soon",
    "exemption_certificate.expired": "An exemption certificate expired",
    "order.location_contradicted": "The card of an order is from another country than its address",
    "agreement.recorded": "An agreement was recorded",
    "agreement.ending": "An agreement ends soon",
    "agreement.ended": "An agreement was ended",
    "workspace.requested": "A workspace was asked for",
    "workspace.ready": "A workspace is ready",
    "workspace.noted": "Staff wrote something down",
    "session.began": "Somebody signed in",
    "member.added": "A person was added",
    "member.removed": "A person was removed",
    "api_key.created": "An API key was made",
    "api_key.revoked": "An API key was revoked",
    "survey.invited": "Asked how it went",
    "survey.answered": "Answered the survey",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timeline:
    events: tuple[TimelineEvent, ...]
    further: bool


def of_account(tx: Tx, account_id: str, page: int) -> Timeline:
    """`page` counts from 0; the deed that an event and an audit row both tell of is shown once, with its actor."""
    same_deed = and_(
        col(AuditEntry.chain) == col(Event.account_id),
        col(AuditEntry.action) == col(Event.type),
        col(AuditEntry.subject) == col(Event.object_id),
        col(AuditEntry.at) == col(Event.occurred_at),
    )
    told: Select[*tuple[Any, ...]] = (
        select(
            col(Event.occurred_at).label("at"), col(Event.type).label("kind"), col(Event.object_id).label("subject"),
            func.coalesce(col(AuditEntry.actor), "").label("actor"), col(Event.data).label("data"),
            col(AuditEntry.details).label("details"), col(Event.sequence).label("nth"),
        )
        .outerjoin(AuditEntry, same_deed)
        .where(col(Event.account_id) == account_id)
    )  # fmt: skip
    only_audited: Select[*tuple[Any, ...]] = (
        select(
            col(AuditEntry.at), col(AuditEntry.action), col(AuditEntry.subject), col(AuditEntry.actor),
            cast(null(), JSONB), col(AuditEntry.details), col(AuditEntry.sequence),
        )
        .where(
            col(AuditEntry.chain) == account_id,
            ~select(col(Event.id)).where(same_deed, col(Event.account_id) == account_id).exists(),
        )
    )  # fmt: skip
    both = union_all(told, only_audited).subquery()
    rows = tx.execute(
        select(both).order_by(both.c.at.desc(), both.c.nth.desc()).offset(page * PAGE).limit(PAGE + 1)
    ).all()
    return Timeline(
        tuple(
            TimelineEvent(
                at=row.at, kind=row.kind, sentence=_sentence(row.kind, row.data or {}, row.details or {}),
                actor=actor_name(tx, row.actor), href=_href(row.subject),
            )
            for row in rows[:PAGE]
        ),
        len(rows) > PAGE,
    )  # fmt: skip


def _sentence(kind: str, data: dict[str, Any], details: dict[str, Any]) -> str:
    plain = kind.replace(".", " ").replace("_", " ").capitalize()
    told = _SENTENCES.get(kind, plain)
    figure = shown(data.get("total"))
    if kind == "license.issued" and "seats" in data:
        figure = f"{data['seats']} seats"
    note = details.get("note") or details.get("reason")
    return told + (f", {figure}" if figure else "") + (f": {note}" if note else "")


def _href(subject: str) -> str:
    kind = _PAGES.get(subject.partition("_")[0])
    return f"/console/{kind}/{subject}" if kind else ""
