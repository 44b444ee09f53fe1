"""Who buys, who sells, and who may act for either."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, row_id, text_enum


class BuyerType(StrEnum):
    BUSINESS = "business"
    CONSUMER = "consumer"


class Role(StrEnum):
    OWNER = "owner"
    BUYER = "buyer"
    BILLING = "billing"
    LICENSE_ADMIN = "license_admin"
    VIEWER = "viewer"


class StaffRole(StrEnum):
    SALES = "sales"
    SUPPORT = "support"
    FINANCE = "finance"
    ADMIN = "admin"


class Audience(StrEnum):
    CUSTOMER = "customer"
    STAFF = "staff"


class TaxIdStatus(StrEnum):
    """What is known of a tax number; only valid and manual_override are proof (R-TAX-4, ADR 0046)."""

    UNCHECKED = "unchecked"
    FORMAT_INVALID = "format_invalid"  # nobody can be asked, and its check digits are wrong
    PENDING = "pending"  # its registry did not answer and is asked again
    VALID = "valid"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"  # nobody can be asked, or its registry was asked in vain
    MANUAL_OVERRIDE = "manual_override"


def _words(name: str, *columns: str) -> Index:
    """Finds a part of a word, in any case, without reading the table: what staff type into the console's search box."""
    return Index(name, *columns, postgresql_using="gin", postgresql_ops=dict.fromkeys(columns, "gin_trgm_ops"))


class LegalEntity(Table, table=True):
    """A seller: the company on the invoice, with what decides its tax."""

    __tablename__ = "legal_entity"
    __table_args__ = (CheckConstraint("country ~ '^[A-Z]{2}$'", name="country_is_iso"),)

    id: str = Field(primary_key=True)
    code: str = Field(unique=True)
    name: str
    line1: str
    line2: str = ""
    city: str
    region: str = ""
    postcode: str
    country: str
    email: str
    invoice_series: str
    time_zone: str
    established: list[str] = Field(sa_type=JSONB)
    oss: str | None = None
    below_eu_threshold: bool = False
    elections: dict[str, str] = Field(sa_type=JSONB)
    sells_to_consumers: bool = False
    payment_details: str = ""


class SellerRegistration(Table, table=True):
    """Where a legal entity is registered for tax, from when until when."""

    __tablename__ = "seller_registration"
    __table_args__ = (
        UniqueConstraint("legal_entity_id", "jurisdiction", "scheme", "valid_from"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="ends_after_start"),
    )

    id: int | None = row_id()
    legal_entity_id: str = Field(foreign_key="legal_entity.id")
    jurisdiction: str
    scheme: str
    number: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None


class Account(Table, table=True):
    """A customer organization. Documents keep their own frozen copy of its name and address."""

    __tablename__ = "account"
    __table_args__ = (
        _words("ix_account_words", "name", "email"),
        CheckConstraint("country ~ '^[A-Z]{2}$'", name="country_is_iso"),
        CheckConstraint("name <> ''", name="name_given"),
    )

    id: str = Field(primary_key=True)
    name: str = Field(sa_column_kwargs=personal("name"))
    type: BuyerType = Field(sa_type=text_enum(BuyerType, name="buyer_type"))
    email: str = Field(index=True, sa_column_kwargs=personal("contact"))
    line1: str = Field(sa_column_kwargs=personal("contact"))
    line2: str = Field(default="", sa_column_kwargs=personal("contact"))
    city: str = Field(sa_column_kwargs=personal("contact"))
    region: str = ""
    postcode: str = Field(sa_column_kwargs=personal("contact"))
    country: str
    time_zone: str
    locale: str = "en"
    created_at: datetime = Field(sa_type=INSTANT)


class CreditTerms(Table, table=True):
    """What staff decided about an account's invoices: a limit of its own by currency, and whether it may order so."""

    __tablename__ = "credit_terms"
    __table_args__ = (CheckConstraint("(frozen_at IS NULL) = (frozen_why = '')", name="freeze_has_its_reason"),)

    account_id: str = Field(primary_key=True, foreign_key="account.id")
    limits: dict[str, int] = Field(default_factory=dict, sa_type=JSONB)  # currency to minor units
    frozen_at: datetime | None = Field(default=None, sa_type=INSTANT)
    frozen_why: str = Field(default="", sa_column_kwargs=personal("free_text"))


