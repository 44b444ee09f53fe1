"""Price models, terms of several years and coupons.

What an operator must know: quick; new columns have defaults, so old code keeps working and past lines stay what they
were (one unit price, one interval, no discount). Safe to run before the new version starts.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_JSONB = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
_LINES = ("order_line", "invoice_line", "subscription_line")
_MOVES = "reserved>redeemed reserved>released released>redeemed"


def upgrade() -> None:
    _price_models()
    _priced_lines()
    _coupons()


def _price_models() -> None:
    kinds = sa.Enum(
        "flat", "per_unit", "graduated", "volume", "package", name="price_model", native_enum=False,
        create_constraint=True, length=32,
    )  # fmt: skip
    op.add_column("price", sa.Column("model", kinds, server_default="per_unit", nullable=False))
    nothing = sa.text("'[]'::jsonb")
    op.add_column("price", sa.Column("tiers", postgresql.JSONB(), server_default=nothing, nullable=False))
    op.add_column("price", sa.Column("package_size", sa.Integer(), nullable=True))
    op.add_column("price", sa.Column("base_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.drop_constraint(op.f("ck_price_unit_positive"), "price")
    for name, rule in (
        ("amounts_not_negative", "unit_minor >= 0 AND base_minor >= 0"),
        ("tiered_has_tiers", "(model IN ('graduated', 'volume')) = (jsonb_array_length(tiers) > 0)"),
        (
            "package_has_size",
            "(model = 'package') = (package_size IS NOT NULL) AND coalesce(package_size, 1) > 0",
        ),
    ):
        op.create_check_constraint(op.f(f"ck_price_{name}"), "price", rule)


def _priced_lines() -> None:
    for table in _LINES:
        op.add_column(table, sa.Column("pricing", _JSONB, nullable=True))
        op.add_column(table, sa.Column("intervals", sa.Integer(), server_default="1", nullable=False))
    for table in ("order_line", "invoice_line"):
        op.add_column(table, sa.Column("discount_minor", sa.BigInteger(), server_default="0", nullable=False))
    for table in ("preview", "order", "invoice"):
        op.add_column(table, sa.Column("discount", _JSONB, nullable=True))
    op.drop_constraint(op.f("ck_order_line_amounts_not_negative"), "order_line")
    op.drop_constraint(op.f("ck_subscription_line_amounts"), "subscription_line")
    for table, name, rule in (
        (
            "order_line", "amounts_not_negative",
            "unit_minor >= 0 AND net_minor >= 0 AND tax_minor >= 0 AND discount_minor >= 0",
        ),
        ("order_line", "intervals_positive", "intervals > 0"),
        ("invoice_line", "priced", "intervals > 0 AND discount_minor >= 0"),
        ("subscription_line", "amounts", "quantity > 0 AND unit_minor >= 0 AND net_minor >= 0 AND intervals > 0"),
    ):  # fmt: skip
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, rule)


def _coupons() -> None:
    durations = sa.Enum(
        "once", "repeating", "forever", name="coupon_duration", native_enum=False, create_constraint=True, length=32
    )
    states = sa.Enum(
        "reserved", "redeemed", "released", name="redemption_state", native_enum=False, create_constraint=True,
        length=32,
    )  # fmt: skip
    op.create_table(
        "coupon",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("percent", sa.Numeric(precision=12, scale=9), nullable=True),
        sa.Column("amounts", postgresql.JSONB(), nullable=False),
        sa.Column("duration", durations, nullable=False),
        sa.Column("months", sa.Integer(), nullable=True),
        sa.Column("max_redemptions", sa.Integer(), nullable=True),
        sa.Column("plans", postgresql.JSONB(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("code ~ '^[A-Z0-9][A-Z0-9_-]{1,39}$'", name=op.f("ck_coupon_code_is_plain")),
        sa.CheckConstraint("(percent IS NULL) <> (amounts = '{}'::jsonb)", name=op.f("ck_coupon_percent_or_amounts")),
        sa.CheckConstraint("percent > 0 AND percent <= 100", name=op.f("ck_coupon_percent_in_range")),
        sa.CheckConstraint(
            "(duration = 'repeating') = (months IS NOT NULL) AND coalesce(months, 1) > 0", name=op.f("ck_coupon_months")
        ),
        sa.CheckConstraint("max_redemptions > 0", name=op.f("ck_coupon_can_be_redeemed")),
        sa.CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_coupon_ends_after_start")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon")),
        sa.UniqueConstraint("code", name=op.f("uq_coupon_code")),
    )
    op.create_table(
        "coupon_redemption",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("coupon_id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("state", states, nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_coupon_redemption_currency_is_iso")),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_coupon_redemption_amount_not_negative")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_coupon_redemption_account_id")),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name=op.f("fk_coupon_redemption_coupon_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_coupon_redemption_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon_redemption")),
        sa.UniqueConstraint("order_id", name=op.f("uq_coupon_redemption_order_id")),
    )
    for column in ("account_id", "coupon_id"):
        op.create_index(op.f(f"ix_coupon_redemption_{column}"), "coupon_redemption", [column], unique=False)
    op.add_column("subscription", sa.Column("coupon_id", sa.String(), nullable=True))
    op.add_column("subscription", sa.Column("coupon_until", sa.Date(), nullable=True))
    op.create_foreign_key(op.f("fk_subscription_coupon_id"), "subscription", "coupon", ["coupon_id"], ["id"])
    op.execute(
        "CREATE TRIGGER allowed_move BEFORE UPDATE ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION enforce_move()"
    )
    for move in _MOVES.split():
        before, _, after = move.partition(">")
        op.execute(f"INSERT INTO state_move VALUES ('coupon_redemption', '{before}', '{after}')")  # noqa: S608 -- constants
