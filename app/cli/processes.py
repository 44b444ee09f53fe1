"""The processes: web, worker, migration, demo, and the doctor that looks at all of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Final

import typer

from app.cli.installation import ROOT, installation
from app.config import load
from app.core import keys, logging, migrate
from app.core.keys import KeyPurpose
from app.wiring import Wired

processes = typer.Typer()
_FRONT_DOOR_SECONDS: Final = 5


@processes.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; BLP_HOST otherwise.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; BLP_PORT otherwise.")] = None,
    worker: Annotated[bool, typer.Option(help="Also run a worker as a child process.")] = False,
) -> None:
    """Run the web process."""
    settings = load(**{key: value for key, value in (("host", host), ("port", port)) if value is not None})
    logging.configure(settings.log_format)
    with installation(settings) as wired, _worker_beside(wired, wanted=worker):
        _look_at_the_tax_rates(wired)
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
    url = wired.ports.db.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "app.cli", "worker"]
    child = subprocess.Popen(command, env={**os.environ, "BLP_DATABASE_URL": url}, cwd=ROOT)  # noqa: S603 -- ourselves
    try:
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=30)


@processes.command()
def worker(concurrency: Annotated[int, typer.Option(help="Jobs to run side by side.")] = 4) -> None:
    """Run jobs from the queue, and the schedule that finds what has come due."""
    from app import worker as jobs_worker

    settings = load()
    logging.configure(settings.log_format)
    with installation(settings) as wired:
        _look_at_the_tax_rates(wired)
        jobs_worker.run(wired.ports, concurrency=concurrency)


@processes.command(name="migrate")
def migrate_command() -> None:
    """Bring the database to the current schema. Safe beside a running installation."""
    with installation(load()) as wired:
        done = migrate.upgrade(wired.ports.db)
        typer.echo("\n".join(done) or "The schema is current.")


@processes.command()
def demo(once: Annotated[bool, typer.Option("--once", help="Stop after the story.")] = False) -> None:
    """Tell the whole story on a fresh sandbox, verify what it made, then serve the portal."""
    from app.demo.run import main as run_demo

    raise typer.Exit(run_demo(once=once or os.environ.get("BLP_DEMO_ONCE") == "1"))


@processes.command()
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
        if (warning := _look_at_the_tax_rates(wired)) is not None:
            typer.echo(f"? {warning}")
        _look_at_the_papers(wired)
        faults += _ask_stripe(wired)
        _look_at_the_front_door(wired.ports.base_url)
        raise typer.Exit(1 if faults else 0)


def _look_at_the_tax_rates(wired: Wired) -> str | None:
    """Logs old rates and returns what to do about them. Not a fault; nothing where the schema is still to come."""
    from app.tax import freshness

    if not migrate.is_current(wired.ports.db):
        return None
    with wired.ports.db.transaction() as tx:
        return freshness.warn(tx, wired.ports.clock.now())


def _look_at_the_papers(wired: Wired) -> None:
    """Whether final documents wait for their papers. Not a fault: a worker may be at them."""
    from app.invoices import issued

    with wired.ports.db.transaction() as tx:
        waiting = issued.count_undrawn(tx)
    if waiting:
        typer.echo(
            f"? {waiting} final documents have no paper yet. If a worker runs, the log of `documents.draw` says why;"
            " where an exchange rate is missing, run `blp tax import-rates`."
        )


def _ask_stripe(wired: Wired) -> int:
    """Whether the key may do what BLP does, and whether events will arrive; nothing where the sandbox is paid."""
    from app.adapters.stripe import doctor as stripe_doctor
    from app.adapters.stripe.payments import StripePayments

    payments, faults = wired.ports.payments, 0
    if isinstance(payments, StripePayments):
        for each in stripe_doctor.examine(payments, base_url=wired.ports.base_url):
            if each.fault:
                faults += _fault(each.text)
            else:
                typer.echo(each.text)
    return faults


def _look_at_the_front_door(base_url: str) -> None:
    """Whether BLP answers where every link leads. Not a fault: doctor is also asked before the first start."""
    import httpx

    address = f"{base_url}/healthz"
    try:
        answer = httpx.get(address, timeout=_FRONT_DOOR_SECONDS, trust_env=False)
    except httpx.HTTPError as exc:
        problem = f"does not answer from here ({type(exc).__name__})"
    else:
        if answer.status_code == HTTPStatus.OK and answer.text == '{"status":"ok"}':
            typer.echo(f"Links begin with {base_url}, and BLP answers there")
            return
        problem = f"answers {answer.status_code}, but not as BLP does"
    typer.echo(
        f"? {address} {problem}. Links in mails, events and pages begin with BLP_BASE_URL. If the web process runs, "
        "set it to where people reach it, the same for web and worker.",
        err=True,
    )


def _fault(text: str) -> int:
    typer.echo(f"! {text}", err=True)
    return 1
