"""Checks a chain again and again in the background, for its metrics and the health of the installation."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from policy.audit.schemas import AuditVerdict
from soundstage.background import Worker
from soundstage.telemetry import get_logger, metrics

FIRST_S = 60.0
"""A start has better things to do."""
EVERY_S = 3600.0

log = get_logger(__name__)


class AuditWatch:
    """`verdict` is what the last check found; None before the first."""

    def __init__(self, verify: Callable[[], Awaitable[AuditVerdict]]) -> None:
        self._verify = verify
        self._started = False
        self.verdict: AuditVerdict | None = None
        self.worker = Worker("audit check", self._poll, poll_s=EVERY_S)

    async def check(self) -> AuditVerdict:
        """Checks the whole chain now."""
        self.verdict = await self._verify()
        broken = self.verdict.broken_at is not None
        metrics.AUDIT_BROKEN.set(broken)
        metrics.AUDIT_CHECKED.set(time.time())
        if broken:
            log.error("audit.broken", line=self.verdict.broken_at, code=self.verdict.code)
        return self.verdict

    async def _poll(self) -> float | None:
        if not self._started:
            self._started = True
            return FIRST_S
        await self.check()
        return None
