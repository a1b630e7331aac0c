"""Broadcasts: a presenter who is sent to an address (RTMP, HLS), and reads what people give them.

A broadcast is a voice session without a person: the same worker speaks and draws. It is stored until
somebody ends it: when its server stops, the next one with a voice worker goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.exc import IntegrityError

from agent.voice.models import BroadcastRow
from agent.voice.repository import StoredBroadcasts
from agent.voice.schemas import Broadcast
from agent.voice.session import Session, session_not_found
from agent.voice.sessions import VoiceSessions
from agent.voice.transports.person import BroadcastPerson
from policy import Principal
from soundstage.background import Worker
from soundstage.database import Database, lease_end, new_id
from soundstage.database.tenants import bypass_tenant_filter, tenant_bypass_context, tenant_scope
from soundstage.errors import Conflict, SoundstageError, TooManyRequests, Unavailable
from soundstage.telemetry import get_logger
from soundstage.views import read_view

POLL_S = 5.0
LEASE_S = 20.0
"""So long after its last poll another server takes over the broadcasts of one."""
log = get_logger(__name__)


@dataclass
class Broadcasts:
    """The broadcasts of this installation, and those that this process serves.

    `find_owner` returns who began a broadcast, with the rights of now; None when the key was revoked.
    """

    voice: VoiceSessions
    database: Database
    find_owner: Callable[[BroadcastRow], Awaitable[Principal | None]]
    _server: str = field(default_factory=lambda: new_id("srv"), init=False)
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    """Held while the open sessions and the rows differ."""
    _begun: set[str] = field(default_factory=set, init=False)
    """Those that this process serves, or has served until just now."""

    def __post_init__(self) -> None:
        self.worker = Worker("broadcasts", self.poll, poll_s=POLL_S, context=tenant_bypass_context)
        """Prolongs the leases of this process, and takes over broadcasts whose server has stopped."""

    async def start(self, principal: Principal, target: str, persona_id: str | None) -> Broadcast:
        """Begins a broadcast. Raises `voice.no_target`, `voice.target_busy`, `voice.no_worker`,
        `voice.too_many`, `voice.face_not_drawn`, `persona.not_found`, `consent.…`.
        """
        # Names a target that is not there before anything is begun.
        self.voice.transports.for_broadcast(target, principal.tenant)
        async with self._changing:
            if await self._has_target(target):
                raise _target_busy(target)
            session = await self.voice.open_broadcast(principal, persona_id, target)
            try:
                async with self.database.transaction() as storing:
                    await StoredBroadcasts(storing).add(self._row(session, target))
            except BaseException as error:
                await self.voice.end(principal, session.id)
                if isinstance(error, IntegrityError):
                    # Another server has begun one meanwhile.
                    raise _target_busy(target) from error
                raise
            self._begun.add(session.id)
        return _view(*self._served()[session.id])

    async def list(self) -> Sequence[Broadcast]:
        """Returns the broadcasts of the current tenant, the latest first."""
        served = self._served()
        # One of this process without a session has just ended.
        return [
            _view(*served[row.id]) if row.id in served else _stored_view(row)
            for row in await self._stored()
            if row.id in served or row.server != self._server
        ]

    async def read(self, broadcast_id: str, text: str) -> Broadcast:
        """Has the presenter say a text, after what is being said. Raises `voice.not_found` and
        `voice.not_live`: nobody would hear it.
        """
        session, person = await self._find(broadcast_id)
        if person.state != "live":
            raise _not_live(person.error or person.state)
        person.error = ""
        await session.instruct({"type": "read", "text": text})
        return _view(session, person)

    async def interrupt(self, broadcast_id: str) -> Broadcast:
        """Ends what is being said. Raises `voice.not_found` and `voice.not_live`."""
        session, person = await self._find(broadcast_id)
        await session.instruct({"type": "interrupt"})
        return _view(session, person)

    async def stop(self, broadcast_id: str) -> None:
        """Ends a broadcast. Raises `voice.not_found`. Another server that serves it ends it soon after."""
        async with self._changing:
            async with self.database.transaction() as changing:
                stored = StoredBroadcasts(changing)
                await stored.delete(await stored.require(broadcast_id, session_not_found(broadcast_id)))
            await self._end({broadcast_id})

    async def poll(self) -> None:
        """Ends what was stopped elsewhere, forgets what has ended here, and takes over what nobody serves,
        where a voice worker is connected.
        """
        async with self._changing:
            if not self._begun and not await self._stored():
                return
            async with self.database.transaction() as changing:
                stored = StoredBroadcasts(changing)
                has_worker = self.voice.status().workers > 0
                rows = {
                    row.id: row
                    for row in (
                        *await stored.renew(self._server, LEASE_S),
                        *(await stored.claim_ended(self._server, LEASE_S) if has_worker else ()),
                    )
                }
                unserved = rows.keys() - self._served().keys()
                await stored.remove(unserved & self._begun)
            await self._end(self._served().keys() - rows.keys())
            over = {one for one in unserved - self._begun if not await self._resume(rows[one])}
            self._begun &= self._served().keys()
            if over:
                async with self.database.transaction() as changing:
                    await StoredBroadcasts(changing).remove(over)

    async def close(self) -> None:
        """Leaves the broadcasts of this process to the next one; their sessions end with it."""
        await self.worker.close()
        # Where the database is away their leases end by themselves.
        with bypass_tenant_filter(), suppress(SoundstageError):
            async with self.database.transaction() as changing:
                await StoredBroadcasts(changing).release(self._server)

    async def _resume(self, row: BroadcastRow) -> bool:
        """Serves a broadcast of another process. Returns False for one that must not, or cannot, go on."""
        principal = await self.find_owner(row)
        if principal is None or not principal.may("publication:create"):
            log.warning("voice.broadcast_ended", broadcast=row.id, error="no longer allowed")
            return False
        try:
            with tenant_scope(row.tenant):
                self.voice.transports.for_broadcast(row.target, row.tenant)
                await self.voice.open_broadcast(principal, row.persona_id, row.target, row.id)
        except (Unavailable, TooManyRequests):
            return True
        except SoundstageError as error:
            log.warning("voice.broadcast_ended", broadcast=row.id, error=error.code)
            return False
        self._begun.add(row.id)
        log.info("voice.broadcast_resumed", broadcast=row.id)
        return True

    async def _stored(self) -> Sequence[BroadcastRow]:
        async with self.database.session() as reading:
            return await StoredBroadcasts(reading).list()

    async def _has_target(self, target: str) -> bool:
        """Returns whether any tenant broadcasts to it."""
        with bypass_tenant_filter():
            async with self.database.session() as reading:
                return await StoredBroadcasts(reading).has_target(target)

    async def _end(self, ids: Set[str]) -> None:
        served = self._served()
        for session, _ in (served[one] for one in ids & served.keys()):
            await self.voice.end(session.principal, session.id)

    async def _find(self, broadcast_id: str) -> tuple[Session, BroadcastPerson]:
        """Returns a broadcast of the tenant: whoever may publish may end a colleague's, too."""
        async with self.database.session() as reading:
            await StoredBroadcasts(reading).require(broadcast_id, session_not_found(broadcast_id))
        served = self._served()
        if broadcast_id not in served:
            raise _not_live("waiting")
        return served[broadcast_id]

    def _served(self) -> dict[str, tuple[Session, BroadcastPerson]]:
        """Returns the broadcasts of this process by id."""
        return {one.id: (one, one.broadcast) for one in self.voice.all() if one.broadcast is not None}

    def _row(self, session: Session, target: str) -> BroadcastRow:
        return BroadcastRow(
            id=session.id,
            target=target,
            persona_id=session.persona.id,
            owner=session.principal,
            created_at=session.created_at,
            server=self._server,
            claimed_until=lease_end(LEASE_S),
        )


def _view(session: Session, person: BroadcastPerson) -> Broadcast:
    return Broadcast(
        id=session.id,
        to=person.target,
        persona_id=session.persona.id,
        state=person.state,
        speaking=session.state == "speaking",
        error=person.error,
        created_at=session.created_at,
    )


def _stored_view(row: BroadcastRow) -> Broadcast:
    """Returns a broadcast that this process does not serve."""
    return read_view(Broadcast, row, to=row.target, state="waiting", speaking=False, error="")


def _not_live(why: str) -> Unavailable:
    return Unavailable(
        "voice.not_live",
        f"The broadcast is not live: {why}.",
        "Say the text again when it is: `soundstage live list`.",
        headers={"Retry-After": "5"},
    )


def _target_busy(target: str) -> Conflict:
    return Conflict(
        "voice.target_busy",
        f"A presenter is being broadcast to {target} already.",
        "End that broadcast: `soundstage live stop`.",
    )
