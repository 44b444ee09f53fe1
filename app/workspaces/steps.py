"""How tasks move a workspace, and which task brings it closer to what is wanted (R-PRV-1). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.workspaces.models import MOVES, Desired, TaskKind, WorkspaceState

W = WorkspaceState


@dataclass(frozen=True, slots=True)
class Step:
    """Where a task of one kind may begin, and where it leaves the workspace.

    `again` is where the workspace waits after a try that may be repeated. Only a creation goes back: a provisioner
    that reports a failure has cleaned up, so there is nothing yet; the others are in the middle of their work.
    """

    begins: frozenset[WorkspaceState]
    working: WorkspaceState
    done: WorkspaceState
    failed: WorkspaceState
    again: WorkspaceState
    happened: str  # the event when it is done


STEPS: Final[Mapping[TaskKind, Step]] = {
    TaskKind.CREATE: Step(
        frozenset({W.REQUESTED}), W.CREATING, W.STABLE, W.CREATION_FAILED, W.REQUESTED, "workspace.ready"
    ),
    TaskKind.UPDATE: Step(
        frozenset({W.STABLE, W.UPDATE_FAILED}), W.UPDATING, W.STABLE, W.UPDATE_FAILED, W.UPDATING, "workspace.updated"
    ),
    TaskKind.HIBERNATE: Step(
        frozenset({W.STABLE}), W.HIBERNATING, W.HIBERNATED, W.STABLE, W.HIBERNATING, "workspace.hibernated"
    ),
    TaskKind.WAKE: Step(frozenset({W.HIBERNATED}), W.WAKING, W.STABLE, W.HIBERNATED, W.WAKING, "workspace.woken"),
    TaskKind.DELETE: Step(
        frozenset({W.DELETE_PENDING, W.DELETION_FAILED}), W.DELETING, W.DELETED, W.DELETION_FAILED, W.DELETING,
        "workspace.deleted",
    ),
}  # fmt: skip

WORKING: Final = frozenset(step.working for step in STEPS.values())
FAILED: Final = frozenset({W.CREATION_FAILED, W.UPDATE_FAILED, W.DELETION_FAILED})
# A deletion can be announced from here; the other states first finish what they are in.
DELETABLE: Final = frozenset({W.STABLE, W.HIBERNATED, W.UPDATE_FAILED})
# From here nothing has to be taken down.
NOTHING_THERE: Final = frozenset({W.REQUESTED, W.CREATION_FAILED})
# Here it has begun.
BEYOND_RECALL: Final = frozenset({W.DELETING, W.DELETED, W.DELETION_FAILED})


def next_kind(state: WorkspaceState, desired: Desired, *, behind: bool, deletion_due: bool) -> TaskKind | None:
    """The task that is due, or None: all is well, or a person has to decide (a failed creation or deletion).

    `behind`: the configuration that runs is not the one that is wanted. A hibernated workspace is brought up to date
    when it wakes.
    """
    match desired, state:
        case (Desired.RUNNING | Desired.HIBERNATED, W.REQUESTED):
            return TaskKind.CREATE
        case (Desired.RUNNING, W.STABLE | W.UPDATE_FAILED) if behind:
            return TaskKind.UPDATE
        case (Desired.RUNNING, W.HIBERNATED):
            return TaskKind.WAKE
        case (Desired.HIBERNATED, W.STABLE):
            return TaskKind.HIBERNATE
        case (Desired.DELETED, W.DELETE_PENDING) if deletion_due:
            return TaskKind.DELETE
        case _:
            return None


def without_task(state: WorkspaceState, desired: Desired) -> WorkspaceState | None:
    """Where the workspace goes at once, with nobody's help."""
    if desired is Desired.DELETED and state in NOTHING_THERE:
        return W.DELETED
    if desired is Desired.DELETED and state in DELETABLE:
        return W.DELETE_PENDING
    if desired is Desired.HIBERNATED and state is W.UPDATE_FAILED:
        return W.STABLE
    return None


@dataclass(frozen=True, slots=True)
class Transition:
    before: WorkspaceState
    after: WorkspaceState
    when: str


def _asked() -> dict[tuple[WorkspaceState, WorkspaceState], str]:
    moves = {
        (W.CREATION_FAILED, W.REQUESTED): "The creation is asked for again.",
        (W.UPDATE_FAILED, W.STABLE): "Hibernation is wanted; the failed update is left for the next waking.",
        (W.DELETE_PENDING, W.STABLE): "The deletion is taken back.",
        (W.DELETE_PENDING, W.HIBERNATED): "The deletion of a hibernated workspace is taken back.",
    }
    moves |= {(before, W.DELETED): "Deletion is wanted and nothing is there." for before in NOTHING_THERE}
    moves |= {(before, W.DELETE_PENDING): "Deletion is wanted; it is carried out at delete_at." for before in DELETABLE}
    return moves


def _by_tasks() -> dict[tuple[WorkspaceState, WorkspaceState], str]:
    moves: dict[tuple[WorkspaceState, WorkspaceState], str] = {}
    for kind, step in STEPS.items():
        moves |= {(before, step.working): f"A provisioner claims the {kind} task." for before in step.begins}
        moves[step.working, step.done] = f"The {kind} task is complete."
        moves[step.working, step.failed] = f"The {kind} task failed for good."
        if step.again is not step.working:
            moves[step.working, step.again] = f"The {kind} task failed and will be tried again."
    return moves


def transitions() -> list[Transition]:
    """Every allowed move with its cause, in the order of a workspace's life."""
    causes = _by_tasks() | _asked()
    order = list(WorkspaceState)
    return [
        Transition(before, after, causes[before, after])
        for before, after in sorted(MOVES, key=lambda move: (order.index(move[0]), order.index(move[1])))
    ]


def causes() -> frozenset[tuple[WorkspaceState, WorkspaceState]]:
    """The moves the rules above can make; a test holds them against the declared ones."""
    return frozenset(_by_tasks() | _asked())
