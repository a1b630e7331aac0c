"""Records refusals of unauthenticated callers: one record per source and reason, not one per attempt."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provisioning_api.audit.service import AuditLog
from soundstage.database import utcnow
from soundstage.rate_limits import source_key
from soundstage.telemetry import get_logger

WINDOW_S = 600.0
MAX_OPEN = 512
MANY = "many sources"
POLL_S = 30.0


@dataclass(slots=True)
class _Repeated:
    """Refusals after the first one of a window, which has a record of its own."""

    source: str
    action: str
    code: str
    subject: str
    opened_s: float
    first_at: datetime
    last_at: datetime
    count: int = 0

    def facts(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "source": self.source,
            "count": self.count,
            "first_at": self.first_at.isoformat(),
            "last_at": self.last_at.isoformat(),
        }


class RefusalLog:
    """The first refusal of a source for a reason is recorded at once; those that follow within ten minutes
    become one record with their count and the times of the first and the last. Beyond 512 sources and reasons
    at a time the sources are recorded together.
    """

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._open: OrderedDict[tuple[str, ...], _Repeated] = OrderedDict()
        self._writing = asyncio.Lock()
        self._log = get_logger(__name__)

    async def note(
        self, source: str, action: str, code: str, subject: str, facts: Mapping[str, Any] | None = None
    ) -> bool:
        """Records or counts a refusal; returns whether it was the first of its kind."""
        key = (source_key(source), action, code, subject)
        if key not in self._open and len(self._open) >= MAX_OPEN:
            source, subject = MANY, "unknown"
            key = (source, action, code, subject)
        now = utcnow()
        if (repeated := self._open.get(key)) is not None:
            repeated.count += 1
            repeated.last_at = now
            return False
        # Entered before the record is written: a second refusal may come while it is.
        self._open[key] = _Repeated(source, action, code, subject, time.monotonic(), now, now)
        self._log.warning("refused", code=code, action=action)
        await self._audit.record_now(
            source, action, subject, {"code": code, "source": source, **(facts or {})}
        )
        return True

    async def flush(self) -> None:
        """Records the repeated refusals of windows that have ended."""
        await self._flush_before(time.monotonic() - WINDOW_S)

    async def close(self) -> None:
        """Records all repeated refusals; called before the process ends."""
        await self._flush_before(float("inf"))

    async def _flush_before(self, opened_before_s: float) -> None:
        async with self._writing:
            for key, repeated in list(self._open.items()):
                if repeated.opened_s > opened_before_s:
                    continue
                del self._open[key]
                if repeated.count:
                    self._log.warning("refused again", **repeated.facts())
                    await self._audit.record_now(
                        repeated.source, repeated.action, repeated.subject, repeated.facts()
                    )
