"""Limits how many jobs fetch files at a time; each takes a connection and room on the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from soundstage.errors import TooManyRequests

AT_ONCE = 4
AT_ONCE_PER_TENANT = 2
RETRY_AFTER_S = 5


class FetchSlots:
    """Of one event loop; nobody waits for a slot."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, tenant: str) -> Iterator[None]:
        """One for the block. Raises TooManyRequests `job.too_many_fetches`."""
        if self._taken[tenant] >= AT_ONCE_PER_TENANT or self._taken.total() >= AT_ONCE:
            raise TooManyRequests(
                "job.too_many_fetches",
                "Files of other jobs are being fetched.",
                f"Send the job again in a few seconds; {AT_ONCE_PER_TENANT} of a tenant fetch at a time, "
                f"{AT_ONCE} in all.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
            # Names of tenants that are gone are not kept.
            self._taken += Counter()
