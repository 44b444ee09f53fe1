from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, row_id, text_enum


class TaxDetermination(Table, table=True):
    """One answer of the engine, kept as it was given; a trigger refuses every change.

    `calculation_id` where a provider decided.
    """

    __tablename__ = "tax_determination"

    id: str = Field(primary_key=True)
    treatment: str = Field(index=True)
    result: dict[str, Any] = Field(sa_type=JSONB)
    request: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    inputs_hash: str
    data_version: str
    calculation_id: str | None = Field(default=None, foreign_key="tax_calculation.id")
    determined_at: datetime = Field(sa_type=INSTANT)


class TaxCalculation(Table, table=True):
    """What a provider said when it was asked for the tax of a question, or that it did not; it never changes.

    `inputs_hash` is the question's. `result` is what the answer means for the document, `reply` the provider's own
    answer without the buyer. `code` is its word for an answer that it did not give, and then there is no `ref`.
    """

    __tablename__ = "tax_calculation"
    __table_args__ = (
        CheckConstraint("(ref IS NULL) = (code <> '')", name="answered_or_why_not"),
        CheckConstraint("ref IS NOT NULL OR (result ->> 'treatment') = 'needs_review'", name="held_without_an_answer"),
        Index("ix_tax_calculation_inputs", "inputs_hash", "asked_at"),
        UniqueConstraint("provider", "ref"),
    )

    id: str = Field(primary_key=True)
    provider: str
    inputs_hash: str
    ref: str | None = None
    code: str = ""
    result: dict[str, Any] = Field(sa_type=JSONB)
    reply: dict[str, Any] = Field(sa_type=JSONB)
    asked_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime | None = Field(default=None, sa_type=INSTANT)


class RecordState(StrEnum):
    WAITING = "waiting"
    RECORDED = "recorded"
    REFUSED = "refused"


class TaxRecord(Table, table=True):
    """A document that belongs in the books of the provider that computed its tax, under its number.

    Of an invoice the sale, of a credit note what it takes back. `lines` are the provider's ids of the sale's lines by
    position. A trigger lets nothing change but how it went.
    """

    __tablename__ = "tax_record"
    __table_args__ = (
        CheckConstraint("(invoice_id IS NULL) <> (credit_note_id IS NULL)", name="of_one_document"),
        CheckConstraint("(state = 'recorded') = (ref IS NOT NULL)", name="recorded_somewhere"),
        CheckConstraint("(state = 'recorded') = (recorded_at IS NOT NULL)", name="recorded_at_a_time"),
        CheckConstraint("state <> 'refused' OR code <> ''", name="refused_for_a_reason"),
        CheckConstraint("spent_keys >= 0", name="spent_keys_are_counted"),
        UniqueConstraint("provider", "reference"),
        Index("ix_tax_record_open", "id", postgresql_where=text("state <> 'recorded'")),
    )

    id: str = Field(primary_key=True)
    provider: str
    calculation_id: str = Field(foreign_key="tax_calculation.id")
    invoice_id: str | None = Field(default=None, foreign_key="invoice.id", unique=True)
    credit_note_id: str | None = Field(default=None, foreign_key="credit_note.id", unique=True)
    reference: str
    state: RecordState = Field(sa_type=text_enum(RecordState, name="record_state"))
    ref: str | None = None
    lines: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    spent_keys: int = 0
    code: str = ""
    detail: str = ""
    created_at: datetime = Field(sa_type=INSTANT)
    recorded_at: datetime | None = Field(default=None, sa_type=INSTANT)


