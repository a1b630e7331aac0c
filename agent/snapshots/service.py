"""Saves, lists, loads, compares and deletes named states of conversations; called by tool, routes and CLI.

Each is its owner's: a principal of a tenant. Another owner's does not exist for the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from difflib import get_close_matches

from agent.presentation.text import count
from agent.sessions.models import AgentSession
from agent.sessions.repository import SessionRepository
from agent.sessions.schemas import TurnOut
from agent.sessions.service import SessionService
from agent.snapshots.models import Continuation, Snapshot
from agent.snapshots.repository import Snapshots
from agent.snapshots.schemas import (
    Compared,
    Difference,
    Loaded,
    Referent,
    SnapshotDetail,
    SnapshotOut,
    SnapshotTurn,
    State,
)
from policy import Principal
from soundstage.database import Database, new_id, utcnow
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.one_line import shorten
from soundstage.paging import Page, PageRequest
from studio.projects.service import ProjectService
from studio.renders.service import RenderService

MAX_SNAPSHOTS = 100
"""Snapshots of one owner."""
NOT_IN_NAMES = frozenset("/\\")
"""Addresses hold the names; servers and proxies take these apart, escaped or not."""
MAX_TURNS = 100
TOOL = "snapshots"
MAX_TEXT_CHARS = 4000
"""Of each utterance and each answer."""


MAX_LISTED = 10
LISTED_CHARS = 80


def differences(before: State, after: State, now: Referent | None) -> tuple[Difference, ...]:
    """Returns the differences from `before` to `after`. `now` is the present video of `before`."""
    return (*_turns(before, after), *_referents(before, after), *_state(before.render, now))


def _turns(before: State, after: State) -> Iterator[Difference]:
    old, new = _aligned(before.turns, after.turns)
    same = 0
    while same < min(len(old), len(new)) and _is_same(old[same], new[same]):
        same += 1
    gone, added = old[same:], new[same:]
    if gone:
        lost = f"{count(len(gone), 'turn')} of the snapshot {'is' if len(gone) == 1 else 'are'} not in it."
        yield Difference(kind="turns", sentence=lost)
    if added:
        lines = [
            f"  • {shorten(' '.join(turn.utterance.split()), LISTED_CHARS)}" for turn in added[:MAX_LISTED]
        ]
        if len(added) > MAX_LISTED:
            lines.append(f"  • and {len(added) - MAX_LISTED} more")
        listing = "\n".join([f"{count(len(added), 'turn')} came after it:", *lines])
        yield Difference(kind="turns", sentence=listing)


def _aligned(
    old: tuple[SnapshotTurn, ...], new: tuple[SnapshotTurn, ...]
) -> tuple[tuple[SnapshotTurn, ...], tuple[SnapshotTurn, ...]]:
    """Returns both from the same turn on: the beginning of a long conversation is not stored."""
    if old and new:
        for place, turn in enumerate(old):
            if _is_same(turn, new[0]):
                return old[place:], new
        for place, turn in enumerate(new):
            if _is_same(turn, old[0]):
                return old, new[place:]
    return old, new


def _referents(before: State, after: State) -> Iterator[Difference]:
    if _id(before.render) != _id(after.render):
        then, today = _named(before.render), _named(after.render)
        yield Difference(kind="video", sentence=f"“It” meant {then}, and means {today} now.")
    if _id(before.project) != _id(after.project):
        then, today = _named(before.project), _named(after.project)
        yield Difference(kind="project", sentence=f"The project was {then}, and is {today} now.")
    if before.persona_id != after.persona_id:
        then, today = before.persona_id or "nobody", after.persona_id or "nobody"
        yield Difference(kind="persona", sentence=f"It was held with {then}, and is held with {today} now.")


def _state(then: Referent | None, now: Referent | None) -> Iterator[Difference]:
    if then is None or then.state is None:
        return
    if now is None:
        yield Difference(kind="video_state", sentence=f"“{then.title}” was {then.state}, and is deleted now.")
    elif now.state != then.state:
        sentence = f"“{then.title}” was {then.state}, and is {now.state} now."
        yield Difference(kind="video_state", sentence=sentence)


def _is_same(one: SnapshotTurn, other: SnapshotTurn) -> bool:
    return (one.started_at, one.utterance) == (other.started_at, other.utterance)


def _id(referent: Referent | None) -> str | None:
    return None if referent is None else referent.id


def _named(referent: Referent | None) -> str:
    return "nothing" if referent is None else f"“{referent.title}”"


@dataclass
class SnapshotService:
    database: Database
    sessions: SessionService
    renders: RenderService
    projects: ProjectService
    _: KW_ONLY
    maximum: int = MAX_SNAPSHOTS

    async def save(
        self, principal: Principal, name: str, session_id: str | None = None, *, replace: bool = False
    ) -> SnapshotOut:
        """Saves the state of a conversation under a name; the latest conversation when none is named.

        Raises Conflict `snapshot.exists` unless it shall replace the one of that name.
        """
        row = await self._conversation(principal, session_id)
        state = await self._state(row)
        async with self.database.transaction() as session:
            snapshots = Snapshots(session)
            snapshot = await self._place(snapshots, principal, name, replace)
            if snapshot is None:
                snapshot = Snapshot(
                    id=new_id("snp"), tenant=principal.tenant, owner_id=principal.id, name_key=_key(name)
                )
            snapshot.name, snapshot.session_id, snapshot.saved_at = name, row.id, utcnow()
            snapshot.state, snapshot.turns = state.model_dump(mode="json"), len(state.turns)
            await snapshots.add(snapshot)
            return SnapshotOut.model_validate(snapshot)

    async def plan_save(
        self, principal: Principal, name: str, session_id: str, *, replace: bool = False
    ) -> tuple[int, SnapshotOut | None]:
        """Returns how many turns `save` would store, and what it would replace; raises as it would."""
        state = await self._state(await self._conversation(principal, session_id))
        async with self.database.session() as session:
            snapshot = await self._place(Snapshots(session), principal, name, replace)
            return len(state.turns), None if snapshot is None else SnapshotOut.model_validate(snapshot)

    async def list(self, principal: Principal) -> Sequence[SnapshotOut]:
        """Returns the principal's own, the newest first."""
        async with self.database.session() as session:
            rows = await Snapshots(session).of_owner(principal.tenant, principal.id)
            return [SnapshotOut.model_validate(row) for row in rows]

    async def find_page(self, principal: Principal, request: PageRequest) -> Page[SnapshotOut]:
        """Returns a page of them."""
        async with self.database.session() as session:
            page = await Snapshots(session).page(principal.tenant, principal.id, request)
            return page.of([SnapshotOut.model_validate(row) for row in page.items])

    async def get(self, principal: Principal, name: str) -> SnapshotDetail:
        async with self.database.session() as session:
            row = await self._named(Snapshots(session), principal, name)
            return SnapshotDetail.model_validate(row)

    async def load(self, principal: Principal, name: str, session_id: str | None = None) -> Loaded:
        """Continues a conversation from a snapshot: its turns, the referents of "it", its persona.

        Earlier turns of the conversation stay stored, and are no longer part of its history.
        """
        if session_id is None:
            session_id = (await self.sessions.open(principal)).id
        async with self.database.transaction() as session:
            snapshots = Snapshots(session)
            snapshot = SnapshotDetail.model_validate(await self._named(snapshots, principal, name))
            row = await SessionRepository(session).require_own(principal, session_id)
            state = snapshot.state
            row.persona_id = state.persona_id
            row.last_render_id = state.render.id if state.render else None
            row.last_project_id = state.project.id if state.project else None
            row.title = row.title or state.title
            row.updated_at = utcnow()
            continuation = await snapshots.continuation(row.id) or Continuation(session_id=row.id)
            continuation.snapshot_name, continuation.after_turn, continuation.loaded_at = (
                snapshot.name,
                row.turns,
                utcnow(),
            )
            continuation.turns = [turn.model_dump(mode="json") for turn in state.turns]
            await snapshots.add(continuation)
        return Loaded(session_id=session_id, snapshot=snapshot, state=state)

    async def delete(self, principal: Principal, name: str) -> SnapshotOut:
        """Deletes a snapshot. Conversations that continue from it keep its turns."""
        async with self.database.transaction() as session:
            snapshots = Snapshots(session)
            row = await self._named(snapshots, principal, name)
            gone = SnapshotOut.model_validate(row)
            await snapshots.delete(row)
            return gone

    async def compare(
        self, principal: Principal, name: str, *, other: str | None = None, session_id: str | None = None
    ) -> Compared:
        """Compares a snapshot with another one, or with the present state of a conversation."""
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
        async with self.database.session() as session:
            continuation = await Snapshots(session).continuation(session_id)
        if continuation is None:
            return own
        taken = [
            TurnOut(number=number, trace_id=None, **SnapshotTurn.model_validate(turn).model_dump())
            for number, turn in enumerate(continuation.turns, start=1)
        ]
        return [*taken, *(turn for turn in own if turn.number > continuation.after_turn)]

    async def _state(self, row: AgentSession) -> State:
        async with self.database.session() as session:
            own = [
                TurnOut.model_validate(turn)
                for turn in await SessionRepository(session).turns(row.id, MAX_TURNS + 1)
                # Turns about snapshots are no part of them.
                if turn.finished_at is not None and turn.tool != TOOL
            ]
        turns = [_snapshot_turn(turn) for turn in await self.history(row.id, own)]
        return State(
            title=row.title,
            persona_id=row.persona_id,
            render=await self._video(row.last_render_id) if row.last_render_id else None,
            project=await self._project(row.last_project_id) if row.last_project_id else None,
            turns=tuple(turns[-MAX_TURNS:]),
            left_out=max(row.turns - MAX_TURNS, 0),
        )

    async def _video(self, render_id: str) -> Referent | None:
        try:
            view = await self.renders.get(render_id)
        except NotFound:
            return None
        return Referent(id=view.id, title=view.title, state=view.state)

    async def _project(self, project_id: str) -> Referent | None:
        try:
            view = await self.projects.get(project_id)
        except NotFound:
            return None
        return Referent(id=view.id, title=view.title)

    async def _conversation(self, principal: Principal, session_id: str | None) -> AgentSession:
        async with self.database.session() as session:
            if session_id is not None:
                return await SessionRepository(session).require_own(principal, session_id)
            for row in await SessionRepository(session).of_principal(principal, 1):
                return row
        raise NotFound(
            "snapshot.no_conversation", "There is no conversation of yours yet.", "Say something first."
        )

    async def _place(
        self, snapshots: Snapshots, principal: Principal, name: str, replace: bool
    ) -> Snapshot | None:
        """Returns the snapshot that a new one replaces; None for a free name within the limit."""
        if set(name) & NOT_IN_NAMES or name in (".", ".."):
            raise Invalid(
                "snapshot.bad_name",
                f"A snapshot cannot be called {name!r}: a name holds no slashes, and is not only dots.",
                "Choose another name.",
                field="name",
            )
        snapshot = await snapshots.by_name(principal.tenant, principal.id, _key(name))
        if snapshot is not None and not replace:
            raise Conflict(
                "snapshot.exists",
                f"There is a snapshot called {snapshot.name!r} already.",
                f"Say “save this over {snapshot.name}”, or choose another name.",
                field="name",
            )
        if snapshot is None and await snapshots.count(principal.tenant, principal.id) >= self.maximum:
            raise Conflict(
                "snapshot.too_many",
                f"You have {self.maximum} snapshots, and that is the limit.",
                "Delete one that is not needed any more.",
            )
        return snapshot

    async def _named(self, snapshots: Snapshots, principal: Principal, name: str) -> Snapshot:
        row = await snapshots.by_name(principal.tenant, principal.id, _key(name))
        if row is None:
            others = await snapshots.of_owner(principal.tenant, principal.id)
            raise _no_snapshot(name, [other.name for other in others])
        return row


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _snapshot_turn(turn: TurnOut) -> SnapshotTurn:
    copy = SnapshotTurn.model_validate(turn)
    return copy.model_copy(
        update={"utterance": copy.utterance[:MAX_TEXT_CHARS], "reply": copy.reply[:MAX_TEXT_CHARS]}
    )


def _no_snapshot(name: str, there_are: Iterable[str]) -> NotFound:
    """Returns the error for an unknown name, with the nearest name as a hint."""
    names = sorted(there_are)
    near = get_close_matches(name.casefold(), [one.casefold() for one in names], n=1, cutoff=0.6)
    similar = [one for one in names if one.casefold() in near]
    if similar:
        hint = f"Did you mean {similar[0]!r}?"
    else:
        hint = f"There are: {', '.join(names[:10])}." if names else "Say “save this as …” to make one."
    return NotFound("snapshot.not_found", f"There is no snapshot called {name!r}.", hint)