class AccountTaxId(Table, table=True):
    """A tax number a customer gave us, with what its registry said last.

    `next_check_at` is when it is asked again; without one a number is asked when `checked_at` is long ago.
    """

    __tablename__ = "account_tax_id"
    __table_args__ = (
        UniqueConstraint("account_id", "type", "value"),
        Index("ix_account_tax_id_value", "value"),  # looked for in the console
        Index("ix_account_tax_id_due", "next_check_at", postgresql_where=text("next_check_at IS NOT NULL")),
        Index("ix_account_tax_id_checked_at", "checked_at"),
        CheckConstraint("status <> 'pending' OR next_check_at IS NOT NULL", name="pending_is_asked_again"),
        CheckConstraint(
            "(status = 'manual_override') = (override_by <> '') AND (override_by = '') = (override_reason = '')",
            name="override_has_person_and_reason",
        ),
        CheckConstraint("status <> 'manual_override' OR next_check_at IS NULL", name="override_is_not_asked"),
        CheckConstraint("tries >= 0", name="tries_not_negative"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id")
    type: str
    value: str = Field(sa_column_kwargs=personal("contact"))
    status: TaxIdStatus = Field(sa_type=text_enum(TaxIdStatus, name="tax_id_status"))
    checked_at: datetime | None = Field(default=None, sa_type=INSTANT)
    reference: str | None = None
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # in vain, since the last answer
    next_check_at: datetime | None = Field(default=None, sa_type=INSTANT)
    override_by: str = Field(default="", sa_column_kwargs={"server_default": ""})
    override_reason: str = Field(default="", sa_column_kwargs={"server_default": "", **personal("free_text")})


class Member(Table, table=True):
    """A person of an account, with a role."""

    __tablename__ = "member"
    __table_args__ = (
        Index("uq_member_account_email", "account_id", text("lower(email)"), unique=True),
        Index("ix_member_lower_email", text("lower(email)")),  # whom an address may act for
        _words("ix_member_words", "name", "email"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    email: str = Field(index=True, sa_column_kwargs=personal("contact"))
    name: str = Field(sa_column_kwargs=personal("name"))
    role: Role = Field(sa_type=text_enum(Role, name="role"))
    created_at: datetime = Field(sa_type=INSTANT)
    removed_at: datetime | None = Field(default=None, sa_type=INSTANT)


class Staff(Table, table=True):
    """A person of the vendor."""

    __tablename__ = "staff"

    id: str = Field(primary_key=True)
    email: str = Field(unique=True, sa_column_kwargs=personal("contact"))
    name: str = Field(sa_column_kwargs=personal("name"))
    role: StaffRole = Field(sa_type=text_enum(StaffRole, name="staff_role"))
    totp_sealed: str | None = None
    totp_last_step: int = 0  # a code is good once: steps at or before this one are refused
    created_at: datetime = Field(sa_type=INSTANT)
    removed_at: datetime | None = Field(default=None, sa_type=INSTANT)


class SignInLink(Table, table=True):
    """One e-mailed way in: a link and a code, good once for a quarter of an hour of real time."""

    __tablename__ = "sign_in_link"

    id: str = Field(primary_key=True)
    audience: Audience = Field(sa_type=text_enum(Audience, name="audience"))
    email: str = Field(index=True, sa_column_kwargs=personal("contact"))
    token_hash: str = Field(unique=True)
    code_hash: str
    browser_hash: str
    created_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)
    used_at: datetime | None = Field(default=None, sa_type=INSTANT)
    failed_codes: int = 0


class WebSession(Table, table=True):
    """A signed-in browser; removed people lose it at once because it is looked up on every request."""

    __tablename__ = "web_session"

    id: str = Field(primary_key=True)
    audience: Audience = Field(sa_type=text_enum(Audience, name="audience"))
    token_hash: str = Field(unique=True)
    email: str = Field(index=True, sa_column_kwargs=personal("contact"))
    staff_id: str | None = Field(default=None, foreign_key="staff.id")
    account_id: str | None = Field(default=None, foreign_key="account.id")
    created_at: datetime = Field(sa_type=INSTANT)
    last_seen_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)
    second_factor_at: datetime | None = Field(default=None, sa_type=INSTANT)
    revoked_at: datetime | None = Field(default=None, sa_type=INSTANT)
    ip: str = Field(default="", sa_column_kwargs=personal("network"))
    user_agent: str = Field(default="", sa_column_kwargs=personal("network"))


class ApiKey(Table, table=True):
    """A key shown once. Without an account it is the vendor's own and sees every account."""

    __tablename__ = "api_key"

    id: str = Field(primary_key=True)
    account_id: str | None = Field(default=None, foreign_key="account.id", index=True)
    name: str
    secret_hash: str = Field(unique=True)
    scopes: list[str] = Field(sa_type=JSONB)
    created_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)
    revoked_at: datetime | None = Field(default=None, sa_type=INSTANT)
    last_used_at: datetime | None = Field(default=None, sa_type=INSTANT)
    last_used_ip: str | None = Field(default=None, sa_column_kwargs=personal("network"))

    def allows(self, scope: str) -> bool:
        return scope in self.scopes or f"{scope.split(':', maxsplit=1)[0]}:*" in self.scopes or "*" in self.scopes
