"""Token buckets per source and over all sources; used by logins, API keys and the unauthenticated routes.

A bucket holds `burst` tokens and refills with `per_minute`. A request takes a token from the bucket of its
source first, and only then from the one that all sources share: a source that is over its own rate takes
nothing from the others. The last quarter of the shared bucket is for sources that ask rarely, so that a
machine which asks now and then is served while loud sources keep the rest empty.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

DEFAULT_MAX_SOURCES = 4096
SHARED_RESERVE = 0.25
"""Share of the shared bucket that only quiet sources may use."""
QUIET_ABOVE = 0.5
"""A source is quiet while its own bucket is filled above this share."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` tokens at once, then `per_minute` tokens a minute."""

    burst: float
    per_minute: float

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_minute <= 0:
            raise ValueError("a rate needs a burst of at least 1 and more than 0 a minute")


@dataclass(slots=True)
class _Bucket:
    rate: Rate
    tokens: float
    updated_s: float

    def refill(self, now_s: float) -> None:
        # A clock that steps back adds nothing and takes nothing.
        elapsed_s = max(0.0, now_s - self.updated_s)
        self.tokens = min(self.rate.burst, self.tokens + elapsed_s * self.rate.per_minute / 60)
        self.updated_s = max(now_s, self.updated_s)

    def wait_s(self, cost: float, floor: float = 0.0) -> float:
        """Return the seconds until `cost` can be taken and `floor` is left; 0 when it can be taken now."""
        # Refills are sums of small floats: without the tolerance a wait of 1e-17 s would be a refusal.
        missing = min(cost + floor, self.rate.burst) - self.tokens
        return missing * 60 / self.rate.per_minute if missing > 1e-9 else 0.0


class RateLimiter:
    """Decides whether a source may act now. No method awaits, so calls from one event loop never mix.

    `per_source` applies to each source, `shared` (None: unlimited) to all of them together. At most
    `max_sources` sources are remembered; the one that was silent longest is forgotten first.

    To slow down failures only, `take` before the attempt and `refund` after a success: attempts that run at
    the same time then cannot all pass before the first of them is counted.
    """

    def __init__(
        self,
        per_source: Rate,
        shared: Rate | None = None,
        *,
        max_sources: int = DEFAULT_MAX_SOURCES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_source = per_source
        self._clock = clock
        self._max_sources = max_sources
        self._shared = None if shared is None else _Bucket(shared, shared.burst, clock())
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of remembered sources."""
        return len(self._buckets)

    def take(self, source: str, cost: float = 1.0) -> float:
        """Take `cost` tokens for `source`; return 0, or the seconds to wait when it may not act.

        `cost` above a burst counts as the whole burst. IPv6 sources count by their /64 network. A refusal
        for the sake of all still counts for the source: how often it asks tells whether it is quiet.
        """
        own = self._bucket(source_key(source))
        wait_s = own.wait_s(cost)
        if wait_s > 0:
            return wait_s
        quiet = self._is_quiet(own)
        own.tokens -= min(cost, own.rate.burst)
        wait_s = self._shared_wait_s(cost, quiet=quiet)
        if self._shared is not None and wait_s == 0:
            self._shared.tokens -= min(cost, self._shared.rate.burst)
        return wait_s

    def refund(self, source: str, cost: float = 1.0) -> None:
        """Put back what `take` took, for attempts that turned out to be legitimate."""
        for bucket in (self._bucket(source_key(source)), self._shared):
            if bucket is not None:
                bucket.tokens = min(bucket.rate.burst, bucket.tokens + cost)

    def _is_quiet(self, own: _Bucket) -> bool:
        return own.tokens > own.rate.burst * QUIET_ABOVE

    def _shared_wait_s(self, cost: float, *, quiet: bool) -> float:
        if self._shared is None:
            return 0.0
        self._shared.refill(self._clock())
        floor = 0.0 if quiet else self._shared.rate.burst * SHARED_RESERVE
        return self._shared.wait_s(cost, floor)

    def _bucket(self, key: str) -> _Bucket:
        now_s = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._per_source, self._per_source.burst, now_s)
            if len(self._buckets) > self._max_sources:
                self._buckets.popitem(last=False)
        else:
            bucket.refill(now_s)
            self._buckets.move_to_end(key)
        return bucket


def source_key(address: str) -> str:
    """Return what one sender controls: an IPv4 address, or the /64 network of an IPv6 address.

    Other text (a path of a socket, a name) is its own key.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    if parsed.is_loopback or parsed.is_link_local:
        return str(parsed)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
