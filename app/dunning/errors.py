from app.core.errors import DomainError


class NotCollecting(DomainError):
    slug, title = "not-collecting", "Nothing is being collected here"


class AlreadyPaused(DomainError):
    slug, title = "already-paused", "This collection is paused already"
