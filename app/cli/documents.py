"""`blp documents`: the kept papers of invoices and credit notes."""

import typer

documents = typer.Typer(help="The kept papers of invoices and credit notes.", no_args_is_help=True)


@documents.callback()
def group() -> None:
    """Keeps `verify` a command of its own."""


@documents.command("verify")
def verify() -> None:
    """Compute the hashes of every paper again, over its bytes and over the rows it was drawn from.

    Progress goes to standard error. Exit status 1 where one has drifted.
    """
    from app.cli.installation import installation
    from app.config import load
    from app.flows import issued_papers

    def told(done: int, of: int) -> None:
        typer.echo(f"{done} of {of} papers checked", err=True)

    with installation(load()) as wired:
        found = issued_papers.verify(wired.ports, told)
    for drift in found.drifts:
        typer.echo(f"{drift.number}: {drift.what}")
    waiting = f"; {found.missing} final documents have no paper yet" if found.missing else ""
    typer.echo(f"{found.checked} papers, {len(found.drifts)} findings{waiting}.")
    raise typer.Exit(1 if found.drifts else 0)
