"""Everything personal that is kept about an account, as JSON for the person who asks (GDPR Art. 15 and 20, CCPA).

What is personal is said by the tables themselves (`core.db.personal`). Every table with such a column is listed here
with the way it belongs to an account, or left out with the reason; a test holds the list against the tables.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, func, select

from app.core.db import Tx, metadata
from app.privacy import personal


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks, for which account."""

    account_id: str
    email: str


# Rows that carry the account's id themselves.
BY_ACCOUNT: Final = frozenset({
    "acceptance", "api_key", "credit_note", "credit_terms", "custom_agreement", "dunning_run", "event", "invoice",
    "license", "member", "order", "paper", "preview", "quote", "refund", "subscription", "workspace", "account_tax_id",
    "exemption_certificate", "merged_license", "ownership_attestation", "license_activation",
    "license_activation_limit", "trial", "usage_report",
})  # fmt: skip
# Rows about one person, which nobody else of the account is shown: by the column with the address.
BY_PERSON: Final[Mapping[str, str]] = {
    "sign_in_link": "email", "web_session": "email", "survey_invitation": "person_email",
}  # fmt: skip
# Rows that belong to another row: (its table, the column that points there).
BY_PARENT: Final[Mapping[str, tuple[str, str]]] = {
    "survey_response": ("survey_invitation", "invitation_id"), "survey_fetch": ("survey_invitation", "invitation_id"),
    "provisioning_task": ("workspace", "workspace_id"),
    "quote_approval": ("quote", "quote_id"), "location_evidence": ("order", "order_id"),
}  # fmt: skip
# Rows that a row of the account points at, or shares a value with: (their column, its table, its column).
BY_MENTION: Final[Mapping[str, tuple[str, str, str]]] = {
    "tax_determination": ("id", "preview", "tax_determination_id"),
    "tax_id_check": ("value", "account_tax_id", "value"),
}
# Left out, and why.
LEFT_OUT: Final[Mapping[str, str]] = {
    "issued_document": "the papers drawn from the invoices and credit notes above; each has its own download",
    "idempotency_record": "answers to API calls, kept for a time so that a repeated call gets the same one",
    "inbox_event": "the payment provider's own messages; the provider answers for them",
    "staff": "the vendor's own people",
    "screening_case": "names compared with export lists, kept because the law asks for it and not told (GDPR Art. 23)",
    "screening_check": "the same, what was asked and found",
    "screening_decision": "the same, what a person decided about it",
}
_OUTSIDE: Final = "sandbox_"  # tables of the outside parties that a sandbox plays
# Secrets and their traces say nothing about a person and would open doors.
_NEVER: Final = frozenset({
    "token_hash", "code_hash", "browser_hash", "secret_hash", "person_hash", "signature", "totp_sealed",
    "reply_sealed",  # what a public registry told; what we made of it stands beside it
})  # fmt: skip


def personal_tables() -> dict[str, list[str]]:
    """Every table of ours with personal columns, and these."""
    found: dict[str, list[str]] = {}
    for tagged in personal.columns():
        if not tagged.table.startswith(_OUTSIDE):
            found.setdefault(tagged.table, []).append(tagged.column)
    return found


def export(tx: Tx, reader: Reader, now: datetime) -> dict[str, Any]:
    """One list of rows per table, oldest first, each whole; instants and dates as ISO 8601."""
    tables = {name: list(_rows(tx, name, reader)) for name in sorted(personal_tables()) if name not in LEFT_OUT}
    return {
        "exported_at": now.isoformat(), "account": reader.account_id, "asked_by": reader.email,
        "personal_columns": {name: columns for name, columns in sorted(personal_tables().items()) if name in tables},
        "left_out": dict(LEFT_OUT), "tables": {name: rows for name, rows in tables.items() if rows},
    }  # fmt: skip


def _rows(tx: Tx, name: str, reader: Reader) -> Iterator[dict[str, Any]]:
    table = metadata.tables[name]
    query = select(table).where(_belongs(table, reader)).order_by(*table.primary_key.columns)
    for row in tx.execute(query).mappings():
        yield {key: _plain(value) for key, value in row.items() if key not in _NEVER}


def _belongs(table: Table, reader: Reader) -> ColumnElement[bool]:
    """How a row belongs to the reader. Raises KeyError for a table that nobody has thought about yet."""
    name = table.name
    if name == "account":
        return table.c.id == reader.account_id
    if name == "audit_entry":
        return table.c.chain == reader.account_id
    if name in BY_ACCOUNT:
        return table.c.account_id == reader.account_id
    if name in BY_PERSON:
        return _is_reader(table.c[BY_PERSON[name]], reader)
    if name in BY_MENTION:
        mine, other, column = BY_MENTION[name]
        there = metadata.tables[other]
        return table.c[mine].in_(select(there.c[column]).where(_belongs(there, reader)))
    parent, column = BY_PARENT[name]
    above = metadata.tables[parent]
    return table.c[column].in_(select(above.c.id).where(_belongs(above, reader)))


def _is_reader(column: Column[Any], reader: Reader) -> ColumnElement[bool]:
    return func.lower(column) == reader.email.lower()


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case Enum():
            return value.value
        case datetime() | date():
            return value.isoformat()
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return b64encode(value).decode() if isinstance(value, bytes) else str(value)
