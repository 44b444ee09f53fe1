"""Quotes as offers with revisions, papers, and agreements of single customers.

What an operator must know: quick, since only requests for quotes exist so far and they stay as they are. Run it with
the old version stopped: that one does not know offers.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_STATES = "requested draft sent viewed accepted declined expired superseded withdrawn"
_MOVES = (
    "requested>draft requested>declined requested>withdrawn draft>sent draft>withdrawn sent>viewed sent>accepted"
    " sent>declined sent>expired sent>superseded sent>withdrawn viewed>accepted viewed>declined viewed>expired"
    " viewed>superseded viewed>withdrawn accepted>superseded"
)

_FUNCTIONS = """
-- What was sent stays as it was sent; the state moves, with what belongs to a move. People can be erased from it.
CREATE FUNCTION keep_quote() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  free text[] := ARRAY['state', 'viewed_at', 'closed_at', 'closed_reason', 'order_id', 'paper_id', 'contact_name',
    'contact_email', 'note', 'message', 'internal_note'];
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'quote % is kept', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF OLD.state NOT IN ('requested', 'draft') AND (to_jsonb(NEW) - free) <> (to_jsonb(OLD) - free) THEN
    RAISE EXCEPTION 'quote % was sent as it is', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION keep_quote_line() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  owner text := CASE WHEN TG_OP = 'DELETE' THEN OLD.quote_id ELSE NEW.quote_id END;
BEGIN
  IF NOT EXISTS (SELECT FROM quote WHERE id = owner AND state IN ('requested', 'draft')) THEN
    RAISE EXCEPTION 'quote % was sent as it is', owner USING ERRCODE = 'restrict_violation';
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION keep_paper() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - 'added_by' - 'name') <> (to_jsonb(OLD) - 'added_by' - 'name') THEN
    RAISE EXCEPTION 'paper % is evidence', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- An agreement ends or is reminded of; what was agreed does not change.
CREATE FUNCTION keep_agreement() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  free text[] := ARRAY['approved_by', 'reminded_at', 'ended_at', 'ended_by', 'ended_why'];
BEGIN
  IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - free) <> (to_jsonb(OLD) - free) THEN
    RAISE EXCEPTION 'agreement % is kept', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def _enum(name: str, values: str) -> sa.Enum:
    return sa.Enum(*values.split(), name=name, native_enum=False, create_constraint=True, length=32)


def _at(name: str, *, nullable: bool = True) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def upgrade() -> None:
    _papers_and_agreements()
    op.add_column(
        "preview",
        sa.Column("source", sa.String(length=32), nullable=False, server_default="list"),
    )
    op.alter_column("preview", "source", server_default=None)
    op.create_check_constraint(op.f("ck_preview_offer_source"), "preview", "source IN ('list', 'quote')")
    _quotes()
    _parts_of_quotes()
    _rules()


