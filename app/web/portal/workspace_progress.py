"""How far a workspace is, in steps: the same on the order's page and on its own."""

from collections.abc import Sequence
from typing import Literal

from app.web.portal.views import ProgressView
from app.web.views import Step
from app.workspaces import steps
from app.workspaces.models import Workspace, WorkspaceState

_WAITING = {WorkspaceState.REQUESTED, WorkspaceState.CREATING}
_SENTENCES = {
    WorkspaceState.REQUESTED: "It is waiting for a provisioner; this takes a minute at most.",
    WorkspaceState.CREATING: "It is being built.",
    WorkspaceState.STABLE: "It runs what you ordered.",
    WorkspaceState.UPDATING: "It is being brought up to date and stays open meanwhile.",
    WorkspaceState.HIBERNATING: "It is going to sleep; nothing is lost.",
    WorkspaceState.HIBERNATED: "It sleeps; nothing is lost.",
    WorkspaceState.WAKING: "It is waking up.",
    WorkspaceState.DELETING: "It is being deleted.",
    WorkspaceState.DELETED: "It was deleted.",
}


def progress_of(
    workspace: Workspace, *, before: Sequence[Step] = (), poll_href: str, reload: bool = False
) -> ProgressView:
    """Its steps after those of the order it came from; polls while somebody is working on it."""
    state = workspace.state
    working = state in _WAITING or state in steps.WORKING
    own = (
        Step(label="Requested", state="done"),
        Step(label="Built", state=_built(state), detail=workspace.message if state is WorkspaceState.CREATING else ""),
    )
    sentence = _SENTENCES.get(state, "")
    if state is WorkspaceState.CREATION_FAILED:
        sentence = "Building it failed; we were told and try again."
    return ProgressView(
        steps=(*before[:-1], *own) if before else own, percent=workspace.progress if working else None,
        sentence=sentence, poll_href=poll_href if working else "", reload=reload,
    )  # fmt: skip


def _built(state: WorkspaceState) -> Literal["done", "now", "todo", "failed"]:
    match state:
        case WorkspaceState.REQUESTED:
            return "todo"
        case WorkspaceState.CREATING:
            return "now"
        case WorkspaceState.CREATION_FAILED:
            return "failed"
        case _:
            return "done"
