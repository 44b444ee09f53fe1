"""Why a workspace or a task cannot be had, changed or reported on."""

from app.core.errors import DomainError


class HostnameTaken(DomainError):
    """Also for the name of a deleted workspace: names are never given to somebody else."""

    slug, title = "hostname-taken", "This hostname is not free"


class WorkspaceExists(DomainError):
    slug, title = "workspace-exists", "This subscription has its workspace already"


class NoWorkspaceIncluded(DomainError):
    slug, title = "no-workspace-included", "This subscription includes no workspace"


class DeletionPending(DomainError):
    slug, title = "deletion-pending", "This workspace is going to be deleted"


class NothingToRetry(DomainError):
    slug, title = "nothing-to-retry", "Nothing has failed that could be tried again"


class LeaseLost(DomainError):
    """The lease ran out or another claim has a newer fence. Stop working on this task and claim again."""

    slug, title = "lease-lost", "The lease of this task is not yours any more"


class TaskFinished(DomainError):
    slug, title = "task-finished", "This task is finished"