def _papers_and_agreements() -> None:
    op.create_table(
        "paper",
        _text("id"),
        _text("account_id"),
        sa.Column("kind", _enum("paper_kind", "signed_quote purchase_order agreement"), nullable=False),
        _text("name"),
        _text("media_type"),
        sa.Column("size", sa.Integer(), nullable=False),
        _text("sha256"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _text("added_by"),
        _at("added_at", nullable=False),
        sa.CheckConstraint(
            "size = octet_length(content) AND size BETWEEN 1 AND 10485760", name=op.f("ck_paper_size_is_true")
        ),
        sa.CheckConstraint("sha256 = encode(sha256(content), 'hex')", name=op.f("ck_paper_hash_is_true")),
        sa.CheckConstraint(
            "media_type IN ('application/pdf', 'image/png', 'image/jpeg')", name=op.f("ck_paper_media_type_known")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_paper_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper")),
    )
    op.create_index(op.f("ix_paper_account_id"), "paper", ["account_id"])
    op.create_table(
        "custom_agreement",
        _text("id"),
        _text("account_id"),
        _text("title"),
        _text("deviations"),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("effective_to", sa.Date(), nullable=True),
        _text("paper_id"),
        _text("approved_by"),
        _text("recorded_by"),
        _at("recorded_at", nullable=False),
        _at("remind_at"),
        _at("reminded_at"),
        _at("ended_at"),
        _text("ended_by", nullable=True),
        _text("ended_why", nullable=True),
        sa.CheckConstraint(
            "effective_to IS NULL OR effective_to > effective_from", name=op.f("ck_custom_agreement_ends_after_start")
        ),
        sa.CheckConstraint(
            "title <> '' AND deviations <> '' AND approved_by <> ''", name=op.f("ck_custom_agreement_says_what_and_who")
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (ended_why IS NULL)", name=op.f("ck_custom_agreement_ended_with_reason")
        ),
        sa.CheckConstraint(
            "remind_at IS NULL OR effective_to IS NOT NULL", name=op.f("ck_custom_agreement_reminded_of_an_end")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_custom_agreement_account_id")),
        sa.ForeignKeyConstraint(["paper_id"], ["paper.id"], name=op.f("fk_custom_agreement_paper_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_custom_agreement")),
    )
    op.create_index(op.f("ix_custom_agreement_account_id"), "custom_agreement", ["account_id"])
    op.create_index(
        "ix_custom_agreement_reminding", "custom_agreement", ["remind_at"],
        postgresql_where=sa.text("reminded_at IS NULL"),
    )  # fmt: skip


def _quotes() -> None:
    op.drop_constraint(op.f("ck_quote_quote_state"), "quote", type_="check")
    listed = ", ".join(f"'{state}'" for state in _STATES.split())
    op.create_check_constraint(op.f("ck_quote_quote_state"), "quote", f"state IN ({listed})")
    op.alter_column("quote", "preview_id", nullable=True)
    # Requests that exist are card deals without a word from us; new rows say it themselves.
    for name, type_, default in (
        ("revision", sa.Integer(), "0"), ("message", sa.String(), ""), ("internal_note", sa.String(), ""),
        ("payment", sa.String(length=32), "card"),
    ):  # fmt: skip
        op.add_column("quote", sa.Column(name, type_, nullable=False, server_default=default))
        op.alter_column("quote", name, server_default=None)
    for column in (
        _text("offer_id", nullable=True), _text("number", nullable=True), _text("revises_id", nullable=True),
        sa.Column("net_days", sa.Integer(), nullable=True), sa.Column("valid_until", sa.Date(), nullable=True),
        _at("expires_at"), _text("prepared_by", nullable=True), _text("sent_by", nullable=True), _at("sent_at"),
        sa.Column("seller", postgresql.JSONB(astext_type=sa.Text()), nullable=True), _at("viewed_at"),
        _text("order_id", nullable=True), _text("paper_id", nullable=True),
    ):  # fmt: skip
        op.add_column("quote", column)
    for name, table in (("offer_id", "preview"), ("revises_id", "quote"), ("order_id", "order"), ("paper_id", "paper")):
        op.create_foreign_key(op.f(f"fk_quote_{name}"), "quote", table, [name], ["id"])
    op.create_unique_constraint(op.f("uq_quote_offer_id"), "quote", ["offer_id"])
    op.create_unique_constraint(op.f("uq_quote_order_id"), "quote", ["order_id"])
    op.create_unique_constraint(op.f("uq_quote_number_revision"), "quote", ["number", "revision"])
    op.create_index(
        "uq_quote_one_accepted", "quote", ["number"], unique=True, postgresql_where=sa.text("state = 'accepted'")
    )
    op.create_index(
        "uq_quote_one_live", "quote", ["number"], unique=True,
        postgresql_where=sa.text("state IN ('draft', 'sent', 'viewed', 'accepted')"),
    )  # fmt: skip
    op.create_index(
        "ix_quote_expiring", "quote", ["expires_at"], postgresql_where=sa.text("state IN ('sent', 'viewed')")
    )
    for name, rule in (
        ("payment_terms", "payment IN ('card', 'invoice')"),
        ("has_figures", "preview_id IS NOT NULL OR offer_id IS NOT NULL"),
        ("offered_has_number", "state IN ('requested', 'declined', 'withdrawn') OR number IS NOT NULL"),
        ("offer_is_whole", "(number IS NULL) = (offer_id IS NULL) AND (number IS NULL) = (expires_at IS NULL)"),
        ("numbered_has_revision", "(number IS NULL) = (revision = 0) AND revision >= 0"),
        ("accepted_has_order", "(state <> 'accepted') OR order_id IS NOT NULL"),
        ("invoice_has_days", "(payment = 'invoice') = (net_days IS NOT NULL)"),
        ("net_days_range", "net_days IS NULL OR net_days BETWEEN 1 AND 180"),
    ):
        op.create_check_constraint(op.f(f"ck_quote_{name}"), "quote", rule)


def _parts_of_quotes() -> None:
    minor = [sa.Column(f"{name}_minor", sa.BigInteger(), nullable=False) for name in ("unit", "list")]
    op.create_table(
        "quote_line",
        sa.Column("id", sa.BigInteger(), nullable=False),
        _text("quote_id"),
        sa.Column("position", sa.Integer(), nullable=False),
        _text("plan_id"),
        _text("sku"),
        _text("description"),
        sa.Column("quantity", sa.Integer(), nullable=False),
        *minor,
        sa.Column("discount_points", sa.Integer(), nullable=True),
        *(sa.Column(f"{name}_minor", sa.BigInteger(), nullable=False) for name in ("discount", "net", "tax")),
        sa.CheckConstraint("quantity > 0 AND unit_minor > 0", name=op.f("ck_quote_line_positive")),
        sa.CheckConstraint("discount_minor BETWEEN 0 AND list_minor", name=op.f("ck_quote_line_discount_within_line")),
        sa.CheckConstraint(
            "net_minor = list_minor - discount_minor AND tax_minor >= 0", name=op.f("ck_quote_line_adds_up")
        ),
        sa.CheckConstraint(
            "discount_points IS NULL OR discount_points BETWEEN 1 AND 10000", name=op.f("ck_quote_line_points_range")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_quote_line_plan_id")),
        sa.ForeignKeyConstraint(["quote_id"], ["quote.id"], name=op.f("fk_quote_line_quote_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quote_line")),
        sa.UniqueConstraint("quote_id", "position", name=op.f("uq_quote_line_quote_id_position")),
    )
    op.create_index(op.f("ix_quote_line_quote_id"), "quote_line", ["quote_id"])
    op.create_table(
        "quote_approval",
        sa.Column("id", sa.BigInteger(), nullable=False),
        _text("quote_id"),
        _text("offer_id"),
        sa.Column("discount_points", sa.Integer(), nullable=False),
        _text("prepared_by"),
        _text("approved_by"),
        _text("why"),
        _at("approved_at", nullable=False),
        sa.CheckConstraint("approved_by <> prepared_by", name=op.f("ck_quote_approval_by_somebody_else")),
        sa.ForeignKeyConstraint(["offer_id"], ["preview.id"], name=op.f("fk_quote_approval_offer_id")),
        sa.ForeignKeyConstraint(["quote_id"], ["quote.id"], name=op.f("fk_quote_approval_quote_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quote_approval")),
        sa.UniqueConstraint("offer_id", name=op.f("uq_quote_approval_offer_id")),
    )
    op.create_index(op.f("ix_quote_approval_quote_id"), "quote_approval", ["quote_id"])
    op.create_table(
        "quote_counter",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next_number", sa.Integer(), nullable=False),
        sa.CheckConstraint("next_number >= 1", name=op.f("ck_quote_counter_from_one")),
        sa.PrimaryKeyConstraint("year", name=op.f("pk_quote_counter")),
    )


def _rules() -> None:
    op.execute(_FUNCTIONS)
    op.execute("CREATE TRIGGER allowed_move BEFORE UPDATE ON quote FOR EACH ROW EXECUTE FUNCTION enforce_move()")
    for move in _MOVES.split():
        before, _, after = move.partition(">")
        op.execute(f"INSERT INTO state_move VALUES ('quote', '{before}', '{after}')")  # noqa: S608 -- constants
    op.execute("CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON quote FOR EACH ROW EXECUTE FUNCTION keep_quote()")
    op.execute(
        "CREATE TRIGGER kept BEFORE INSERT OR UPDATE OR DELETE ON quote_line"
        " FOR EACH ROW EXECUTE FUNCTION keep_quote_line()"
    )
    op.execute("CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON paper FOR EACH ROW EXECUTE FUNCTION keep_paper()")
    op.execute(
        "CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON custom_agreement FOR EACH ROW EXECUTE FUNCTION keep_agreement()"
    )
    op.execute(
        "CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON quote_approval"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    for table in ("quote", "quote_line", "quote_approval", "paper", "custom_agreement"):
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
