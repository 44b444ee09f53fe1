"""Find accounts by a part of a name or an address without reading whole tables.

What an operator must know: creates the extension pg_trgm, which comes with PostgreSQL and which the owner of the
database may create. Building the indexes blocks writes to account, member, account_tax_id and order while it lasts,
seconds for a hundred thousand rows. Old code goes on working.
"""

import sqlalchemy as sa

from alembic import op

revision = "0009"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    for table in ("account", "member"):
        op.create_index(
            f"ix_{table}_words", table, ["name", "email"], postgresql_using="gin",
            postgresql_ops={"name": "gin_trgm_ops", "email": "gin_trgm_ops"},
        )  # fmt: skip
    op.create_index("ix_account_tax_id_value", "account_tax_id", ["value"])
    op.create_index("ix_order_po_number", "order", ["po_number"], postgresql_where=sa.text("po_number <> ''"))
    op.create_index("ix_order_lower_buyer_email", "order", [sa.text("lower(buyer_email)")])
