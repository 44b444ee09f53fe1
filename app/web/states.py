"""What a state is called and how loud it is shown: one list for portal and console.

The key is the value of the domain's own enum. Words, never colour alone, carry the meaning (WCAG 1.4.1).
"""

from dataclasses import dataclass
from typing import Final

from app.web.views import Tone


@dataclass(frozen=True)
class Badge:
    text: str
    tone: Tone


_BY_TONE: Final[dict[Tone, dict[str, str]]] = {
    "good": {
        "active": "Active", "paid": "Paid", "stable": "Running", "fulfilled": "Fulfilled", "accepted": "Accepted",
        "valid": "Valid", "answered": "Answered", "done": "Done", "succeeded": "Succeeded", "completed": "Completed",
        "automatic": "Automatic", "cleared": "Cleared", "healthy": "Healthy", "trusted": "Trusted", "won": "Won",
        "signing": "Signing",
    },
    "info": {
        "trialing": "Trial", "open": "Open", "draft": "Draft", "sent": "Sent", "viewed": "Viewed", "quote": "Quote",
        "requested": "Requested", "creating": "Being created", "updating": "Updating", "processing": "Processing",
        "awaiting_payment": "Awaiting payment", "placed": "Placed", "doing": "Running", "todo": "Waiting",
        "invited": "Invited", "unchecked": "Being checked", "bridge": "Bridge license", "scheduled": "Scheduled",
        "renewal_open": "Renewal open", "waking": "Waking up", "pending": "On its way", "under_review": "Under review",
        "published": "Published",
    },
    "warn": {
        "past_due": "Payment failed", "lapsed": "In grace", "review": "In review", "held": "Held", "partly_paid":
        "Partly paid", "expiring": "Ends soon", "unavailable": "Registry down", "delete_pending": "Deletion scheduled",
        "hibernating": "Going to sleep", "needs_review": "Needs review", "flagged": "Disputed", "overdue": "Overdue",
        "suspended": "Suspended", "opened": "Disputed", "silent": "No heartbeat",
    },
    "bad": {
        "expired": "Expired", "revoked": "Revoked", "failed": "Failed", "declined": "Declined", "uncollectible":
        "Uncollectible", "invalid": "Not valid", "creation_failed": "Creation failed", "update_failed": "Update failed",
        "deletion_failed": "Deletion failed",
        "disputed": "Disputed", "rejected": "Rejected", "lost": "Lost", "confirmed": "Confirmed",
    },
    "quiet": {
        "canceled": "Canceled", "void": "Void", "superseded": "Superseded", "withdrawn": "Withdrawn",
        "hibernated": "Asleep", "deleted": "Deleted", "deleting": "Being deleted", "refunded": "Refunded",
        "suppressed": "Not asked", "released": "Released", "credited": "Credited", "disabled": "Off",
        "aborted": "Aborted", "retiring": "Retiring", "retired": "Retired",
    },
}  # fmt: skip
_BADGES: Final = {key: Badge(text, tone) for tone, names in _BY_TONE.items() for key, text in names.items()}


def state(key: str) -> Badge:
    """The badge of a state; one that is not listed is shown under its own name, quietly."""
    return _BADGES.get(key) or Badge(key.replace("_", " ").capitalize(), "quiet")
