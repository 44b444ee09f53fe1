"""Workspaces know the configuration they want and the one they run; tasks know their lease and when to be tried again.

What an operator must know: quick, and safe to run before the new version starts. Adds columns with defaults, two
indexes and the sandbox provisioner's table; tasks that exist are taken to carry their workspace's configuration.
"""

import sqlalchemy as sa

from alembic import op

revision = "1040"
down_revision = "0002"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("workspace", sa.Column("size", sa.String(), nullable=False, server_default="standard"))
    op.add_column("workspace", sa.Column("version", sa.String(), nullable=False, server_default="stable"))
    op.add_column("workspace", sa.Column("running_version", sa.String(), nullable=False, server_default=""))
    op.add_column("workspace", sa.Column("license_file", sa.String(), nullable=True))
    op.add_column("workspace", sa.Column("generation", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("workspace", sa.Column("applied_generation", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("workspace", sa.Column("delete_at", _INSTANT, nullable=True))
    for name, rule in (
        ("seats_positive", "seats > 0"),
        ("applies_what_was_wanted", "applied_generation BETWEEN 0 AND generation"),
        ("deletion_is_dated", "state <> 'delete_pending' OR delete_at IS NOT NULL"),
    ):
        op.create_check_constraint(op.f(f"ck_workspace_{name}"), "workspace", rule)

    op.add_column("provisioning_task", sa.Column("generation", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("provisioning_task", sa.Column("lease_seconds", sa.Integer(), nullable=True))
    op.add_column("provisioning_task", sa.Column("not_before", _INSTANT, nullable=True))
    op.drop_constraint(op.f("ck_provisioning_task_task_state"), "provisioning_task", type_="check")
    op.create_check_constraint(
        op.f("ck_provisioning_task_task_state"),
        "provisioning_task",
        "state IN ('queued', 'claimed', 'done', 'failed', 'canceled')",
    )
    op.create_index(op.f("ix_provisioning_task_workspace_id"), "provisioning_task", ["workspace_id"])
    op.create_index(
        "ix_provisioning_task_waiting",
        "provisioning_task",
        ["id"],
        postgresql_where=sa.text("state IN ('queued', 'claimed')"),
    )

    op.create_table(
        "sandbox_provisioner",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key_sealed", sa.String(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_sandbox_provisioner_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_provisioner")),
    )
