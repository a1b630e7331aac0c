"""Remembers, recalls, forgets and exports what people ask for; called by tool, routes, CLI and Brain.

Everything is bound to its owner; what somebody else has asked to be remembered is never looked at.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from agent.forgetting import Forgotten
from agent.memory import errors
from agent.memory.encoder import Encoder
from agent.memory.index_files import IndexFiles
from agent.memory.indexes import Indexes
from agent.memory.models import Memory, MemoryShelf
from agent.memory.repository import Memories
from agent.memory.schemas import Export, MemoryOut, Recalled, Remembered
from agent.memory.secret_shapes import secret_shape
from agent.memory.words import shared, telling_words
from agent.sessions.repository import SessionRepository
from policy import Principal
from soundstage.database import Database, new_id, overwriting, utcnow
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

MOST = 10_000
"""Memories of one owner."""
ASKED_CHARS = 1000
"""Of a long question the beginning says what it is about."""
LIKE = 0.3
"""Cosine from which on a memory has to do with a question; unrelated sentences stay below 0.25."""
ALIKE = 0.5
"""Cosine from which on a memory is what somebody means by a word or two."""
MOST_OFFERED = 5
OFFERED_CHARS = 1500


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose memories they are: a principal of a tenant."""

    tenant: str
    subject: str

    @classmethod
    def of(cls, principal: Principal) -> Owner:
        return cls(principal.tenant, principal.id)


def refuse_secret(text: str) -> None:
    """Raise Conflict `memory.looks_secret` for what looks like a password, a key or a card number."""
    if (shape := secret_shape(text)) is not None:
        raise errors.looks_secret(shape)


Forget = Callable[[AsyncSession, Forgotten], Awaitable[object]]
"""Told in the same transaction what is forgotten now."""


