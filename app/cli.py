"""The `blp` command."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from app.config import Misconfigured, Settings, load
from app.core import embedded_postgres, keys, logging, migrate
from app.core.clock import transport_now
from app.core.db import Database
from app.core.errors import DomainError, NotFound
from app.core.keys import KeyPurpose
from app.reports.shape import Format
from app.wiring import Wired, wire

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_CATALOG = ROOT / "app" / "data" / "catalog.yaml"

cli = typer.Typer(
    help="BLP: sell, license and provision software. `blp COMMAND --help` explains each command.",
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False,
)  # fmt: skip
catalog_cli = typer.Typer(
    help="What is sold: compare a catalog file with the database and apply it.", no_args_is_help=True
)
keys_cli = typer.Typer(help="Signing keys: list, create, rotate, revoke.", no_args_is_help=True)
license_cli = typer.Typer(help="License files.", no_args_is_help=True)
explain_cli = typer.Typer(
    help="Explain a rule for each line of a JSON Lines file. No database is needed.", no_args_is_help=True
)
clock_cli = typer.Typer(help="The sandbox's business clock.", no_args_is_help=True)
staff_cli = typer.Typer(
    help="The first member of staff, and the way back in after a lost device.", no_args_is_help=True
)
api_key_cli = typer.Typer(help="The vendor's first API key; it makes the others over the API.", no_args_is_help=True)
for name, group in (
    ("catalog", catalog_cli), ("keys", keys_cli), ("license", license_cli), ("explain", explain_cli),
    ("clock", clock_cli), ("staff", staff_cli), ("api-key", api_key_cli),
):  # fmt: skip
    cli.add_typer(group, name=name)


@contextmanager
def installation(settings: Settings) -> Iterator[Wired]:
    """A wired installation: the configured database, or the embedded server for the length of the command."""
    with _address(settings) as url:
        wired = wire(settings, Database(url, pool_size=settings.pool_size))
        try:
            yield wired
        finally:
            wired.ports.db.dispose()


@contextmanager
def _address(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        yield settings.database_url
        return
    with embedded_postgres.running(ROOT) as cluster:
        yield cluster.url("blp")


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; BLP_HOST otherwise.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; BLP_PORT otherwise.")] = None,
    worker: Annotated[bool, typer.Option(help="Also run a worker as a child process.")] = False,
) -> None:
    """Run the web process."""
    settings = load(**{key: value for key, value in (("host", host), ("port", port)) if value is not None})
    logging.configure(settings.log_format)
    with installation(settings) as wired, _worker_beside(wired, wanted=worker):
        import uvicorn

        from app.main import create_app

        uvicorn.run(
            create_app(settings, wired), host=settings.host, port=settings.port, log_config=None, access_log=False,
            server_header=False, proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=",".join(settings.trusted_proxies) or None,
        )  # fmt: skip


@contextmanager
def _worker_beside(wired: Wired, *, wanted: bool) -> Iterator[None]:
    """A worker process on the same database, ended with us."""
    if not wanted:
        yield
        return
    import subprocess

    url = wired.ports.db.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "app.cli", "worker"]
    child = subprocess.Popen(command, env={**os.environ, "BLP_DATABASE_URL": url}, cwd=ROOT)  # noqa: S603 -- ourselves
    try:
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=30)


@cli.command()
def worker(concurrency: Annotated[int, typer.Option(help="Jobs to run side by side.")] = 4) -> None:
    """Run jobs from the queue, and the schedule that finds what has come due."""
    from app import worker as jobs_worker

    settings = load()
    logging.configure(settings.log_format)
    with installation(settings) as wired:
        jobs_worker.run(wired.ports, concurrency=concurrency)


@cli.command(name="migrate")
def migrate_command() -> None:
    """Bring the database to the current schema. Safe beside a running installation."""
    with installation(load()) as wired:
        done = migrate.upgrade(wired.ports.db)
        typer.echo("\n".join(done) or "The schema is current.")


@cli.command()
def demo(once: Annotated[bool, typer.Option("--once", help="Stop after the story.")] = False) -> None:
    """Tell the whole story on a fresh sandbox, verify what it made, then serve the portal."""
    from app.demo.run import main as run_demo

    raise typer.Exit(run_demo(once=once or os.environ.get("BLP_DEMO_ONCE") == "1"))


@cli.command()
def doctor() -> None:
    """Check this installation and say what to do about each thing that is wrong."""
    from app.core import jobs
    from app.tax.rates import EU_RATES_AS_OF

    with installation(load()) as wired:
        database = wired.ports.db
        with database.reading() as connection:
            version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        current = migrate.is_current(database)
        faults = 0 if str(version).startswith("18") else _fault(f"PostgreSQL is {version}; BLP is tested on 18 only.")
        typer.echo(f"PostgreSQL {version}")
        if not current:
            raise typer.Exit(_fault("The schema is not current: run `blp migrate`."))
        waiting = jobs.waiting(database)
        typer.echo(f"Jobs: {waiting.due} due, {waiting.later} later, {waiting.failed} failed")
        with database.transaction() as tx:
            purposes = {key.purpose for key in keys.published(tx)}
        for purpose in KeyPurpose:
            if purpose not in purposes:
                faults += _fault(f"There is no {purpose} key: run `blp keys create {purpose}`.")
        typer.echo(f"EU tax rates as of {EU_RATES_AS_OF}")
        raise typer.Exit(1 if faults else 0)


def _fault(text: str) -> int:
    typer.echo(f"! {text}", err=True)
    return 1


@catalog_cli.command("apply")
def catalog_apply(
    file: Annotated[Path, typer.Argument(help="The catalog, YAML; app/data/catalog.yaml is a complete sample.")],
    yes: Annotated[bool, typer.Option("--yes", help="Apply without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
) -> None:
    """Show what a catalog file would change, then apply it. Applying it again changes nothing."""
    from app.flows import apply_catalog

    with installation(load()) as wired:
        by = f"cli:{os.environ.get('USER', 'operator')}"
        now = wired.ports.clock.now()
        with _dry(wired) as tx:
            changes = apply_catalog.apply(tx, file, by=by, now=now)
        typer.echo("\n".join(changes) or "Nothing to change.")
        if not changes or dry_run:
            return
        if not yes and not typer.confirm(f"Apply these {len(changes)} changes?"):
            raise typer.Exit(1)
        with wired.ports.db.transaction() as tx:
            apply_catalog.apply(tx, file, by=by, now=now)
            made = keys.ensure(tx, wired.ports.secrets, by=by, now=now)
        typer.echo(f"Applied {len(changes)} changes.")
        for key in made:
            typer.echo(f"Created the {key.purpose} key {key.kid}.")


class _Undo(Exception):
    pass


@contextmanager
def _dry(wired: Wired) -> Iterator[Any]:
    """A unit of work that is always rolled back."""
    with suppress(_Undo), wired.ports.db.transaction() as tx:
        yield tx
        _undo()


def _undo() -> None:
    raise _Undo


@keys_cli.command("list")
def keys_list() -> None:
    """Every published key, oldest first."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        for key in keys.published(tx):
            until = f" until {key.valid_to:%Y-%m-%d}" if key.valid_to else ""
            typer.echo(f"{key.kid}  {key.purpose}  {key.algorithm}  from {key.valid_from:%Y-%m-%d}{until}")


