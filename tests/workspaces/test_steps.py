"""The rules that choose the next task, walked through every state."""

from itertools import product

from app.workspaces import steps
from app.workspaces.models import MOVES, Desired, TaskKind, WorkspaceState

W = WorkspaceState


def test_the_rules_make_exactly_the_moves_that_are_declared() -> None:
    assert steps.causes() == MOVES


def test_a_task_is_only_chosen_where_it_may_begin() -> None:
    for state, desired, behind, due in product(W, Desired, (False, True), (False, True)):
        kind = steps.next_kind(state, desired, behind=behind, deletion_due=due)
        assert kind is None or state in steps.STEPS[kind].begins, (state, desired, kind)


def test_following_the_tasks_leads_to_what_is_wanted_from_every_resting_state() -> None:
    goals = {Desired.RUNNING: W.STABLE, Desired.HIBERNATED: W.HIBERNATED}
    for start, (desired, goal), behind in product((W.REQUESTED, W.STABLE, W.HIBERNATED), goals.items(), (False, True)):
        state, lagging, taken = start, behind, 0
        while (kind := steps.next_kind(state, desired, behind=lagging, deletion_due=False)) is not None:
            state = steps.STEPS[kind].done
            lagging = lagging and kind is TaskKind.HIBERNATE
            taken += 1
            assert taken <= 3
        assert state is goal


def test_nothing_is_deleted_before_its_day() -> None:
    assert steps.next_kind(W.DELETE_PENDING, Desired.DELETED, behind=True, deletion_due=False) is None
    assert steps.next_kind(W.DELETE_PENDING, Desired.DELETED, behind=True, deletion_due=True) is TaskKind.DELETE


def test_what_failed_for_good_waits_for_a_person() -> None:
    for state in (W.CREATION_FAILED, W.DELETION_FAILED):
        for desired in Desired:
            assert steps.next_kind(state, desired, behind=True, deletion_due=True) is None
