"""Carries a request out once, however often it is sent; called by routes that honour `Idempotency-Key`.

The key is claimed in the very transaction that makes the thing, and one transaction writes at a time. So a
duplicate that arrives while the first is in flight waits for it and gets the same thing (the draft leaves the
choice between this and 409), a request that failed leaves no key behind and may be sent again, and a process
that dies in between has made both or neither.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from avatar.spec import content_hash
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database, utcnow
from soundstage.errors import Invalid
from studio.idempotency.models import IdempotencyKey
from studio.idempotency.repository import IdempotencyKeys

T = TypeVar("T")

Claim = Callable[[AsyncSession, str], Awaitable[None]]
"""Called with the id of what is about to be made, inside the transaction that makes it."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One sending of a request. The sender is part of its key: senders do not share keys."""

    principal: str
    operation: str
    key: str
    fingerprint: str

    @classmethod
    def of(cls, principal: str, operation: str, key: str, body: BaseModel) -> Submission:
        """The fingerprint is of what the body means: spaces and the order of its keys do not count."""
        return cls(principal, operation, key, content_hash(body.model_dump(mode="json")))


class DuplicateRequest(Exception):
    """Another sending of the same request was faster; ends the transaction of the slower one."""

    def __init__(self, resource_id: str) -> None:
        super().__init__(resource_id)
        self.resource_id = resource_id


class IdempotencyService:
    def __init__(self, db: Database, keep: timedelta) -> None:
        self._db = db
        self._keep = keep

    async def once(
        self,
        submission: Submission,
        make: Callable[[Claim], Awaitable[T]],
        again: Callable[[str], Awaitable[T]],
    ) -> T:
        """Returns what `make` gives the first time, and what `again` gives for the id of that ever after.

        Raises `idempotency.key_reused` when the key came with another body.
        """
        async with self._db.session() as session:
            resource_id = await _find_resource_id(session, submission)
        if resource_id is None:
            try:
                return await make(self._claim_of(submission))
            except DuplicateRequest as meanwhile:
                resource_id = meanwhile.resource_id
        return await again(resource_id)

    def _claim_of(self, submission: Submission) -> Claim:
        async def claim(session: AsyncSession, resource_id: str) -> None:
            now = utcnow()
            keys = IdempotencyKeys(session)
            await keys.remove_expired(now)
            earlier = await _find_resource_id(session, submission)
            if earlier is not None:
                raise DuplicateRequest(earlier)
            row = IdempotencyKey(
                principal=submission.principal,
                operation=submission.operation,
                key=submission.key,
                fingerprint=submission.fingerprint,
                resource_id=resource_id,
                created_at=now,
                expires_at=now + self._keep,
            )
            await keys.add(row)

        return claim


async def _find_resource_id(session: AsyncSession, submission: Submission) -> str | None:
    row = await IdempotencyKeys(session).find_of(submission.principal, submission.operation, submission.key)
    if row is None or row.expires_at <= utcnow():
        return None
    if row.fingerprint != submission.fingerprint:
        raise Invalid(
            "idempotency.key_reused",
            "This Idempotency-Key was sent before, with another body.",
            "Take a new key for every new request, and the old one only to send the same request again.",
        )
    return row.resource_id