@keys_cli.command("create")
def keys_create(purpose: Annotated[KeyPurpose, typer.Argument(help="What the key signs.")]) -> None:
    """A new key; it signs from now on, and older ones stay good for verifying."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        key = keys.create(tx, wired.ports.secrets, purpose, by="cli", now=wired.ports.clock.now())
        typer.echo(f"{key.kid}\n{key.public_pem}")


@keys_cli.command("rotate")
def keys_rotate(purpose: Annotated[KeyPurpose, typer.Argument(help="What the key signs.")]) -> None:
    """A new key takes over signing; the one before it is published on, so that what it signed stays verifiable."""
    keys_create(purpose)


@keys_cli.command("revoke")
def keys_revoke(
    kid: Annotated[str, typer.Argument()], why: Annotated[str, typer.Option(help="Kept in the audit log.")]
) -> None:
    """Stop publishing a key: nothing it signed verifies any more. Revoking the last of a purpose is refused."""
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        keys.revoke(tx, kid, by="cli", why=why, now=wired.ports.clock.now())
        typer.echo(f"{kid} is revoked.")


@license_cli.command("verify")
def license_verify(
    file: Annotated[Path, typer.Argument(help="The license file.")],
    key: Annotated[
        Path | None, typer.Option(help="Public key, PEM or JWKS; this installation's keys otherwise.")
    ] = None,
    at: Annotated[datetime | None, typer.Option(help="Judge as of this time (UTC) instead of now.")] = None,
) -> None:
    """Check a license file offline. Exit status 0: would be accepted, 1: would not, 2: wrong usage."""
    from datetime import UTC

    from app.licenses.verify import load_keys, verify_license_file

    try:
        data = file.read_bytes()
        public = load_keys(key.read_bytes() if key else _published_pem())
    except OSError as exc:
        raise typer.BadParameter(f"{exc.filename}: {exc.strerror}") from exc
    when = at.replace(tzinfo=UTC) if at else transport_now()
    report = verify_license_file(data, public, when)
    typer.echo("\n".join(report.lines()))
    raise typer.Exit(0 if report.accepted else 1)


def _published_pem() -> bytes:
    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        found = keys.published(tx, KeyPurpose.LICENSE_FILE)
        if not found:
            raise typer.BadParameter("This installation has no license key; give one with --key.")
        return "".join(each.public_pem for each in found).encode()


@cli.command()
def report(
    name: Annotated[str, typer.Argument(help="invoice_register, payments_received, tax_by_jurisdiction, …")],
    first: Annotated[str, typer.Option("--from", help="First day, 2026-11-01.")],
    last: Annotated[str, typer.Option("--to", help="Last day, included.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As known at the end of this day, or at this instant.")
    ] = None,
    file_format: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.CSV,
    manifest: Annotated[Path | None, typer.Option(help="Also write the manifest (rows, totals, SHA-256) here.")] = None,
) -> None:
    """Write a finance report to standard output. The same call gives the same bytes."""
    from app.reports import registry
    from app.reports.shape import Period, read_as_of, read_day

    period = Period(read_day(first, "from"), read_day(last, "to"))
    known = read_as_of(as_of) if as_of else None
    with installation(load()) as wired:
        facts = registry.write(wired.ports.db, name, period, known, file_format, sys.stdout.buffer.write)
    if manifest is not None:
        manifest.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


@cli.command(name="verify-books")
def verify_books() -> None:
    """Check ledger, numbers, payments, licenses and audit chains against each other. Exit status 1 on a finding."""
    from app.reports.verify_books import verify

    with installation(load()) as wired:
        findings = verify(wired.ports.db)
    for finding in findings:
        typer.echo(f"{finding.check}: {finding.subject}: {finding.detail}")
    raise typer.Exit(1 if findings else 0)


@explain_cli.command("tax")
def explain_tax(file: Annotated[Path, typer.Argument(help="JSON Lines; - for standard input.")]) -> None:
    """Determine the tax of each line and say why. Exit status 1 if a line was malformed."""
    from app.tax.explain import explain_lines

    _explain(file, explain_lines)


def _explain(file: Path, explain: Callable[[Iterator[str]], Iterator[tuple[str, bool]]]) -> None:
    try:
        source = sys.stdin if str(file) == "-" else file.open(encoding="utf-8", errors="replace")
    except OSError as exc:
        raise typer.BadParameter(f"{exc.filename}: {exc.strerror}") from exc
    malformed = False
    with source:
        for line, wrong in explain(iter(source)):
            typer.echo(line)
            malformed = malformed or wrong
    raise typer.Exit(1 if malformed else 0)


@clock_cli.command("show")
def clock_show() -> None:
    """Business time."""
    with installation(load()) as wired:
        typer.echo(wired.ports.clock.now().isoformat(timespec="seconds"))


@clock_cli.command("advance")
def clock_advance(
    days: Annotated[int, typer.Option(help="How many days to walk.")] = 0,
    to: Annotated[datetime | None, typer.Option(help="Or the instant to walk to (UTC).")] = None,
) -> None:
    """Walk the sandbox's business time forward, tick by tick; a worker has to be running."""
    from datetime import UTC

    settings = load()
    if not settings.sandbox:
        raise typer.BadParameter("Only a sandbox's clock can be advanced.")
    with installation(settings) as wired:
        from app.adapters.sandbox import clock_walk

        target = to.replace(tzinfo=UTC) if to else wired.ports.clock.now() + timedelta(days=days)
        stops = clock_walk.advance(wired.ports, target)
        typer.echo(f"{wired.ports.clock.now().isoformat(timespec='seconds')} after {stops} stops")


