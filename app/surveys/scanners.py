"""Telling mail scanners from people by how a link was opened (R-NPS-2). Pure; evidence only, never an answer.

Mail gateways fetch every link of a mail within seconds. The eleven score links are the trap: nobody opens two
of them within a minute. A hidden extra link is not used: screen readers read it out, spam filters dislike it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_TOGETHER: Final = timedelta(seconds=60)
_TOO_SOON: Final = timedelta(seconds=10)
# How gateways, link previews and scripts name themselves; compared in lower case.
_AGENTS: Final = (
    "safelinks", "proofpoint", "urldefense", "mimecast", "barracuda", "ironport", "cisco", "trendmicro", "fortimail",
    "symantec", "sophos", "forcepoint", "bot", "crawler", "spider", "preview", "headless", "phantomjs", "python-",
    "curl/", "wget/", "go-http-client", "java/", "okhttp", "libwww", "googleimageproxy", "scanner",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fetch:
    """One opening of a link; `score` is the one its address chose, None for an address without."""

    score: int | None
    user_agent: str
    at: datetime


def by_scanners(fetches: Sequence[Fetch], delivered: Sequence[datetime]) -> list[bool]:
    """For each fetch of one invitation, whether a program made it: its name says so, it came within ten seconds of
    one of the mails (`delivered`), or two different scores were fetched within a minute of it.
    """
    return [
        not each.user_agent.strip()
        or any(name in each.user_agent.lower() for name in _AGENTS)
        or any(timedelta(0) <= each.at - mailed < _TOO_SOON for mailed in delivered)
        or _one_of_several(each, fetches)
        for each in fetches
    ]


def _one_of_several(fetch: Fetch, fetches: Sequence[Fetch]) -> bool:
    return fetch.score is not None and any(
        other.score is not None and other.score != fetch.score and abs(other.at - fetch.at) <= _TOGETHER
        for other in fetches
    )