class MemoryService:
    """The index files lie in `folder`; all that counts is in the database."""

    def __init__(
        self, database: Database, folder: Path, *, most: int = MOST, forgetting: Forget | None = None
    ) -> None:
        self._database = database
        self._forgetting = forgetting
        self._most = most
        self.encoder = Encoder()
        self._indexes = Indexes(database, self.encoder, IndexFiles(folder))

    async def remember(
        self,
        owner: Owner,
        text: str,
        persona: str = "",
        session_id: str | None = None,
        turn: int | None = None,
        *,
        keep_secret: bool = False,
    ) -> Remembered:
        """Keeps a text, said in a turn of a session; in one that is held with a persona, for that persona.

        Raises Conflict `memory.full` at the owner's limit, and `memory.looks_secret` for what looks like a
        password, a key or a card number, unless `keep_secret` says that the person wants it all the same.
        """
        if not keep_secret:
            refuse_secret(text)
        # Encoded before the transaction: nobody waits for a model under the database's lock.
        vector, model = await self._vector(text)
        async with self._database.transaction() as session:
            memories = Memories(session)
            persona = persona or await _persona_of(session, owner, session_id)
            shelf = await self._shelf(memories, owner, persona)
            digest = hashlib.sha256(" ".join(text.casefold().split()).encode()).hexdigest()
            if (same := await memories.same(shelf.id, digest)) is not None:
                await _note_telling(memories, same.id, session_id, turn)
                return Remembered(memory=_out(same, persona), known=True)
            if await memories.count(owner.tenant, owner.subject) >= self._most:
                raise errors.full(self._most)
            shelf.last_number += 1
            row = Memory(
                id=new_id("mem"),
                shelf_id=shelf.id,
                number=shelf.last_number,
                text=text,
                text_sha256=digest,
                vector=vector,
                model=model,
                session_id=session_id,
                created_at=utcnow(),
            )
            await memories.add(row)
            await _note_telling(memories, row.id, session_id, turn)
        if vector is not None:
            await self._indexes.catch_up(shelf.id)
        return Remembered(memory=_out(row, persona))

    async def recall(
        self, owner: Owner, about: str = "", *, persona: str | None = None, limit: int = 5
    ) -> Recalled:
        """Returns what has to do with `about`, the nearest first; without it the newest. With a persona, what
        is remembered for it and for all.
        """
        shelves = await self._shelves(owner, persona)
        if not about.strip():
            async with self._database.session() as session:
                rows = await Memories(session).newest(list(shelves), limit)
            return Recalled(how="time", memories=tuple(_out(row, shelves[row.shelf_id]) for row in rows))
        try:
            found = await self._by_meaning(shelves, about, limit, LIKE)
        except SoundstageError as error:
            if not error.code.startswith("memory."):
                raise
            found = await self._by_words(shelves, about, limit, 0.34)
            return Recalled(how="words", memories=tuple(found), hint=f"{error.message} {error.hint}")
        return Recalled(how="meaning", memories=tuple(found))

    async def offered(self, principal: Principal, utterance: str, persona: str | None) -> tuple[str, ...]:
        """Returns what a model should know when it answers: few and short. Never a reason for an answer to
        fail.
        """
        try:
            recalled = await self.recall(Owner.of(principal), utterance, persona=persona, limit=MOST_OFFERED)
        except SoundstageError as error:
            get_logger(__name__).warning("no memories for an answer", code=error.code)
            return ()
        texts: list[str] = []
        for memory in recalled.memories:
            if sum(map(len, texts)) + len(memory.text) <= OFFERED_CHARS:
                texts.append(memory.text)
        return tuple(texts)

    async def meant(self, owner: Owner, about: str, limit: int) -> Sequence[MemoryOut]:
        """Returns what somebody means who wants this forgotten: it has all the words, or says nearly the
        same.
        """
        shelves = await self._shelves(owner, None)
        found = {one.id: one for one in await self._by_words(shelves, about, limit, 1.0)}
        if await self.encoder.missing() is None:
            found |= {one.id: one for one in await self._by_meaning(shelves, about, limit, ALIKE)}
        return list(found.values())[:limit]

    async def some(self, owner: Owner, ids: Collection[str]) -> Sequence[MemoryOut]:
        """Those of the ids that are the owner's."""
        shelves = await self._shelves(owner, None)
        async with self._database.session() as session:
            rows = await Memories(session).some(list(shelves), ids)
        return [_out(row, shelves[row.shelf_id]) for row in rows]

    async def count(self, owner: Owner) -> int:
        async with self._database.session() as session:
            return await Memories(session).count(owner.tenant, owner.subject)

    async def forget(self, owner: Owner, ids: Collection[str] | None) -> int:
        """Removes these, or all for None, from the rows, every copy, and wherever else their words stand.

        Gives the count of what is gone.
        """
        shelves = list(await self._shelves(owner, None))
        # Files go first: if this process dies now, they are made again from the rows that are left.
        await self._indexes.drop(shelves)
        async with self._database.transaction() as session:
            await overwriting(session)
            memories = Memories(session)
            rows = await memories.shelves(owner.tenant, owner.subject)
            if self._forgetting is not None:
                ours = [row.id for row in rows]
                said = await (memories.newest(ours) if ids is None else memories.some(ours, ids))
                told_in = frozenset(await memories.tellings([row.id for row in said]))
                texts = tuple(row.text for row in said)
                await self._forgetting(session, Forgotten(owner.tenant, owner.subject, texts, told_in))
            gone = await memories.forget(rows, ids, new_id("epo"))
        await self._indexes.drop(shelves)
        await self._database.fold()
        return gone

    async def export(self, owner: Owner) -> Export:
        """All of it, the newest first."""
        shelves = await self._shelves(owner, None)
        async with self._database.session() as session:
            rows = await Memories(session).newest(list(shelves))
        memories = tuple(_out(row, shelves[row.shelf_id]) for row in rows)
        return Export(subject=owner.subject, exported_at=utcnow(), memories=memories)

    async def _vector(self, text: str) -> tuple[bytes | None, str | None]:
        """Nothing without the model: the row is encoded when there is one."""
        if await self.encoder.missing() is not None:
            return None, None
        from agent.memory.sentence_model import NAME

        [vector] = await self.encoder.encode([text])
        return vector.astype("<f4").tobytes(), NAME

    async def _shelves(self, owner: Owner, persona: str | None) -> dict[str, str]:
        """The persona of each shelf by the shelf's id."""
        async with self._database.session() as session:
            wanted = None if persona is None else {"", persona}
            rows = await Memories(session).shelves(owner.tenant, owner.subject, wanted)
        return {row.id: row.persona_id for row in rows}

    async def _shelf(self, memories: Memories, owner: Owner, persona: str) -> MemoryShelf:
        for found in await memories.shelves(owner.tenant, owner.subject, {persona}):
            return found
        shelf = MemoryShelf(
            id=new_id("shf"),
            tenant=owner.tenant,
            subject=owner.subject,
            persona_id=persona,
            last_number=0,
            epoch=new_id("epo"),
        )
        await memories.add(shelf)
        return shelf

    async def _by_meaning(
        self, shelves: dict[str, str], about: str, limit: int, least: float
    ) -> list[MemoryOut]:
        if not shelves:
            return []
        [vector] = await self.encoder.encode([about[:ASKED_CHARS]])
        found: list[MemoryOut] = []
        for shelf_id, persona in shelves.items():
            near = await self._indexes.search(shelf_id, vector, limit)
            cosines = {number: cosine for number, cosine in near if cosine >= least}
            async with self._database.session() as session:
                # The rows decide: what another process has just forgotten is not found any more.
                rows = await Memories(session).numbered(shelf_id, cosines)
            found += [_out(row, persona, min(cosines[row.number], 1.0)) for row in rows]
        return sorted(found, key=lambda one: -(one.likeness or 0))[:limit]

    async def _by_words(
        self, shelves: dict[str, str], about: str, limit: int, least: float
    ) -> list[MemoryOut]:
        asked = telling_words(about[:ASKED_CHARS])
        async with self._database.session() as session:
            memories = Memories(session)
            texts = await memories.texts(list(shelves))
            # In a thread: ten thousand long texts take seconds, and nobody else waits for them.
            likeness = await asyncio.to_thread(_alike, asked, texts, least)
            best = sorted(likeness, key=lambda id_: -likeness[id_])
            rows = await memories.some(list(shelves), best[:limit])
        found = [_out(row, shelves[row.shelf_id], likeness[row.id]) for row in rows]
        return sorted(found, key=lambda one: -(one.likeness or 0))


async def _persona_of(session: AsyncSession, owner: Owner, session_id: str | None) -> str:
    """With whom the owner's conversation is held; nobody for a conversation that is not the owner's."""
    row = await SessionRepository(session).get(session_id) if session_id else None
    if row is None or Owner(row.tenant, row.principal_id) != owner:
        return ""
    return row.persona_id or ""


async def _note_telling(memories: Memories, memory_id: str, session_id: str | None, turn: int | None) -> None:
    if session_id is not None and turn is not None:
        await memories.told_in(memory_id, session_id, turn)


def _alike(asked: frozenset[str], texts: Sequence[tuple[str, str]], least: float) -> dict[str, float]:
    """Returns how well those of the texts fit that fit well enough, by their ids."""
    found = {id_: shared(asked, text) for id_, text in texts}
    return {id_: likeness for id_, likeness in found.items() if likeness >= least}


def _out(row: Memory, persona: str, likeness: float | None = None) -> MemoryOut:
    return MemoryOut(
        id=row.id,
        text=row.text,
        persona=persona,
        session_id=row.session_id,
        created_at=row.created_at,
        likeness=None if likeness is None else round(likeness, 3),
    )