@staff_cli.command("add")
def staff_add(
    email: Annotated[str, typer.Argument(help="Where the sign-in mail goes.")],
    name: Annotated[str, typer.Option(help="As colleagues know the person.")],
) -> None:
    """Add the first administrator. Refused once there is staff: an administrator adds the next in the console."""
    from app.accounts import staff

    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        person = staff.add_first(tx, email=email, name=name, now=wired.ports.clock.now())
        typer.echo(f"{person.email} administers. Sign in at {wired.ports.link('/console')}.")
        typer.echo("The first sign-in sets up a second factor.")


@staff_cli.command("reset-second-factor")
def staff_reset_second_factor(email: Annotated[str, typer.Argument(help="Whose authenticator is lost.")]) -> None:
    """End the sessions of a member of staff and let the next sign-in set up a new authenticator."""
    from app.accounts import staff
    from app.accounts.addresses import normal_email

    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        person = staff.of_person(tx, normal_email(email))
        if person is None:
            raise NotFound("There is nobody on staff with this address.", param="email")
        staff.reset_second_factor(tx, person.id, by="command-line", now=wired.ports.clock.now())
        typer.echo(f"{person.email} is signed out everywhere and sets up a new authenticator at the next sign-in.")


@api_key_cli.command("create")
def api_key_create(
    name: Annotated[str, typer.Argument(help="Which program will use it.")],
    scope: Annotated[list[str], typer.Option(help="What it may do, such as reports:read; repeat for several.")],
) -> None:
    """A key of the vendor, valid for a year, for every account. It is printed once and stored as a hash."""
    from app.accounts import api_keys

    with installation(load()) as wired, wired.ports.db.transaction() as tx:
        _, secret = api_keys.create(
            tx, wired.ports.secrets, name=name, scopes=scope, account_id=None, actor="command-line",
            now=transport_now(),
        )  # fmt: skip
    typer.echo(secret)


def main() -> None:
    """Refusals are sentences on standard error, never tracebacks."""
    try:
        cli()
    except Misconfigured as exc:
        typer.echo(exc.text, err=True)
        sys.exit(2)
    except DomainError as exc:
        typer.echo(f"{exc.title}: {exc.detail}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