class TaxIdCheck(Table, table=True):
    """What a registry answered about a number, and when: the evidence for a reverse charge; it never changes.

    `authority` is who was asked, `code` its word for an answer that says nothing. `reply_sealed` is the raw answer,
    sealed for `tax_id_reply`; its hash is of what is inside. The matches compare the buyer with what was told.
    """

    __tablename__ = "tax_id_check"
    __table_args__ = (
        CheckConstraint("status IN ('valid', 'invalid', 'unavailable')", name="status_known"),
        CheckConstraint("status = 'unavailable' OR (code = '' AND NOT again)", name="code_of_no_answer"),
        CheckConstraint("name_match IN ('same', 'differs', 'not_told')", name="name_match_known"),
        CheckConstraint("address_match IN ('same', 'differs', 'not_told')", name="address_match_known"),
    )

    id: str = Field(primary_key=True)
    type: str
    value: str = Field(index=True, sa_column_kwargs=personal("contact"))
    status: str
    reference: str | None = None
    reply_hash: str
    authority: str = Field(default="", sa_column_kwargs={"server_default": ""})
    code: str = Field(default="", sa_column_kwargs={"server_default": ""})
    again: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})  # asking later may help
    name_match: str = Field(default="not_told", sa_column_kwargs={"server_default": "not_told"})
    address_match: str = Field(default="not_told", sa_column_kwargs={"server_default": "not_told"})
    reply_sealed: str | None = Field(default=None, sa_column_kwargs=personal("contact"))
    checked_at: datetime = Field(sa_type=INSTANT)


class TaxLocalVersion(Table, table=True):
    """All local rates of one state as one import gave them; the highest version is in force, and none ever changes."""

    __tablename__ = "tax_local_version"
    __table_args__ = (
        UniqueConstraint("state", "version"),
        CheckConstraint("version > 0", name="version_from_one"),
        CheckConstraint("row_count > 0", name="has_rows"),
    )

    id: int | None = row_id()
    state: str
    version: int
    content_hash: str
    row_count: int
    imported_by: str
    imported_at: datetime = Field(sa_type=INSTANT)


class TaxLocalRate(Table, table=True):
    """One line of an import (app/tax/local_rates.py). `rate` in percent; `plus4_from` empty for the whole ZIP."""

    __tablename__ = "tax_local_rate"
    __table_args__ = (
        CheckConstraint("zip_from ~ '^[0-9]{5}$' AND zip_to ~ '^[0-9]{5}$' AND zip_from <= zip_to", name="zip_range"),
        CheckConstraint(
            "(plus4_from = '' AND plus4_to = '') OR (plus4_from ~ '^[0-9]{4}$' AND plus4_to ~ '^[0-9]{4}$'"
            " AND plus4_from <= plus4_to AND zip_from = zip_to)",
            name="plus4_range",
        ),
        CheckConstraint("rate >= 0 AND rate <= 30", name="rate_in_range"),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="ends_after_it_begins"),
        Index("ix_tax_local_rate_zip", "version_id", "zip_from", "zip_to"),
    )

    id: int | None = row_id()
    version_id: int = Field(foreign_key="tax_local_version.id", sa_type=BigInteger)
    zip_from: str
    zip_to: str
    plus4_from: str
    plus4_to: str
    component: str
    rate: Decimal = Field(sa_type=Numeric(8, 5))
    valid_from: date
    valid_to: date | None = None


