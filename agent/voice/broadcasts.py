"""Broadcasts: a presenter who is sent to an address (RTMP, HLS), and reads what people give them.

A broadcast is a voice session without a person: the same worker speaks and draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.voice.schemas import Broadcast
from agent.voice.session import Session, session_not_found
from agent.voice.sessions import VoiceSessions
from agent.voice.transports.person import BroadcastPerson
from policy import Principal
from soundstage.errors import Conflict, Unavailable


@dataclass
class Broadcasts:
    """The broadcasts of this process."""

    voice: VoiceSessions
    _starting: set[str] = field(default_factory=set, init=False)

    async def start(self, principal: Principal, target: str, persona_id: str | None) -> Broadcast:
        """Begins a broadcast. Raises `voice.no_target`, `voice.target_busy`, `voice.no_worker`,
        `voice.too_many`, `voice.face_not_drawn`, `persona.not_found`, `consent.…`.
        """
        # Names a target that is not there before anything is begun.
        self.voice.transports.for_broadcast(target, principal.tenant)
        if target in self._starting or any(person.target == target for _, person in self._all()):
            raise Conflict(
                "voice.target_busy",
                f"A presenter is being broadcast to {target} already.",
                "End that broadcast: `soundstage live stop`.",
            )
        self._starting.add(target)
        try:
            session = await self.voice.open_broadcast(principal, persona_id, target)
        finally:
            self._starting.discard(target)
        return _view(*self._find(principal, session.id))

    def list(self, principal: Principal) -> Sequence[Broadcast]:
        """Returns the broadcasts of this tenant, the latest first."""
        own = [_view(*one) for one in self._all() if one[0].principal.tenant == principal.tenant]
        return sorted(own, key=lambda one: one.created_at, reverse=True)

    async def read(self, principal: Principal, broadcast_id: str, text: str) -> Broadcast:
        """Has the presenter say a text, after what is being said. Raises `voice.not_found` and
        `voice.not_live`: nobody would hear it.
        """
        session, person = self._find(principal, broadcast_id)
        if person.state != "live":
            raise Unavailable(
                "voice.not_live",
                f"The broadcast is not live: {person.error or person.state}.",
                "Say the text again when it is: `soundstage live list`.",
                headers={"Retry-After": "5"},
            )
        person.error = ""
        await session.instruct({"type": "read", "text": text})
        return _view(session, person)

    async def interrupt(self, principal: Principal, broadcast_id: str) -> Broadcast:
        """Ends what is being said. Raises `voice.not_found`."""
        session, person = self._find(principal, broadcast_id)
        await session.instruct({"type": "interrupt"})
        return _view(session, person)

    async def stop(self, principal: Principal, broadcast_id: str) -> None:
        """Ends a broadcast. Raises `voice.not_found`."""
        session, _ = self._find(principal, broadcast_id)
        await self.voice.end(session.principal, session.id)

    def _find(self, principal: Principal, broadcast_id: str) -> tuple[Session, BroadcastPerson]:
        """Returns a broadcast of the tenant: whoever may publish may end a colleague's, too."""
        for session, person in self._all():
            if session.id == broadcast_id and session.principal.tenant == principal.tenant:
                return session, person
        raise session_not_found(broadcast_id)

    def _all(self) -> Sequence[tuple[Session, BroadcastPerson]]:
        return [(one, one.broadcast) for one in self.voice.all() if one.broadcast is not None]


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
