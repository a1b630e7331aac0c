"""Saves, lists, loads, compares and deletes named states of conversations; called by tool, routes and CLI.

Each is its owner's: a principal of a tenant. Somebody else's does not exist for the asker.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from agent.sessions.models import AgentSession
from agent.sessions.repository import SessionRepository
from agent.sessions.schemas import TurnOut
from agent.sessions.service import SessionService
from agent.snapshots import errors
from agent.snapshots.comparing import differences
from agent.snapshots.models import Continuation, Snapshot
from agent.snapshots.repository import Snapshots
from agent.snapshots.schemas import Compared, KeptTurn, Loaded, Meant, SnapshotDetail, SnapshotOut, State
from policy import Principal
from soundstage.database import Database, new_id, utcnow
from soundstage.errors import NotFound
from soundstage.paging import Page, PageRequest
from studio.projects.service import ProjectService
from studio.renders.service import RenderService

MOST = 100
"""Snapshots of one owner."""
NOT_IN_NAMES = frozenset("/\\")
"""Addresses hold the names; servers and proxies take these apart, escaped or not."""
MOST_TURNS = 100
TOOL = "snapshots"
KEPT_CHARS = 4000
"""Of each utterance and each answer."""


class SnapshotService:
    def __init__(
        self,
        database: Database,
        sessions: SessionService,
        renders: RenderService,
        projects: ProjectService,
        *,
        most: int = MOST,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._renders = renders
        self._projects = projects
        self._most = most

    async def save(
        self, principal: Principal, name: str, session_id: str | None = None, *, replace: bool = False
    ) -> SnapshotOut:
        """The state of a conversation under a name; of the one that was talked in last when none is named.

        Raises Conflict `snapshot.exists` unless it shall replace the one of that name.
        """
        row = await self._conversation(principal, session_id)
        state = await self._state(row)
        async with self._database.transaction() as session:
            snapshots = Snapshots(session)
            kept = await self._place(snapshots, principal, name, replace)
            if kept is None:
                kept = Snapshot(
                    id=new_id("snp"), tenant=principal.tenant, owner_id=principal.id, name_key=_key(name)
                )
            kept.name, kept.session_id, kept.saved_at = name, row.id, utcnow()
            kept.state, kept.turns = state.model_dump(mode="json"), len(state.turns)
            await snapshots.add(kept)
            return SnapshotOut.model_validate(kept)

    async def plan_save(
        self, principal: Principal, name: str, session_id: str, *, replace: bool = False
    ) -> tuple[int, SnapshotOut | None]:
        """Returns how many turns `save` would keep, and what it would write over; raises what it would."""
        state = await self._state(await self._conversation(principal, session_id))
        async with self._database.session() as session:
            kept = await self._place(Snapshots(session), principal, name, replace)
            return len(state.turns), None if kept is None else SnapshotOut.model_validate(kept)

    async def list(self, principal: Principal) -> Sequence[SnapshotOut]:
        """One's own, the newest first."""
        async with self._database.session() as session:
            rows = await Snapshots(session).of_owner(principal.tenant, principal.id)
            return [SnapshotOut.model_validate(row) for row in rows]

    async def find_page(self, principal: Principal, request: PageRequest) -> Page[SnapshotOut]:
        """The same, from the place of a cursor on."""
        async with self._database.session() as session:
            page = await Snapshots(session).page(principal.tenant, principal.id, request)
            return page.of([SnapshotOut.model_validate(row) for row in page.items])

    async def get(self, principal: Principal, name: str) -> SnapshotDetail:
        async with self._database.session() as session:
            row = await self._named(Snapshots(session), principal, name)
            return SnapshotDetail.model_validate(row)

    async def load(self, principal: Principal, name: str, session_id: str | None = None) -> Loaded:
        """Lets a conversation go on from there: what was said, what "it" means, with whom it is held.

        What was said in it before stays where it was said, and is not gone on from.
        """
        if session_id is None:
            session_id = (await self._sessions.open(principal)).id
        async with self._database.transaction() as session:
            snapshots = Snapshots(session)
            kept = SnapshotDetail.model_validate(await self._named(snapshots, principal, name))
            row = await _own(session, principal, session_id)
            state = kept.state
            row.persona_id = state.persona_id
            row.last_render_id = state.render.id if state.render else None
            row.last_project_id = state.project.id if state.project else None
            row.title = row.title or state.title
            row.updated_at = utcnow()
            going_on = await snapshots.continuation(row.id) or Continuation(session_id=row.id)
            going_on.snapshot_name, going_on.after_turn, going_on.loaded_at = kept.name, row.turns, utcnow()
            going_on.turns = [turn.model_dump(mode="json") for turn in state.turns]
            await snapshots.add(going_on)
        return Loaded(session_id=session_id, snapshot=kept, state=state)

    async def delete(self, principal: Principal, name: str) -> SnapshotOut:
        """Conversations that go on from it keep what they took over."""
        async with self._database.transaction() as session:
            snapshots = Snapshots(session)
            row = await self._named(snapshots, principal, name)
            gone = SnapshotOut.model_validate(row)
            await snapshots.delete(row)
            return gone

    async def compare(
        self, principal: Principal, name: str, *, other: str | None = None, session_id: str | None = None
    ) -> Compared:
        """A snapshot with another one, or with a conversation as it is now."""
        before = await self.get(principal, name)
        if other is not None:
            after, called = (await self.get(principal, other)).state, other
        else:
            row = await self._conversation(principal, session_id)
            after, called = await self._state(row), row.id
        now = await self._video(before.state.render.id) if before.state.render else None
        found = differences(before.state, after, now)
        return Compared(name=before.name, other=called, differences=found)

    async def history(self, session_id: str, own: Sequence[TurnOut]) -> Sequence[TurnOut]:
        """Returns what a conversation goes on from: what it took over, and its own turns since."""
        async with self._database.session() as session:
            going_on = await Snapshots(session).continuation(session_id)
        if going_on is None:
            return own
        taken = [
            TurnOut(number=number, trace_id=None, **KeptTurn.model_validate(turn).model_dump())
            for number, turn in enumerate(going_on.turns, start=1)
        ]
        return [*taken, *(turn for turn in own if turn.number > going_on.after_turn)]

    async def _state(self, row: AgentSession) -> State:
        async with self._database.session() as session:
            own = [
                TurnOut.model_validate(turn)
                for turn in await SessionRepository(session).turns(row.id, MOST_TURNS + 1)
                # Talking about snapshots is no part of what they hold.
                if turn.finished_at is not None and turn.tool != TOOL
            ]
        turns = [_kept(turn) for turn in await self.history(row.id, own)]
        return State(
            title=row.title,
            persona_id=row.persona_id,
            render=await self._video(row.last_render_id) if row.last_render_id else None,
            project=await self._project(row.last_project_id) if row.last_project_id else None,
            turns=tuple(turns[-MOST_TURNS:]),
            left_out=max(row.turns - MOST_TURNS, 0),
        )

    async def _video(self, render_id: str) -> Meant | None:
        try:
            view = await self._renders.get(render_id)
        except NotFound:
            return None
        return Meant(id=view.id, title=view.title, state=view.state)

    async def _project(self, project_id: str) -> Meant | None:
        try:
            view = await self._projects.get(project_id)
        except NotFound:
            return None
        return Meant(id=view.id, title=view.title)

    async def _conversation(self, principal: Principal, session_id: str | None) -> AgentSession:
        async with self._database.session() as session:
            if session_id is not None:
                return await _own(session, principal, session_id)
            for row in await SessionRepository(session).of_principal(principal, 1):
                return row
        raise errors.no_conversation()

    async def _place(
        self, snapshots: Snapshots, principal: Principal, name: str, replace: bool
    ) -> Snapshot | None:
        """Returns what a new one is put in the place of; None where the name is free and there is room."""
        if set(name) & NOT_IN_NAMES or name in (".", ".."):
            raise errors.bad_name(name)
        kept = await snapshots.named(principal.tenant, principal.id, _key(name))
        if kept is not None and not replace:
            raise errors.name_taken(kept.name)
        if kept is None and await snapshots.count(principal.tenant, principal.id) >= self._most:
            raise errors.too_many(self._most)
        return kept

    async def _named(self, snapshots: Snapshots, principal: Principal, name: str) -> Snapshot:
        row = await snapshots.named(principal.tenant, principal.id, _key(name))
        if row is None:
            others = await snapshots.of_owner(principal.tenant, principal.id)
            raise errors.no_snapshot(name, [other.name for other in others])
        return row


async def _own(session: AsyncSession, principal: Principal, session_id: str) -> AgentSession:
    row = await SessionRepository(session).own(principal, session_id)
    if row is None:
        raise NotFound(
            "session.not_found", f"There is no session {session_id}.", hint="Leave it out to start one."
        )
    return row


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _kept(turn: TurnOut) -> KeptTurn:
    kept = KeptTurn.model_validate(turn)
    return kept.model_copy(
        update={"utterance": kept.utterance[:KEPT_CHARS], "reply": kept.reply[:KEPT_CHARS]}
    )
