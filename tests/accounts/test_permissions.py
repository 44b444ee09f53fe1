"""Which role may do what: the whole table, so that a change of it is seen (S7)."""

import pytest

from app.accounts.models import Role, StaffRole
from app.accounts.permissions import CUSTOMER_MAY, STAFF_MAY, Permission, StaffPermission, may, may_touch_owners

READS = {Permission.ACCOUNT_READ, Permission.INVOICES_READ, Permission.LICENSES_READ, Permission.WORKSPACES_READ}


def test_every_role_is_in_the_table_and_sees_what_the_account_has() -> None:
    assert set(CUSTOMER_MAY) == set(Role)
    assert set(STAFF_MAY) == set(StaffRole)
    for role in Role:
        assert all(may(role, permission) for permission in READS), role
    assert all(may(role, StaffPermission.CONSOLE_READ) for role in StaffRole)


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        (Permission.ORDERS_WRITE, {Role.OWNER, Role.BUYER}),
        (Permission.SUBSCRIPTIONS_WRITE, {Role.OWNER, Role.BUYER}),
        (Permission.PAYMENT_METHODS_WRITE, {Role.OWNER, Role.BILLING}),
        (Permission.TAX_IDS_WRITE, {Role.OWNER, Role.BILLING}),
        (Permission.ACCOUNT_WRITE, {Role.OWNER, Role.BILLING}),
        (Permission.LICENSES_WRITE, {Role.OWNER, Role.LICENSE_ADMIN}),
        (Permission.WORKSPACES_WRITE, {Role.OWNER, Role.LICENSE_ADMIN}),
        (Permission.PEOPLE_WRITE, {Role.OWNER}),
        (Permission.KEYS_WRITE, {Role.OWNER}),
        (Permission.PRIVACY_WRITE, {Role.OWNER}),
    ],
)
def test_a_customer_changes_only_what_the_role_answers_for(permission: Permission, roles: set[Role]) -> None:
    assert {role for role in Role if may(role, permission)} == roles


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        (StaffPermission.REFUNDS_WRITE, {StaffRole.FINANCE, StaffRole.ADMIN}),
        (StaffPermission.PAYMENTS_WRITE, {StaffRole.FINANCE, StaffRole.ADMIN}),
        (StaffPermission.BOOKS_CLOSE, {StaffRole.FINANCE, StaffRole.ADMIN}),
        (StaffPermission.QUOTES_WRITE, {StaffRole.SALES, StaffRole.ADMIN}),
        (StaffPermission.LICENSES_WRITE, {StaffRole.SUPPORT, StaffRole.ADMIN}),
        (StaffPermission.POLICIES_WRITE, {StaffRole.ADMIN}),
        (StaffPermission.SIGNING_KEYS_WRITE, {StaffRole.ADMIN}),
        (StaffPermission.STAFF_WRITE, {StaffRole.ADMIN}),
    ],
)
def test_staff_change_only_what_the_role_answers_for(permission: StaffPermission, roles: set[StaffRole]) -> None:
    assert {role for role in StaffRole if may(role, permission)} == roles


def test_neither_side_carries_a_permission_of_the_other() -> None:
    """S7: deny by default, and the same words on the other side of the counter mean nothing here."""
    assert not any(may(role, permission) for role in Role for permission in StaffPermission)
    assert not any(may(role, permission) for role in StaffRole for permission in Permission)


def test_owners_are_made_by_owners_and_by_staff_who_may_change_accounts() -> None:
    """S7: only owners can grant owner."""
    assert {role for role in [*Role, *StaffRole] if may_touch_owners(role)} == {
        Role.OWNER, StaffRole.ADMIN, StaffRole.SALES, StaffRole.SUPPORT,
    }  # fmt: skip
