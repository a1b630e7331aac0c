"""Checks a chain line by line, and its end against the recorded head; for both audit logs."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Sequence
from typing import Any

from policy.audit.chain import GENESIS, chain_hash
from policy.audit.head import Head, HeadError
from policy.audit.schemas import AuditVerdict


class ChainBrokenError(Exception):
    """`number` is the first line that does not fit; `code` and text say why."""

    def __init__(self, number: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.number = number
        self.code = code
        self.reason = reason


class ChainCheck:
    """Takes the lines of a chain in their order, then its end."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.count = 0
        self.last = GENESIS

    def add(self, number: int, before: str, sha256: str, content: Sequence[Any]) -> None:
        """Check one line. `content` is what its hash covers. Raises `ChainBrokenError`."""
        at = self.count + 1
        if number != at:
            raise ChainBrokenError(at, "audit.line_missing", "a line is missing")
        if not hmac.compare_digest(sha256, chain_hash(content, self._key)):
            raise ChainBrokenError(at, "audit.line_changed", "the line was changed")
        if before != self.last:
            raise ChainBrokenError(
                at, "audit.line_inserted", "the line was put in, or one before it was changed"
            )
        self.count, self.last = number, sha256

    def end(self, head: Head | None, hash_there: str | None) -> None:
        """Check that the chain ends where its head says. `hash_there`: of the line with the head's number.

        Raises `ChainBrokenError`.
        """
        if self.count == 0 and head is None:
            return
        if head is None:
            raise ChainBrokenError(self.count, "audit.head_missing", "the recorded end of the log is missing")
        self.expect(head, hash_there)
        if head.number < self.count:
            raise ChainBrokenError(
                head.number + 1,
                "audit.head_behind",
                "the recorded end of the log is older than its last line",
            )

    def expect(self, head: Head, hash_there: str | None) -> None:
        """Check that the chain holds this head, of now or of an earlier day. Raises `ChainBrokenError`."""
        if head.number > self.count:
            raise ChainBrokenError(self.count + 1, "audit.end_missing", "lines at the end are missing")
        if hash_there != head.sha256:
            raise ChainBrokenError(head.number, "audit.rewritten", "the chain was written anew")


async def judge(check: ChainCheck, verifying: Awaitable[None]) -> AuditVerdict:
    """Return what `verifying`, which fills `check`, has found."""
    try:
        await verifying
    except HeadError as error:
        return AuditVerdict(lines=check.count, broken_at=check.count, code=error.code, reason=str(error))
    except ChainBrokenError as error:
        return AuditVerdict(lines=check.count, broken_at=error.number, code=error.code, reason=error.reason)
    return AuditVerdict(lines=check.count)
