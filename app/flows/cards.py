"""Kept cards: entered on the provider's page without a charge, chosen, removed, and kept in step with the provider.

A card that was entered is charged from then on, and whatever is being collected from the account is tried with it at
once. What the provider tells in events is fetched before it is believed, like everything else.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.accounts import service as accounts
from app.core import audit, events, jobs
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.i18n import translate
from app.dunning import service as dunning
from app.flows.ports import Ports
from app.payments import methods
from app.payments.models import CardSetup, PaymentMethod, SetupState
from app.payments.provider import CardRequest, Outcome, SavedMethod, SetupReport

PROVIDER: Final = "provider"
TOKEN: Final = "card-setup"  # noqa: S105 -- the label of a derived key: whoever holds the link sees what became of it
_PAGE_LIVES: Final = timedelta(hours=23)
_SAME_PAGE: Final = timedelta(hours=22)
_ASK_AFTER: Final = timedelta(minutes=10)


def consent(ports: Ports, locale: str) -> str:
    """What the owner of a card agrees to, in their language, beside the button that binds."""
    _ = translate(locale)
    return _(
        "You let %(vendor)s keep this card and charge it for renewals that you agreed to. Change or remove it in your"
        " account at any time.", vendor=ports.vendor_name,
    )  # fmt: skip


def begin(ports: Ports, account_id: str, *, by: str, run_id: str | None = None) -> CardSetup:
    """Open the provider's page on which a card is entered to be kept; a second click gets the same page.

    `run_id` is the collection whose link led here. Raises PaymentUnavailable, PaymentRefused.
    """
    with ports.db.transaction() as tx:
        account = accounts.get(tx, account_id)
        methods.take_turns(tx, account_id)
        now = transport_now()
        row = methods.open_setup(tx, account_id, ports.payments.name, run_id, now - _SAME_PAGE)
        row = row or methods.intend(tx, account_id, ports.payments.name, run_id=run_id, by=by, now=now)
        known = methods.charged_first(tx, account_id, ports.payments.name)
    if row.redirect_url is not None:
        return row
    page = ports.link(f"/cards/{ports.secrets.sign_token(TOKEN, row.id)}")
    opened = ports.payments.start_card_setup(
        CardRequest(
            setup_id=row.id, customer_ref=known.customer_ref if known else None, customer_email=account.email,
            consent=consent(ports, account.locale), success_url=page, cancel_url=page,
            expires_at=row.created_at + _PAGE_LIVES,
        )
    )  # fmt: skip
    with ports.db.transaction() as tx:
        row = methods.setup(tx, row.id, lock=True)
        if row.state is SetupState.UNKNOWN:
            row.state, row.provider_ref = SetupState.PENDING, opened.ref
            row.redirect_url, row.updated_at = opened.url, transport_now()
    return row


def behind(tx: Tx, ports: Ports, token: str) -> CardSetup:
    """Raises NotFound for a token that was not made here."""
    setup_id = ports.secrets.read_token(TOKEN, token)
    if setup_id is None:
        raise NotFound("There is no such page.")
    return methods.setup(tx, setup_id)


def settle(ports: Ports, setup_id: str) -> str:
    """Ask the provider what became of a card and act on it: for the sweep, the returning owner, a lost event."""
    with ports.db.transaction() as tx:
        row = methods.setup(tx, setup_id, lock=True)
        if row.provider_ref is None and row.state is SetupState.UNKNOWN:
            # Nobody was led to a page, so there is nothing to ask for.
            row.state, row.updated_at = SetupState.EXPIRED, transport_now()
        if row.state is not SetupState.PENDING or row.provider_ref is None:
            return "known"
        ref = row.provider_ref
    report = ports.payments.report_setup(ref)
    with ports.db.transaction() as tx:
        return apply(tx, ports, report)


def apply(tx: Tx, ports: Ports, report: SetupReport) -> str:
    """Move a setup to what the provider reports; says what was done, in a word. Told twice, it is done once."""
    row = methods.setup(tx, report.setup_id, lock=True)
    if row.state is SetupState.SUCCEEDED:
        return "known"
    row.updated_at = transport_now()
    if report.outcome is Outcome.EXPIRED:
        row.state = SetupState.EXPIRED
        return "expired"
    if report.outcome is Outcome.SUCCEEDED and report.method is None:
        row.state = SetupState.EXPIRED
        return "forgotten"  # entered, and removed at the provider before we heard of it
    if report.outcome is not Outcome.SUCCEEDED or report.method is None:
        row.failure_code = report.failure_code
        return "declined" if report.failure_code else "pending"
    now = ports.clock.now()
    kept = methods.keep(tx, row.account_id, row.provider, report.method, transport_now())
    row.state, row.method_id, row.failure_code = SetupState.SUCCEEDED, kept.id, None
    tx.flush()
    _tell(tx, ports, kept, "payment_method.kept", row.requested_by)
    for step_id in dunning.try_at_once(tx, row.account_id, kept.method_ref, now):
        jobs.defer(tx, "dunning.take_step", lock=row.account_id, once=f"dunning:{step_id}", step_id=step_id)
    return "kept"


def choose(ports: Ports, account_id: str, method_id: str, *, by: str) -> PaymentMethod:
    """Charge this card for renewals from now on. Raises NotFound for a foreign or removed one."""
    with ports.db.transaction() as tx:
        row = _own(tx, account_id, method_id)
        methods.make_default(tx, row)
        _tell(tx, ports, row, "payment_method.chosen", by)
    return row


def remove(ports: Ports, account_id: str, method_id: str, *, by: str) -> PaymentMethod:
    """Never charge this card again, and have the provider forget it. Raises NotFound for a foreign or removed one.

    Where it was the one that is charged, the youngest of the others is from now on.
    """
    with ports.db.transaction() as tx:
        row = _own(tx, account_id, method_id)
        _drop(tx, ports, row, by)
        jobs.defer(tx, forget, method_ref=row.method_ref)
    return row


@jobs.job("payments.forget_method", retry=jobs.Retry(attempts=12, first=10))
def forget(ports: Ports, *, method_ref: str) -> None:
    """Have the provider forget a card; again changes nothing."""
    ports.payments.forget_method(method_ref)


@jobs.job("payments.ask_about_cards", every="*/5 * * * *", retry=jobs.Retry(attempts=1))
def ask_about_open(ports: Ports) -> None:
    """Events get lost: ask about every card whose page nobody told us about for ten minutes."""
    with ports.db.transaction() as tx:
        for setup_id in methods.open_setups(tx, ports.payments.name, transport_now() - _ASK_AFTER):
            jobs.defer(tx, settle_later, once=f"card_setup:{setup_id}", setup_id=setup_id)


@jobs.job("payments.settle_card", retry=jobs.Retry(attempts=3, first=60))
def settle_later(ports: Ports, *, setup_id: str) -> None:
    settle(ports, setup_id)


# --- what the provider tells of cards it keeps


@dataclass(frozen=True, slots=True)
class MethodReport:
    """A card as the provider knows it now; `method` is None once it is forgotten there."""

    method_ref: str
    method: SavedMethod | None


def fetch(ports: Ports, method_ref: str) -> MethodReport:
    """Raises NotFound for a card that is not ours, without asking."""
    with ports.db.transaction() as tx:
        if methods.by_ref(tx, ports.payments.name, method_ref) is None:
            raise NotFound("This card is not kept here.")
    return MethodReport(method_ref, ports.payments.report_method(method_ref))


def apply_method(tx: Tx, ports: Ports, report: MethodReport) -> str:
    """A card was forgotten there, or its number or expiry is another one now."""
    row = methods.by_ref(tx, ports.payments.name, report.method_ref)
    if row is None:
        return "not_ours"
    methods.take_turns(tx, row.account_id)
    tx.refresh(row)
    if row.removed_at is not None:
        return "known"
    if report.method is None:
        _drop(tx, ports, row, PROVIDER)
        return "removed"
    if not methods.refresh(row, report.method):
        return "known"
    _tell(tx, ports, row, "payment_method.updated", PROVIDER)
    return "updated"


def _own(tx: Tx, account_id: str, method_id: str) -> PaymentMethod:
    methods.take_turns(tx, account_id)
    row = tx.get(PaymentMethod, method_id, populate_existing=True)
    if row is None or row.account_id != account_id or row.removed_at is not None:
        raise NotFound("There is no such card in this account.", param="method_id")
    return row


def _drop(tx: Tx, ports: Ports, row: PaymentMethod, by: str) -> None:
    row.removed_at, row.is_default = transport_now(), False
    tx.flush()
    _tell(tx, ports, row, "payment_method.removed", by)


def _tell(tx: Tx, ports: Ports, row: PaymentMethod, word: str, by: str) -> None:
    now = ports.clock.now()
    events.append(tx, word, row.id, now=now, account_id=row.account_id, label=row.label)
    audit.record(tx, row.account_id, actor=by, action=word, subject=row.id, now=now, details={"label": row.label})
