"""Token buckets in this process's memory: no query on the hot path, and a restart forgives (S19).

Each web process counts for itself, so an installation allows its number of processes times the rate.
"""

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from itertools import islice
from typing import Final

_REMEMBERED: Final = 50_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` requests at once, then `per_second` sustained. A burst of 0 means no limit."""

    burst: int
    per_second: float


class Throttle:
    """One bucket per asker. `now` is any clock in seconds that never goes back."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, who: str, now: float) -> float:
        """Take one token; 0 if there was one, else the seconds until there is."""
        burst, per_second = self._rate.burst, self._rate.per_second
        if burst == 0:
            return 0.0
        tokens, since = self._buckets.pop(who, (float(burst), now))
        tokens = min(burst, tokens + (now - since) * per_second)
        allowed = tokens >= 1
        self._buckets[who] = (tokens - 1 if allowed else tokens, now)  # most recently seen last
        if len(self._buckets) > _REMEMBERED:
            # The longest unseen go, a tenth at once, so that strangers in great number cost nobody time.
            for stale in list(islice(self._buckets, _REMEMBERED // 10)):
                del self._buckets[stale]
        return 0.0 if allowed else (1 - tokens) / per_second


def address_block(ip: str) -> str:
    """Whom to count together: one IPv4 address, or the /64 that an IPv6 subscriber commands."""
    if ":" not in ip:
        return ip
    try:
        return IPv6Address(int(IPv6Address(ip.partition("%")[0])) >> 64 << 64).compressed
    except AddressValueError:
        return ip
