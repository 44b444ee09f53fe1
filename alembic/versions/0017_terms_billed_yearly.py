"""Terms of several years that are billed yearly, each further year as an order of its own.

What an operator must know: quick; every term so far was paid at once, and stays so. Run it with the old version
stopped: that one would take the years for purchases.
"""

import sqlalchemy as sa

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("order", "preview"):
        op.add_column(table, sa.Column("committed_minor", sa.BigInteger(), nullable=True))
        op.drop_constraint(op.f(f"ck_{table}_kind"), table, type_="check")
        op.create_check_constraint(
            op.f(f"ck_{table}_kind"), table, "kind IN ('purchase', 'renewal', 'expansion', 'instalment')"
        )
    op.drop_constraint(op.f("ck_subscription_term_term_kind"), "subscription_term", type_="check")
    op.create_check_constraint(
        op.f("ck_subscription_term_term_kind"), "subscription_term", "kind IN ('purchase', 'renewal', 'instalment')"
    )
    op.create_index(
        "uq_order_instalment_of_year", "order", ["subscription_id", "term_starts_on"], unique=True,
        postgresql_where=sa.text("kind = 'instalment' AND state NOT IN ('expired', 'canceled')"),
    )  # fmt: skip
    op.add_column("subscription", sa.Column("billed_until", sa.Date(), nullable=True))
    op.create_check_constraint(
        op.f("ck_subscription_billed_within_the_term"),
        "subscription",
        "billed_until > starts_on AND billed_until <= ends_on",
    )
    op.create_index(
        "ix_subscription_to_bill", "subscription", ["billed_until"],
        postgresql_where=sa.text("billed_until < ends_on"),
    )  # fmt: skip
