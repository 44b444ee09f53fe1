"""Which role may do what: two tables, and nothing that is not in them (S7)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from app.accounts.models import Role, StaffRole


class Permission(StrEnum):
    """What a person of a customer may do. The words are those of API key scopes where both exist."""

    ACCOUNT_READ = "accounts:read"
    ACCOUNT_WRITE = "accounts:write"
    ORDERS_WRITE = "orders:write"
    SUBSCRIPTIONS_WRITE = "subscriptions:write"
    INVOICES_READ = "invoices:read"
    INVOICES_PAY = "invoices:pay"  # with the card that is kept; over a link anybody may pay with their own
    PAYMENT_METHODS_WRITE = "payment_methods:write"
    TAX_IDS_WRITE = "tax_ids:write"
    LICENSES_READ = "licenses:read"
    LICENSES_WRITE = "licenses:write"
    WORKSPACES_READ = "workspaces:read"
    WORKSPACES_WRITE = "workspaces:write"
    PEOPLE_WRITE = "people:write"
    KEYS_WRITE = "keys:write"
    PRIVACY_WRITE = "privacy:write"


class StaffPermission(StrEnum):
    """What the vendor's staff may do in the console."""

    CONSOLE_READ = "console:read"
    ACCOUNTS_WRITE = "accounts:write"
    ORDERS_REVIEW = "orders:review"
    SCREENING_OVERTURN = "screening:overturn"  # not for whoever lives on the deal
    QUOTES_WRITE = "quotes:write"
    QUOTES_APPROVE = "quotes:approve"
    SUBSCRIPTIONS_WRITE = "subscriptions:write"
    LICENSES_WRITE = "licenses:write"
    WORKSPACES_WRITE = "workspaces:write"
    PAYMENTS_WRITE = "payments:write"
    REFUNDS_WRITE = "refunds:write"
    REPORTS_READ = "reports:read"
    BOOKS_CLOSE = "books:close"
    PARTNERS_WRITE = "partners:write"
    PRIVACY_WRITE = "privacy:write"
    CATALOG_WRITE = "catalog:write"
    POLICIES_WRITE = "policies:write"
    TAX_WRITE = "tax:write"
    JOBS_WRITE = "jobs:write"
    WEBHOOKS_WRITE = "webhooks:write"
    SIGNING_KEYS_WRITE = "signing_keys:write"
    KEYS_WRITE = "keys:write"
    STAFF_WRITE = "staff:write"
    CLOCK_WRITE = "clock:write"


_P, _S = Permission, StaffPermission
# Everybody of an account sees what it has; who changes what follows who answers for it in a company.
_SEES: Final = frozenset({_P.ACCOUNT_READ, _P.INVOICES_READ, _P.LICENSES_READ, _P.WORKSPACES_READ})

CUSTOMER_MAY: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.OWNER: frozenset(_P),
    Role.BUYER: _SEES | {_P.ORDERS_WRITE, _P.SUBSCRIPTIONS_WRITE, _P.INVOICES_PAY},
    Role.BILLING: _SEES | {_P.ACCOUNT_WRITE, _P.INVOICES_PAY, _P.PAYMENT_METHODS_WRITE, _P.TAX_IDS_WRITE},
    Role.LICENSE_ADMIN: _SEES | {_P.LICENSES_WRITE, _P.WORKSPACES_WRITE},
    Role.VIEWER: _SEES,
}
STAFF_MAY: Final[Mapping[StaffRole, frozenset[StaffPermission]]] = {
    StaffRole.SALES: frozenset({
        _S.CONSOLE_READ, _S.ACCOUNTS_WRITE, _S.ORDERS_REVIEW, _S.QUOTES_WRITE, _S.QUOTES_APPROVE,
        _S.SUBSCRIPTIONS_WRITE, _S.PARTNERS_WRITE, _S.REPORTS_READ,
    }),
    StaffRole.SUPPORT: frozenset({
        _S.CONSOLE_READ, _S.ACCOUNTS_WRITE, _S.LICENSES_WRITE, _S.WORKSPACES_WRITE, _S.JOBS_WRITE, _S.PRIVACY_WRITE,
    }),
    StaffRole.FINANCE: frozenset({
        _S.CONSOLE_READ, _S.ORDERS_REVIEW, _S.SCREENING_OVERTURN, _S.QUOTES_APPROVE, _S.PAYMENTS_WRITE,
        _S.REFUNDS_WRITE, _S.REPORTS_READ, _S.BOOKS_CLOSE, _S.PARTNERS_WRITE, _S.TAX_WRITE,
    }),
    StaffRole.ADMIN: frozenset(_S),
}  # fmt: skip


def may(role: Role | StaffRole, permission: Permission | StaffPermission) -> bool:
    """Whether a role carries a permission. A customer's role carries none of staff's, and the other way round."""
    if isinstance(role, Role):
        return isinstance(permission, Permission) and permission in CUSTOMER_MAY[role]
    return isinstance(permission, StaffPermission) and permission in STAFF_MAY[role]


def may_touch_owners(role: Role | StaffRole) -> bool:
    """Whether a role may make somebody an owner or take that away: an owner, and staff who may change accounts."""
    return role is Role.OWNER or may(role, StaffPermission.ACCOUNTS_WRITE)
