"""Trials of servers, licenses that nobody bought, and reports of how many use one.

What an operator must know: quick; two new tables, and a column with a default on licenses, two of whose columns may be
empty from now on. Safe to run before the new version starts.
"""

import sqlalchemy as sa

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("license", sa.Column("trial", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.alter_column("license", "subscription_id", nullable=True)
    op.alter_column("license", "order_id", nullable=True)
    op.create_check_constraint(
        op.f("ck_license_trial_or_bought"), "license",
        "trial = (subscription_id IS NULL) AND trial = (order_id IS NULL)",
    )  # fmt: skip
    _trials()
    _reports()


def _trials() -> None:
    op.create_table(
        "trial",
        *(
            sa.Column(name, sa.String(), nullable=False)
            for name in ("id", "account_id", "license_id", "terms_id", "server_id", "email", "email_domain",
                         "person_name", "company", "country", "locale", "site_name", "site_url", "server_version", "ip",
                         "given_by", "reason")
        ),
        sa.Column("order_id", sa.String(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("door", sa.String(length=32), nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("users_asked", sa.Integer(), nullable=False),
        sa.Column("wants_mail", sa.Boolean(), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.Column("ends_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.CheckConstraint("users > 0", name=op.f("ck_trial_users_positive")),
        sa.CheckConstraint("ends_at > started_at", name=op.f("ck_trial_ends_after_start")),
        sa.CheckConstraint("country ~ '^[A-Z]{2}$'", name=op.f("ck_trial_country_is_iso")),
        sa.CheckConstraint("server_id ~ '^[A-Za-z0-9_.:-]{1,64}$'", name=op.f("ck_trial_server_id_form")),
        sa.CheckConstraint("(state = 'started') = (ended_at IS NULL)", name=op.f("ck_trial_ended_has_instant")),
        sa.CheckConstraint(
            "state <> 'converted' OR order_id IS NOT NULL", name=op.f("ck_trial_converted_by_an_order")
        ),
        sa.CheckConstraint(
            "(door = 'staff') = (given_by <> '' AND reason <> '')", name=op.f("ck_trial_given_with_a_reason")
        ),
        sa.CheckConstraint("state IN ('started', 'expired', 'converted')", name=op.f("ck_trial_trial_state")),
        sa.CheckConstraint("door IN ('server', 'portal', 'staff')", name=op.f("ck_trial_trial_door")),
        *(
            sa.ForeignKeyConstraint([column], [other], name=op.f(f"fk_trial_{column}"))
            for column, other in (("account_id", "account.id"), ("license_id", "license.id"), ("order_id", "order.id"),
                                  ("terms_id", "terms_version.id"))
        ),
        sa.UniqueConstraint("license_id", name=op.f("uq_trial_license_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial")),
    )  # fmt: skip
    for column in ("account_id", "order_id", "email", "email_domain"):
        op.create_index(op.f(f"ix_trial_{column}"), "trial", [column])
    for name, column, where in (
        ("uq_trial_server_ever", "server_id", "door <> 'staff'"),
        ("uq_trial_server_live", "server_id", "state = 'started'"),
    ):
        op.create_index(name, "trial", [column], unique=True, postgresql_where=sa.text(where))
    op.create_index("ix_trial_to_end", "trial", ["ends_at"], postgresql_where=sa.text("state = 'started'"))
    op.execute("CREATE TRIGGER allowed_move BEFORE UPDATE ON trial FOR EACH ROW EXECUTE FUNCTION enforce_move()")
    for before, after in (("started", "expired"), ("started", "converted"), ("expired", "converted")):
        op.execute(f"INSERT INTO state_move VALUES ('trial', '{before}', '{after}')")  # noqa: S608 -- constants


def _reports() -> None:
    op.create_table(
        "usage_report",
        *(
            sa.Column(name, sa.String(), nullable=False)
            for name in ("id", "account_id", "subscription_id", "license_id", "server_id", "attested_by", "text_sha256")
        ),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("period_from", sa.Date(), nullable=False),
        sa.Column("period_to", sa.Date(), nullable=False),
        sa.Column("active_users", sa.Integer(), nullable=False),
        sa.Column("received_at", _INSTANT, nullable=False),
        sa.CheckConstraint("active_users >= 0", name=op.f("ck_usage_report_users_not_negative")),
        sa.CheckConstraint("period_to > period_from", name=op.f("ck_usage_report_ends_after_start")),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_usage_report_sequence_positive")),
        sa.CheckConstraint(
            "(source = 'customer') = (attested_by <> '')", name=op.f("ck_usage_report_a_count_is_attested")
        ),
        sa.CheckConstraint("source IN ('product', 'file', 'customer')", name=op.f("ck_usage_report_reported_by")),
        *(
            sa.ForeignKeyConstraint([f"{other}_id"], [f"{other}.id"], name=op.f(f"fk_usage_report_{other}_id"))
            for other in ("account", "subscription", "license")
        ),
        sa.UniqueConstraint(
            "subscription_id", "server_id", "sequence", name=op.f("uq_usage_report_subscription_id_server_id_sequence")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_report")),
    )
    for column in ("account_id", "license_id"):
        op.create_index(op.f(f"ix_usage_report_{column}"), "usage_report", [column])
    op.create_index("ix_usage_report_newest", "usage_report", ["subscription_id", "period_to", "id"])
    op.execute(
        "CREATE TRIGGER unchangeable BEFORE UPDATE OR DELETE ON usage_report"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON usage_report"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
