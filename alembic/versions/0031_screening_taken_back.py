"""Decisions of screening that can be taken back, what was parked because of them, and how plans are classified.

What an operator must know: quick; new tables, of which one is filled from the cases that were decided, and a column
with a default. Subscriptions that wait because of a case now are not known as such: bill them again by hand.
"""

import sqlalchemy as sa

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_MOVES = "('open', 'open'), ('open', 'cleared'), ('open', 'confirmed'), ('confirmed', 'cleared'), ('cleared', 'open')"
# What was compared stands for good; a decision changes only by another decision.
_KEEPS = f"""
CREATE OR REPLACE FUNCTION keeps_screening_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.account_id, OLD.normalized, OLD.entry_id, OLD.entry_hash, OLD.entry, OLD.score)
    IS DISTINCT FROM (NEW.account_id, NEW.normalized, NEW.entry_id, NEW.entry_hash, NEW.entry, NEW.score) THEN
    RAISE EXCEPTION 'screening case % is about something else', OLD.id USING ERRCODE = 'check_violation';
  END IF;
  IF (OLD.state, NEW.state) NOT IN ({_MOVES}) THEN
    RAISE EXCEPTION 'screening case % cannot go from % to %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""
_BACKFILL = """
INSERT INTO screening_decision (case_id, decision, decided_by, reason, decided_at)
SELECT id, CASE state WHEN 'cleared' THEN 'clear' ELSE 'confirm' END, decided_by, reason, decided_at
FROM screening_case WHERE state <> 'open' ORDER BY decided_at, id
"""


def upgrade() -> None:
    _decisions()
    op.add_column(
        "subscription", sa.Column("parked_by_screening", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    _export_classes()
    _attestations()
    op.create_check_constraint(
        op.f("ck_subscription_parked_by_screening_is_parked"), "subscription",
        "NOT parked_by_screening OR parked_at IS NOT NULL",
    )  # fmt: skip


def _export_classes() -> None:
    op.create_table(
        "export_class",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("plan_id", sa.String(), nullable=False),
        sa.Column("eccn", sa.String(), nullable=False),
        sa.Column("authorisation", sa.String(), nullable=False),
        sa.Column("ccats", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("eccn <> '' AND authorisation <> ''", name=op.f("ck_export_class_says_what_it_is")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_export_class_plan_id")),
        sa.UniqueConstraint("plan_id", "valid_from", name=op.f("uq_export_class_plan_id_valid_from")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_class")),
    )
    _kept("export_class")


def _attestations() -> None:
    op.create_table(
        "ownership_attestation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=True),
        *(
            sa.Column(name, sa.String(), nullable=False)
            for name in ("text", "text_version", "text_sha256", "person_name", "person_email", "company", "ip",
                         "user_agent", "recorded_by", "note")
        ),
        sa.Column("attested_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "text <> '' AND person_name <> '' AND recorded_by <> ''",
            name=op.f("ck_ownership_attestation_says_what_and_who"),
        ),
        sa.CheckConstraint(
            "text_sha256 = encode(sha256(convert_to(text, 'UTF8')), 'hex')",
            name=op.f("ck_ownership_attestation_hash_is_true"),
        ),
        sa.CheckConstraint(
            "order_id IS NOT NULL OR note <> ''", name=op.f("ck_ownership_attestation_with_an_order_or_a_note")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_ownership_attestation_account_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_ownership_attestation_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ownership_attestation")),
    )  # fmt: skip
    op.create_index(op.f("ix_ownership_attestation_order_id"), "ownership_attestation", ["order_id"])
    op.create_index("ix_ownership_attestation_latest", "ownership_attestation", ["account_id", "attested_at"])
    _kept("ownership_attestation")


def _kept(table: str) -> None:
    """What is written stays as it is."""
    op.execute(
        f"CREATE TRIGGER unchangeable BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _decisions() -> None:
    op.create_table(
        "screening_decision",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "decision IN ('clear', 'confirm', 'overturn', 'reopen')", name=op.f("ck_screening_decision_decision")
        ),
        sa.CheckConstraint(
            "decided_by <> '' AND reason <> ''", name=op.f("ck_screening_decision_has_person_and_reason")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["screening_case.id"], name=op.f("fk_screening_decision_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screening_decision")),
    )
    op.create_index(op.f("ix_screening_decision_case_id"), "screening_decision", ["case_id"])
    op.execute(_BACKFILL)
    _kept("screening_decision")
    op.execute(_KEEPS)
