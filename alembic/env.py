"""Migrations run on the connection that `blp migrate` hands over, under its locks and timeouts."""

import app.accounts.models
import app.adapters.sandbox.models
import app.agreements.models
import app.catalog.models
import app.core.audit
import app.core.events
import app.core.idempotency
import app.core.inbox
import app.core.job_watch
import app.core.keys
import app.core.policy
import app.core.security
import app.dunning.models
import app.entitlements.models
import app.invoices.models
import app.ledger.models
import app.licenses.activation_models
import app.licenses.models
import app.licenses.trial_models
import app.licenses.usage_models
import app.orders.models
import app.payments.models
import app.quotes.models
import app.screening.models
import app.subscriptions.models
import app.surveys.models
import app.tax.models
import app.webhooks.models
import app.workspaces.models  # noqa: F401 -- every room's tables must be known to the comparison
from alembic import context
from app.core.db import metadata


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """The queue keeps and migrates its own tables."""
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def render(kind: str, item: object, _context: object) -> str | bool:
    """Write strings as SQLAlchemy's own type, so that old migrations need no SQLModel."""
    return "sa.String()" if kind == "type" and type(item).__name__ == "AutoString" else False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    include_name=ours,
    render_item=render,
    compare_type=True,
    compare_server_default=False,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
