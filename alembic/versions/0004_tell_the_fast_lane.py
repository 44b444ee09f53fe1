"""Tell web processes what to forget: changes to licenses, signing keys, API keys and the sandbox's clock.

What an operator must know: quick; each changed license sends one notification. Safe to run before the new version
starts, since nobody listens until then.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FUNCTIONS = """
CREATE FUNCTION tell_fast_lane() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('blp_fast', TG_ARGV[0] || ':');
  RETURN NULL;
END $$;

CREATE FUNCTION tell_fast_lane_of_license() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    PERFORM pg_notify('blp_fast', 'license:' || OLD.file_id);
  END IF;
  IF TG_OP <> 'DELETE' AND (TG_OP = 'INSERT' OR NEW.file_id <> OLD.file_id) THEN
    PERFORM pg_notify('blp_fast', 'license:' || NEW.file_id);
  END IF;
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.execute(_FUNCTIONS)
    op.execute(
        "CREATE TRIGGER told AFTER INSERT OR UPDATE OR DELETE ON license"
        " FOR EACH ROW EXECUTE FUNCTION tell_fast_lane_of_license()"
    )
    for table in ("signing_key", "sandbox_clock"):
        op.execute(
            f"CREATE TRIGGER told AFTER INSERT OR UPDATE OR DELETE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION tell_fast_lane('{table}')"
        )
    # Not when a key was merely used: that is written every minute and changes nothing.
    op.execute(
        "CREATE TRIGGER told AFTER DELETE OR UPDATE OF revoked_at, expires_at, scopes, account_id ON api_key"
        " FOR EACH STATEMENT EXECUTE FUNCTION tell_fast_lane('api_key')"
    )
