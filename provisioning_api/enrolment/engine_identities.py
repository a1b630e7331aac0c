"""Requests the tokens of Nomad and Consul for a member after the exchange, and revokes them with it.

Engines may be away or slow, so they are called outside of transactions, and an exchange succeeds without
them: the machine calls again with the token that the exchange gave it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from provisioning_api.engines.consul import ConsulTokens
from provisioning_api.engines.nomad import NomadNodes
from provisioning_api.enrolment.models import Credential
from provisioning_api.enrolment.repository import Credentials, Enrolments
from provisioning_api.enrolment.schemas import ENGINES, EngineName, JoinTokens, Membership
from provisioning_api.enrolment.states import EnrolmentState
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.service import get_machine
from provisioning_api.machines.states import MEMBERS
from soundstage.database import Database, utcnow
from soundstage.errors import Forbidden, SoundstageError
from soundstage.telemetry import get_logger

POLL_S = 10.0
CONSUL_AGENT = "consul_agent"
# Consul's tokens end when they are removed.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)

log = get_logger(__name__)


@dataclass
class EngineIdentities:
    """`nomad` and `consul` are None where none was named in the settings."""

    db: Database
    journal: MachineJournal
    nomad: NomadNodes | None
    consul: ConsulTokens | None

    async def complete(self, membership: Membership) -> Membership:
        """Returns the membership with the engines' tokens; called outside of any transaction."""
        settings = JoinTokens(nomad=membership.nomad, consul=membership.consul)
        tokens = await self._request_tokens(membership.machine_id, settings, ENGINES)
        return membership.model_copy(update={"nomad": tokens.nomad, "consul": tokens.consul})

    async def renew(self, machine_id: str, settings: JoinTokens, only: Collection[EngineName]) -> JoinTokens:
        """Creates new tokens of the engines in `only`. A new token of Consul replaces the one before."""
        async with self.db.session() as session:
            machine = await get_machine(session, machine_id)
        if machine.state not in MEMBERS:
            raise Forbidden(
                "machine.not_a_member",
                f"{machine.name} is {machine.state}.",
                "Only members join the engines.",
            )
        return await self._request_tokens(machine_id, settings, only)

    async def withdraw(self) -> None:
        """Removes tokens in Consul that were revoked here. Raises the first refusal after the last token, so
        that one that cannot be removed holds up no other.
        """
        if self.consul is None:
            return
        async with self.db.session() as session:
            revoked = [one.serial for one in await Credentials(session).to_withdraw(CONSUL_AGENT)]
        refused: list[SoundstageError] = []
        for accessor in revoked:
            try:
                await self.consul.remove(accessor)
            except SoundstageError as error:
                if error.code != "machine.engine_refused":
                    raise  # The engine does not answer: the others would wait in vain.
                refused.append(error)
                continue
            async with self.db.transaction() as session:
                row = await Credentials(session).find(accessor)
                if row is not None:
                    row.withdrawn_at = utcnow()
        if refused:
            raise refused[0]

    async def _request_tokens(
        self, machine_id: str, settings: JoinTokens, only: Collection[EngineName]
    ) -> JoinTokens:
        introduction, agent_token = await asyncio.gather(
            self._introduction(machine_id, "nomad" in only), self._agent_token(machine_id, "consul" in only)
        )
        return JoinTokens(
            nomad=settings.nomad.model_copy(update={"introduction_token": introduction}),
            consul=settings.consul.model_copy(update={"agent_token": agent_token}),
        )

    async def _introduction(self, machine_id: str, requested: bool) -> str | None:
        if self.nomad is None or not requested:
            return None
        async with self.db.session() as session:
            machine = await get_machine(session, machine_id)
            name, pool = machine.name, machine.pool
        try:
            token = await self.nomad.introduce(name, pool)
        except SoundstageError as error:
            await self._record_failure(machine_id, "Nomad", error)
            return None
        async with self.db.transaction() as session:
            machine = await get_machine(session, machine_id)
            await self.journal.audit(session, machine, "enrolment", "introduced", pool=pool)
        return token

    async def _agent_token(self, machine_id: str, requested: bool) -> str | None:
        if self.consul is None or not requested:
            return None
        accessor = str(uuid4())
        async with self.db.transaction() as session:
            machine = await get_machine(session, machine_id)
            enrolment = next(
                one
                for one in await Enrolments(session).of_machine(machine_id)
                if EnrolmentState(one.state) is EnrolmentState.USED
            )
            for one in await Credentials(session).active_of(machine_id):
                if one.kind == CONSUL_AGENT:
                    one.revoked_at, one.revoked_because = utcnow(), "replaced"
            # Written down before Consul knows it: whatever happens now, it will be removed in the end.
            await Credentials(session).add(
                Credential(
                    serial=accessor,
                    enrolment_id=enrolment.id,
                    machine_id=machine_id,
                    kind=CONSUL_AGENT,
                    generation=await Credentials(session).newest_generation(enrolment.id, CONSUL_AGENT) + 1,
                    content="",
                    not_after=NEVER,
                )
            )
            name = machine.name
        try:
            secret = await self.consul.make(accessor, name)
        except SoundstageError as error:
            await self._revoke(accessor, "not given")
            await self._record_failure(machine_id, "Consul", error)
            return None
        return secret if await self._still_good(accessor) else None

    async def _revoke(self, accessor: str, because: str) -> None:
        """Revokes a token that may exist, since only the answer may be lost; `withdraw` removes it in
        Consul.
        """
        async with self.db.transaction() as session:
            row = await Credentials(session).find(accessor)
            if row is not None:
                row.revoked_at, row.revoked_because = utcnow(), because

    async def _still_good(self, accessor: str) -> bool:
        """Returns False when the machine was retired while Consul created its token, which is then
        withdrawn.
        """
        async with self.db.transaction() as session:
            row = await Credentials(session).find(accessor)
            if row is not None and row.revoked_at is not None:
                row.withdrawn_at = None
            return row is not None and row.revoked_at is None

    async def _record_failure(self, machine_id: str, engine: str, error: SoundstageError) -> None:
        log.warning("an engine gave no identity", engine=engine, reason=error.message, hint=error.hint)
        async with self.db.transaction() as session:
            machine = await get_machine(session, machine_id)
            await self.journal.emit(
                session, machine, "not_introduced", engine=engine, reason=error.message, hint=error.hint
            )