class TaxOverride(Table, table=True):
    """What the operator decided for a jurisdiction in place of the rows on file (R-TAX-7).

    `tax_code` and `buyer_type` may be `any`. Both days are included. A trigger lets nothing change but its end; one
    that ended before it began is withdrawn and never counted.
    """

    __tablename__ = "tax_override"
    __table_args__ = (
        CheckConstraint("buyer_type IN ('any', 'business', 'consumer')", name="buyer_type_known"),
        CheckConstraint(
            "treatment IN ('standard', 'zero_rated', 'reverse_charge', 'product_exempt', 'outside_scope',"
            " 'needs_review')",
            name="treatment_known",
        ),
        CheckConstraint("rate IS NULL OR (rate > 0 AND rate <= 30)", name="rate_in_range"),
        CheckConstraint("portion > 0 AND portion <= 100", name="portion_is_percent"),
        CheckConstraint("treatment = 'standard' OR (rate IS NULL AND portion = 100)", name="only_a_charge_has_a_rate"),
        CheckConstraint("rate IS NOT NULL OR NOT alone", name="alone_with_its_rate"),
        CheckConstraint("source <> '' AND why <> ''", name="source_and_reason_given"),
        CheckConstraint("withdrawn OR valid_to IS NULL OR valid_to >= valid_from", name="ends_after_it_begins"),
        CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended_by_somebody"),
        CheckConstraint("NOT withdrawn OR ended_at IS NOT NULL", name="withdrawn_is_ended"),
        ExcludeConstraint(
            ("jurisdiction", "="), ("tax_code", "="), ("buyer_type", "="),
            (text("daterange(valid_from, valid_to, '[]')"), "&&"),
            where=text("NOT withdrawn"), using="gist", name="ex_tax_override_no_overlap",
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    jurisdiction: str
    tax_code: str
    buyer_type: str
    treatment: str
    rate: Decimal | None = Field(default=None, sa_type=Numeric(8, 5))
    portion: Decimal = Field(default=Decimal(100), sa_type=Numeric(8, 5))
    alone: bool = False
    note: str = ""  # printed on documents
    valid_from: date
    valid_to: date | None = None
    source: str
    why: str
    recorded_by: str
    recorded_at: datetime = Field(sa_type=INSTANT)
    withdrawn: bool = False
    ended_by: str | None = None
    ended_at: datetime | None = Field(default=None, sa_type=INSTANT)
    ended_why: str | None = None


class ExchangeRate(Table, table=True):
    """What one euro was worth on a day: as the ECB published it, or as the operator set it instead (R-TAX-6).

    Never changed. Of the operator's rows of one day the last counts, and it comes before the ECB's.
    """

    __tablename__ = "exchange_rate"
    __table_args__ = (
        CheckConstraint("currency ~ '^[A-Z]{3}$' AND currency <> 'EUR'", name="currency_is_another"),
        CheckConstraint("rate > 0", name="rate_positive"),
        CheckConstraint("source IN ('ecb', 'operator')", name="source_known"),
        CheckConstraint("source = 'ecb' OR why <> ''", name="operator_says_why"),
        Index(
            "uq_exchange_rate_ecb", "currency", "rate_on", unique=True, postgresql_where=text("source = 'ecb'")
        ),
        Index("ix_exchange_rate_day", "currency", "rate_on"),
    )  # fmt: skip

    id: int | None = row_id()
    rate_on: date
    currency: str
    rate: Decimal = Field(sa_type=Numeric(18, 8))
    source: str
    why: str = ""
    recorded_by: str
    recorded_at: datetime = Field(sa_type=INSTANT)


class NexusAlert(Table, table=True):
    """A threshold that came near (level 80, by policy) or was reached (100): once for each crossing.

    It is open until somebody has seen to it, and cleared where sales fell below again or a registration began; only
    then can it be raised anew.
    """

    __tablename__ = "nexus_alert"
    __table_args__ = (
        CheckConstraint("level BETWEEN 1 AND 100", name="level_is_percent"),
        CheckConstraint("(seen_at IS NULL) = (seen_by IS NULL)", name="seen_by_somebody"),
        Index(
            "uq_nexus_alert_open", "legal_entity_id", "jurisdiction", "level", unique=True,
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    legal_entity_id: str = Field(foreign_key="legal_entity.id")
    jurisdiction: str
    level: int
    figures: dict[str, Any] = Field(sa_type=JSONB)  # the meter of then
    raised_at: datetime = Field(sa_type=INSTANT)
    cleared_at: datetime | None = Field(default=None, sa_type=INSTANT)
    seen_by: str | None = None
    seen_at: datetime | None = Field(default=None, sa_type=INSTANT)
    seen_note: str | None = None


class NexusReading(Table, table=True):
    """The days on which the meters were read: the first tick of a day reads them, the others see that it was done."""

    __tablename__ = "nexus_reading"

    legal_entity_id: str = Field(primary_key=True, foreign_key="legal_entity.id")
    read_on: date = Field(primary_key=True)


class CertificateReason(StrEnum):
    RESALE = "resale"
    GOVERNMENT = "government"
    NONPROFIT = "nonprofit"
    EDUCATION = "education"
    DIRECT_PAY = "direct_pay"
    OTHER = "other"


class CertificateState(StrEnum):
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    REVOKED = "revoked"


class ExemptionCertificate(Table, table=True):
    """A customer's paper that relieves it from the tax of one jurisdiction (R-TAX-1).

    `expires_on` is its last day. Only accepted ones count, and of one account and jurisdiction one on each day. A
    trigger lets nothing change but what became of it. `remind_at` and `ends_at` are instants of the account's days.
    """

    __tablename__ = "exemption_certificate"
    __table_args__ = (
        CheckConstraint("number <> ''", name="has_a_number"),
        CheckConstraint("expires_on IS NULL OR expires_on >= signed_on", name="ends_after_it_begins"),
        CheckConstraint(
            "(reviewed_at IS NULL) = (reviewed_by IS NULL) AND (reviewed_at IS NULL) = (review_note IS NULL)",
            name="reviewed_by_somebody_with_a_note",
        ),
        CheckConstraint("(state = 'submitted') = (reviewed_at IS NULL)", name="decided_by_a_review"),
        CheckConstraint("state <> 'rejected' OR review_note <> ''", name="rejected_with_a_reason"),
        CheckConstraint(
            "(state = 'revoked') = (revoked_at IS NOT NULL) AND (revoked_at IS NULL) = (revoked_by IS NULL)"
            " AND (revoked_at IS NULL) = (revoked_why IS NULL)",
            name="revoked_by_somebody_who_says_why",
        ),
        CheckConstraint("state <> 'accepted' OR (ends_at IS NULL) = (expires_on IS NULL)", name="accepted_to_its_end"),
        ExcludeConstraint(
            ("account_id", "="), ("jurisdiction", "="), (text("daterange(signed_on, expires_on, '[]')"), "&&"),
            where=text("state = 'accepted'"), using="gist", name="ex_exemption_certificate_one_at_a_time",
        ),
        Index("ix_exemption_certificate_waiting", "submitted_at", postgresql_where=text("state = 'submitted'")),
        Index(
            "ix_exemption_certificate_reminding", "remind_at",
            postgresql_where=text("state = 'accepted' AND reminded_at IS NULL"),
        ),
        Index(
            "ix_exemption_certificate_ending", "ends_at",
            postgresql_where=text("state = 'accepted' AND end_told_at IS NULL"),
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    jurisdiction: str
    reason: CertificateReason = Field(sa_type=text_enum(CertificateReason, name="certificate_reason"))
    number: str = Field(sa_column_kwargs=personal("contact"))
    signed_on: date
    expires_on: date | None = None
    paper_id: str = Field(foreign_key="paper.id", unique=True)
    state: CertificateState = Field(sa_type=text_enum(CertificateState, name="certificate_state"))
    submitted_by: str
    submitted_at: datetime = Field(sa_type=INSTANT)
    reviewed_by: str | None = None
    reviewed_at: datetime | None = Field(default=None, sa_type=INSTANT)
    review_note: str | None = Field(default=None, sa_column_kwargs=personal("free_text"))
    revoked_by: str | None = None
    revoked_at: datetime | None = Field(default=None, sa_type=INSTANT)
    revoked_why: str | None = Field(default=None, sa_column_kwargs=personal("free_text"))
    remind_at: datetime | None = Field(default=None, sa_type=INSTANT)
    reminded_at: datetime | None = Field(default=None, sa_type=INSTANT)
    ends_at: datetime | None = Field(default=None, sa_type=INSTANT)
    end_told_at: datetime | None = Field(default=None, sa_type=INSTANT)


class LocationEvidence(Table, table=True):
    """One item that says where the consumer of an order is (R-TAX-5), as it was known when it was taken; never changed.

    `country` is what it speaks for, `value` what was seen: the address, nothing more than the country for the rest.
    """

    __tablename__ = "location_evidence"
    __table_args__ = (
        UniqueConstraint("order_id", "kind"),
        CheckConstraint("kind IN ('billing_address', 'ip', 'card', 'statement')", name="kind_known"),
        CheckConstraint("country ~ '^[A-Z]{2}$'", name="country_is_iso"),
    )

    id: int | None = row_id()
    order_id: str = Field(foreign_key="order.id")
    kind: str
    value: str = Field(sa_column_kwargs=personal("contact"))
    country: str
    captured_at: datetime = Field(sa_type=INSTANT)
