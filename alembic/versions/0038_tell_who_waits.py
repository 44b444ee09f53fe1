"""Tell waiting workspaces of changes, and let tasks be offered to a provisioner that listens.

What an operator must know: quick; one column with a constant default. A changed license or workspace sends one more
notification; a web process of the version before forgets what it remembers at each, which costs it time only.
"""

import sqlalchemy as sa

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_FUNCTIONS = """
CREATE FUNCTION tell_who_waits_for_workspace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('blp_fast', 'workspace:' || NEW.id);
  RETURN NULL;
END $$;

CREATE FUNCTION tell_who_waits_for_license() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('blp_fast', 'subscription:' || NEW.subscription_id);
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.execute(_FUNCTIONS)
    # Not of progress and messages: nobody may do anything else because of them.
    op.execute(
        "CREATE TRIGGER told_who_waits AFTER UPDATE OF desired, state, seats, sku, license_file, delete_at ON workspace"
        " FOR EACH ROW EXECUTE FUNCTION tell_who_waits_for_workspace()"
    )
    op.execute(
        "CREATE TRIGGER told_who_waits AFTER INSERT OR UPDATE ON license"
        " FOR EACH ROW EXECUTE FUNCTION tell_who_waits_for_license()"
    )
    op.add_column("provisioning_task", sa.Column("offered", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_check_constraint(
        op.f("ck_provisioning_task_offered_is_leased"), "provisioning_task", "NOT offered OR state = 'claimed'"
    )
