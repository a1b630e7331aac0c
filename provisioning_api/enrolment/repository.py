"""All SQL on enrolments, credentials and machine tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from provisioning_api.enrolment.models import Credential, Enrolment, MachineToken, UsedChallenge
from provisioning_api.enrolment.states import EnrolmentState
from soundstage.database.repository import Queries, Repository


class Enrolments(Repository[Enrolment]):
    async def by_token(self, sha256: str) -> Enrolment | None:
        return await self._session.scalar(select(Enrolment).where(Enrolment.token_sha256 == sha256))

    async def of_machine(self, machine_id: str) -> Sequence[Enrolment]:
        """Returns all enrolments of a machine, newest first."""
        query = select(Enrolment).where(Enrolment.machine_id == machine_id).order_by(Enrolment.id.desc())
        return await self._all(query)

    async def open_of(self, machine_id: str) -> Sequence[Enrolment]:
        """Returns enrolments that are neither used, revoked nor marked as expired, newest first."""
        query = select(Enrolment).where(
            Enrolment.machine_id == machine_id,
            Enrolment.state.in_({EnrolmentState.ARMED, EnrolmentState.ISSUED}),
        )
        return await self._all(query.order_by(Enrolment.id.desc()))


class Credentials(Repository[Credential]):
    async def active_of(self, machine_id: str) -> Sequence[Credential]:
        """Returns credentials that were not revoked, newest first."""
        query = select(Credential).where(Credential.machine_id == machine_id, Credential.revoked_at.is_(None))
        return await self._all(query.order_by(Credential.issued_at.desc()))

    async def good_host_keys(self, kind: str) -> Sequence[str]:
        """Returns the certificates of a kind that were not revoked."""
        query = select(Credential.content).where(Credential.kind == kind, Credential.revoked_at.is_(None))
        return await self._all(query)

    async def machines_with(self, kind: str) -> frozenset[str]:
        """Returns the ids of machines with a credential of this kind that was not revoked."""
        query = select(Credential.machine_id).where(Credential.kind == kind, Credential.revoked_at.is_(None))
        return frozenset((await self._session.scalars(query)).all())

    async def newest_generation(self, enrolment_id: str, kind: str) -> int:
        """Returns the highest generation of an enrolment, -1 when there is none."""
        query = select(func.max(Credential.generation)).where(
            Credential.enrolment_id == enrolment_id, Credential.kind == kind
        )
        newest = await self._session.scalar(query)
        return -1 if newest is None else newest

    async def last_end_of(self, kinds: Collection[str]) -> dict[str, datetime]:
        """Returns for each machine when the last credential of these kinds expires; revoked ones do not
        count.
        """
        query = (
            select(Credential.machine_id, func.max(Credential.not_after))
            .where(Credential.kind.in_(kinds), Credential.revoked_at.is_(None))
            .group_by(Credential.machine_id)
        )
        found: dict[str, datetime] = {}
        for machine_id, end in await self._session.execute(query):
            found[machine_id] = end
        return found

    async def to_withdraw(self, kind: str) -> Sequence[Credential]:
        """Returns credentials that are revoked here and not yet confirmed as removed from their engine."""
        query = select(Credential).where(
            Credential.kind == kind, Credential.revoked_at.is_not(None), Credential.withdrawn_at.is_(None)
        )
        return await self._all(query.order_by(Credential.revoked_at))

    async def of_enrolment(self, enrolment_id: str) -> Sequence[Credential]:
        return await self._all(select(Credential).where(Credential.enrolment_id == enrolment_id))

    async def list_revoked(self, kind: str, now: datetime) -> Sequence[Credential]:
        """Returns revoked credentials that have not expired."""
        query = select(Credential).where(
            Credential.kind == kind, Credential.revoked_at.is_not(None), Credential.not_after > now
        )
        return await self._all(query.order_by(Credential.revoked_at))


class MachineTokens(Queries):
    async def replace(self, machine_id: str, sha256: str) -> None:
        await self.remove(machine_id)
        self._session.add(MachineToken(token_sha256=sha256, machine_id=machine_id))
        await self._session.flush()

    async def remove(self, machine_id: str) -> None:
        await self._session.execute(delete(MachineToken).where(MachineToken.machine_id == machine_id))

    async def machine_of(self, sha256: str) -> str | None:
        query = select(MachineToken.machine_id).where(MachineToken.token_sha256 == sha256)
        return await self._session.scalar(query)


class UsedChallenges(Queries):
    async def add(self, nonce: str, ends_at: datetime) -> bool:
        """Returns whether this is the first use, also when two processes call at once."""
        try:
            async with self._session.begin_nested():
                self._session.add(UsedChallenge(nonce=nonce, ends_at=ends_at))
        except IntegrityError:
            return False
        return True

    async def remove_ended(self, now: datetime) -> None:
        """Deletes challenges that are refused by their age anyway."""
        await self._session.execute(delete(UsedChallenge).where(UsedChallenge.ends_at < now))
