"""Exemption certificates with their review, and what says where the consumer of an order is.

What an operator must know: quick; new tables, and one more kind of kept paper. Safe to run before the new
version starts.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_CERTIFICATE_CHECKS = {
    "has_a_number": "number <> ''",
    "ends_after_it_begins": "expires_on IS NULL OR expires_on >= signed_on",
    "reviewed_by_somebody_with_a_note":
        "(reviewed_at IS NULL) = (reviewed_by IS NULL) AND (reviewed_at IS NULL) = (review_note IS NULL)",
    "decided_by_a_review": "(state = 'submitted') = (reviewed_at IS NULL)",
    "rejected_with_a_reason": "state <> 'rejected' OR review_note <> ''",
    "revoked_by_somebody_who_says_why":
        "(state = 'revoked') = (revoked_at IS NOT NULL) AND (revoked_at IS NULL) = (revoked_by IS NULL)"
        " AND (revoked_at IS NULL) = (revoked_why IS NULL)",
    "accepted_to_its_end": "state <> 'accepted' OR (ends_at IS NULL) = (expires_on IS NULL)",
    "certificate_reason": "reason IN ('resale', 'government', 'nonprofit', 'education', 'direct_pay', 'other')",
    "certificate_state": "state IN ('submitted', 'accepted', 'rejected', 'revoked')",
}  # fmt: skip
_INDEXES = {
    "ix_exemption_certificate_waiting": ("submitted_at", "state = 'submitted'"),
    "ix_exemption_certificate_reminding": ("remind_at", "state = 'accepted' AND reminded_at IS NULL"),
    "ix_exemption_certificate_ending": ("ends_at", "state = 'accepted' AND end_told_at IS NULL"),
}

# What a certificate says decided the tax of documents; only what became of it changes.
_KEEP = """
CREATE FUNCTION keep_exemption_certificate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  free text[] := ARRAY['state', 'reviewed_by', 'reviewed_at', 'review_note', 'revoked_by', 'revoked_at', 'revoked_why',
                       'remind_at', 'reminded_at', 'ends_at', 'end_told_at'];
BEGIN
  IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - free) <> (to_jsonb(OLD) - free) THEN
    RAISE EXCEPTION 'exemption certificate % is kept as it is', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF (OLD.state, NEW.state) NOT IN (('submitted', 'submitted'), ('submitted', 'accepted'), ('submitted', 'rejected'),
      ('accepted', 'accepted'), ('accepted', 'revoked'), ('rejected', 'rejected'), ('revoked', 'revoked')) THEN
    RAISE EXCEPTION 'exemption certificate % cannot go from % to %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    op.drop_constraint(op.f("ck_paper_paper_kind"), "paper", type_="check")
    op.create_check_constraint(
        op.f("ck_paper_paper_kind"), "paper", "kind IN ('signed_quote', 'purchase_order', 'agreement', 'exemption')"
    )
    _certificates()
    _evidence()


def _certificates() -> None:
    op.create_table(
        "exemption_certificate",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("jurisdiction", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("paper_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("submitted_by", sa.String(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reviewed_by", sa.String(), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("review_note", sa.String(), nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_why", sa.String(), nullable=True),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_told_at", sa.DateTime(timezone=True), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("account_id"), "="),
            (sa.column("jurisdiction"), "="),
            (sa.text("daterange(signed_on, expires_on, '[]')"), "&&"),
            where=sa.text("state = 'accepted'"),
            using="gist",
            name="ex_exemption_certificate_one_at_a_time",
        ),
        *(
            sa.CheckConstraint(rule, name=op.f(f"ck_exemption_certificate_{name}"))
            for name, rule in _CERTIFICATE_CHECKS.items()
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_exemption_certificate_account_id")),
        sa.ForeignKeyConstraint(["paper_id"], ["paper.id"], name=op.f("fk_exemption_certificate_paper_id")),
        sa.UniqueConstraint("paper_id", name=op.f("uq_exemption_certificate_paper_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exemption_certificate")),
    )
    op.create_index(op.f("ix_exemption_certificate_account_id"), "exemption_certificate", ["account_id"])
    for name, (column, where) in _INDEXES.items():
        op.create_index(name, "exemption_certificate", [column], postgresql_where=sa.text(where))
    op.execute(_KEEP)
    op.execute(
        "CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON exemption_certificate"
        " FOR EACH ROW EXECUTE FUNCTION keep_exemption_certificate()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON exemption_certificate"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _evidence() -> None:
    op.create_table(
        "location_evidence",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('billing_address', 'ip', 'card', 'statement')", name=op.f("ck_location_evidence_kind_known")
        ),
        sa.CheckConstraint("country ~ '^[A-Z]{2}$'", name=op.f("ck_location_evidence_country_is_iso")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_location_evidence_order_id")),
        sa.UniqueConstraint("order_id", "kind", name=op.f("uq_location_evidence_order_id_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location_evidence")),
    )
    op.execute(
        "CREATE TRIGGER unchangeable BEFORE UPDATE OR DELETE ON location_evidence"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON location_evidence"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
