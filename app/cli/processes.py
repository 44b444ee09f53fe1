"""The processes: web, worker, migration, demo, and the doctor that looks at all of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Event
from typing import Annotated, Final

import typer

from app.cli.installation import ROOT, installation
from app.config import load
from app.core import keys, logging, migrate
from app.core.keys import KeyPurpose
from app.wiring import Wired

processes = typer.Typer()
_FRONT_DOOR_SECONDS: Final = 5
_AT_ONCE: Final = 4
_LAST_JOBS_SECONDS: Final = 30  # what a job may still take once it is told to end
_LAST_ANSWERS_SECONDS: Final = 8  # what a request may; one that waits for a change is asked again elsewhere
_LOOK_SECONDS: Final = 1.0


@processes.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; BLP_HOST otherwise.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; BLP_PORT otherwise.")] = None,
    worker: Annotated[bool, typer.Option(help="Also run a worker as a child process.")] = False,
) -> None:
    """Run the web process."""
    settings = load(**{key: value for key, value in (("host", host), ("port", port)) if value is not None})
    logging.configure(settings.log_format)
    with installation(settings) as wired, _workers(wired, int(worker), _AT_ONCE):
        _look_at_the_tax_rates(wired)
        import uvicorn

        from app.main import create_app

        uvicorn.run(
            create_app(settings, wired), host=settings.host, port=settings.port, log_config=None, access_log=False,
            server_header=False, proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=",".join(settings.trusted_proxies) or None,
            timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
        )  # fmt: skip


@processes.command()
def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="Jobs to run side by side in each process.")] = _AT_ONCE,
    processes: Annotated[int, typer.Option(min=1, help="Processes to run them in; a core each is enough.")] = 1,
) -> None:
    """Run jobs from the queue, and the schedule that finds what has come due."""
    from app import worker as jobs_worker

    settings = load()
    logging.configure(settings.log_format)
    with installation(settings) as wired:
        _look_at_the_tax_rates(wired)
        if processes == 1:
            jobs_worker.run(wired.ports, concurrency=concurrency)
            return
        with _workers(wired, processes, concurrency) as crew:
            typer.echo(f"Worker processes: {', '.join(str(each.pid) for each in crew)}")
            raise typer.Exit(_until_one_ends(crew))


@contextmanager
def _workers(wired: Wired, count: int, concurrency: int) -> "Iterator[list[subprocess.Popen[bytes]]]":
    """Worker processes on the same database, told to stop with the block and waited for."""
    url = wired.ports.db.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "app.cli", "worker", "--concurrency", str(concurrency)]
    environment = {**os.environ, "BLP_DATABASE_URL": url}
    crew: list[subprocess.Popen[bytes]] = []
    try:
        while len(crew) < count:  # of a session of their own: what a terminal interrupts is ours to pass on, once
            started = subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True)  # noqa: S603 -- ourselves
            crew.append(started)
        yield crew
    finally:
        for each in crew:
            each.send_signal(signal.SIGTERM)
        for each in crew:
            _wait_for(each)


def _wait_for(child: "subprocess.Popen[bytes]") -> None:
    """Until it ended; a job that takes too long is cut off, and another worker takes it up again."""
    try:
        child.wait(timeout=_LAST_JOBS_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _until_one_ends(crew: "list[subprocess.Popen[bytes]]") -> int:
    """0 once we are told to stop; 1 where one ends by itself, so that whoever runs us starts all of them anew."""
    asked = Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: asked.set())
    while not asked.wait(_LOOK_SECONDS):
        for child in crew:
            if child.poll() is not None:
                return _fault(f"Worker process {child.pid} ended with {child.returncode}; stopping the others.")
    return 0


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
    from app.flows import canary
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
            dying = canary.faults(tx)
        for purpose, why in dying.items():
            faults += _fault(f"The {purpose} canary does not sing: {why}")
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
    from app.adapters.stripe.tax import StripeTax
    from app.core import policy
    from app.tax.calculations import COUNTRIES

    ports, found = wired.ports, list[stripe_doctor.Finding]()
    with ports.db.transaction() as tx:
        countries = policy.get(tx, COUNTRIES, ports.clock.now())
    if isinstance(ports.payments, StripePayments):
        found += stripe_doctor.examine(ports.payments, base_url=ports.base_url)
    if isinstance(ports.tax, StripeTax):
        found += stripe_doctor.examine_tax(ports.tax, countries)
    elif countries:
        held = ", ".join(countries)
        found += [stripe_doctor.Finding(True, f"Every sale to {held} is held: the policy tax_provider_countries wants a"
                                        " provider, and BLP_TAX is rates.")]  # fmt: skip
    for each in found:
        if not each.fault:
            typer.echo(each.text)
    return sum(_fault(each.text) for each in found if each.fault)


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
