"""Remembers, recalls, forgets and exports memories; called by tool, routes, CLI and Brain.

Every memory belongs to its owner; those of others are never read.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from agent.forgetting import Redaction
from agent.memory.index_files import IndexFiles
from agent.memory.indexes import Encoder, Indexes
from agent.memory.models import Memory, MemoryCollection
from agent.memory.repository import Memories
from agent.memory.schemas import Export, MemoryOut, Recalled, Remembered
from agent.sessions.repository import SessionRepository
from policy import Principal
from soundstage.database import Database, enable_secure_delete, new_id, utcnow
from soundstage.errors import Conflict, SoundstageError
from soundstage.telemetry import get_logger

MAX_MEMORIES = 10_000
"""Memories of one owner."""
QUERY_CHARS = 1000
"""The part of a long query that is compared."""
MIN_RELATED = 0.3
"""Least cosine of a memory that is related to a query; unrelated sentences stay below 0.25."""
MIN_IDENTIFIED = 0.5
"""Least cosine of a memory that a few words identify."""
MAX_CONTEXT_MEMORIES = 5
MAX_CONTEXT_CHARS = 1500


_WORD = re.compile(r"[^\W_]+")
_ENDINGS = ("ies", "es", "s", "ing", "ed", "e", "y")
_SHORTEST_STEM = 3
_STOP_WORD_LIST = """
    a about all am an and any are as at be been but by call called can did do does for from had has
    have he her his how i in is it its know like me mine my name named of on or our ours remember
    said say she so tell that the their them there these they thing things this to told us was we
    were what when where which who why will with you your
    """
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


SecretShape = Literal["a password", "a key", "a card number"]

# ISO/IEC 7812: 13 to 19 digits, often in groups, beginning with a payment network's digit.
_CARD = re.compile(r"(?<![\w.])[2-6](?:[ -]?\d){12,18}(?![\w.]?\d)")
_KNOWN_KEYS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9_-]{16,}"
    r"|\bgh[oprsu]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\bxox[abops]-[\w-]{10,}|\bhvs\.[\w-]{20,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|://[^\s/:@]+:[^\s/@]+@"
)
# Not the ids of this product (`rnd_01m8…`), which are public.
_LONG_TOKEN = re.compile(r"(?<![\w/.-])(?![a-z]{2,4}_[0-9a-z]{20,30}\b)[A-Za-z0-9+/_-]{24,}={0,2}(?![\w/.-])")
_NAMED = re.compile(
    r"\b(?P<name>pass(?:word|wd|phrase|code)|pwd|pin(?:[ -]?(?:code|number))?|cvc|cvv|"
    r"(?:api|access|secret|private|wi-?fi|wlan|ssh|licen[cs]e)[ -]?key|"
    r"(?:api|access|auth|bearer|bot)[ -]?token|client[ -]secret|passwort|kennwort|geheimzahl|zugangscode)\b"
    r"[^.?!]{0,60}?(?:\b(?:is|are|was|to|ist|lautet|heißt|war)\b|[:=])\s*[\"'“‘`]?(?P<value>\S+)",
    re.IGNORECASE,
)
_WORDS_ABOUT_IT = """
a an the in on at with by under below kept stored saved written hidden not no never too very changed reset
wrong right secret gone lost old new safe weak strong expired needed required known my your his her our their
be change keep ask es ein eine der die das im auf bei nicht
"""
_NO_VALUE = frozenset(_WORDS_ABOUT_IT.split())


def secret_shape(text: str) -> SecretShape | None:
    """Return what the text seems to hold, or None. A guess: it decides about a question, not a refusal."""
    if any(_passes_luhn(found[0]) for found in _CARD.finditer(text)):
        return "a card number"
    if _KNOWN_KEYS.search(text) or any(_is_mixed(found[0]) for found in _LONG_TOKEN.finditer(text)):
        return "a key"
    if any(_is_value(found) for found in _NAMED.finditer(text)):
        return "a password"
    return None


def _is_value(named: re.Match[str]) -> bool:
    """Returns whether what follows a name is the secret itself, and not a word about it."""
    value = named["value"].strip("\"'“”‘’`.,;:!?").casefold()
    if named["name"].casefold().startswith(("pin", "cv")):
        return any(char.isdigit() for char in value)
    return value not in _NO_VALUE


def _passes_luhn(text: str) -> bool:
    """Check the last digit (ISO/IEC 7812-1, annex B)."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return len(digits) in range(13, 20) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_mixed(token: str) -> bool:
    """Returns whether letters and digits alternate as in random keys, not as in words, names and dates."""
    digits = sum(char.isdigit() for char in token)
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(token))
    return digits >= 4 and changes >= 6


def content_words(text: str) -> frozenset[str]:
    """Returns the stems of the words that are no stop words; of all words where all are."""
    words = [word.lower() for word in _WORD.findall(text)]
    return frozenset(map(_stem, [word for word in words if word not in _STOP_WORDS] or words))


def word_overlap(query: frozenset[str], text: str) -> float:
    """Returns the share of the query's words that are in the text, 0 to 1."""
    return len(query & content_words(text)) / len(query) if query else 0.0


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word.removesuffix(ending)
    return word


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of memories: a principal of a tenant."""

    tenant: str
    subject: str

    @classmethod
    def of(cls, principal: Principal) -> Owner:
        return cls(principal.tenant, principal.id)


def refuse_secret(text: str) -> None:
    """Raise Conflict `memory.looks_secret` for what looks like a password, a key or a card number."""
    if (shape := secret_shape(text)) is not None:
        raise Conflict(
            "memory.looks_secret",
            f"This looks like {shape}. It is not stored yet: what is remembered is shown in conversations, "
            "and may go to a language model.",
            "Keep it in a password manager. To store it all the same, say “remember anyway that …”.",
        )


Redact = Callable[[AsyncSession, Redaction], Awaitable[object]]
"""Redacts deleted memories elsewhere, in the same transaction."""


class MemoryService:
    """The index files lie in `folder`; all that counts is in the database."""

    def __init__(
        self, database: Database, folder: Path, *, maximum: int = MAX_MEMORIES, redact: Redact | None = None
    ) -> None:
        self._database = database
        self._redact = redact
        self._maximum = maximum
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
        """Stores a text from a turn of a session; in a session with a persona, for that persona.

        Raises Conflict `memory.full` at the owner's limit, and `memory.looks_secret` for what looks like a
        password, a key or a card number, unless `keep_secret` is set.
        """
        if not keep_secret:
            refuse_secret(text)
        # Encoded before the transaction: no writer waits for a model under the database's lock.
        vector, model = await self._vector(text)
        async with self._database.transaction() as session:
            memories = Memories(session)
            persona = persona or await _persona_of(session, owner, session_id)
            collection = await self._collection(memories, owner, persona)
            digest = hashlib.sha256(" ".join(text.casefold().split()).encode()).hexdigest()
            if (same := await memories.same(collection.id, digest)) is not None:
                await _add_source(memories, same.id, session_id, turn)
                return Remembered(memory=_out(same, persona), known=True)
            if await memories.count(owner.tenant, owner.subject) >= self._maximum:
                raise Conflict(
                    "memory.full",
                    f"{self._maximum} things are remembered already, and that is the limit.",
                    "Forget something first: “forget what I said about …”.",
                )
            collection.last_number += 1
            row = Memory(
                id=new_id("mem"),
                collection_id=collection.id,
                number=collection.last_number,
                text=text,
                text_sha256=digest,
                vector=vector,
                model=model,
                session_id=session_id,
                created_at=utcnow(),
            )
            await memories.add(row)
            await _add_source(memories, row.id, session_id, turn)
        if vector is not None:
            await self._indexes.catch_up(collection.id)
        return Remembered(memory=_out(row, persona))

    async def recall(
        self, owner: Owner, about: str = "", *, persona: str | None = None, limit: int = 5
    ) -> Recalled:
        """Returns memories related to `about`, the nearest first; without it the newest. With a persona,
        those for it and for all.
        """
        collections = await self._collections(owner, persona)
        if not about.strip():
            async with self._database.session() as session:
                rows = await Memories(session).newest(list(collections), limit)
            return Recalled(
                how="time", memories=tuple(_out(row, collections[row.collection_id]) for row in rows)
            )
        try:
            found = await self._by_meaning(collections, about, limit, MIN_RELATED)
        except SoundstageError as error:
            if not error.code.startswith("memory."):
                raise
            found = await self._by_words(collections, about, limit, 0.34)
            return Recalled(how="words", memories=tuple(found), hint=f"{error.message} {error.hint}")
        return Recalled(how="meaning", memories=tuple(found))

    async def context_for(self, principal: Principal, utterance: str, persona: str | None) -> tuple[str, ...]:
        """Returns a few short memories for the context of a model; none where the memory fails."""
        try:
            recalled = await self.recall(
                Owner.of(principal), utterance, persona=persona, limit=MAX_CONTEXT_MEMORIES
            )
        except SoundstageError as error:
            get_logger(__name__).warning("no memories for an answer", code=error.code)
            return ()
        texts: list[str] = []
        for memory in recalled.memories:
            if sum(map(len, texts)) + len(memory.text) <= MAX_CONTEXT_CHARS:
                texts.append(memory.text)
        return tuple(texts)

    async def identify(self, owner: Owner, about: str, limit: int) -> Sequence[MemoryOut]:
        """Returns the memories that `about` identifies: with all its words, or with nearly its meaning."""
        collections = await self._collections(owner, None)
        found = {one.id: one for one in await self._by_words(collections, about, limit, 1.0)}
        if await self.encoder.missing() is None:
            found |= {
                one.id: one for one in await self._by_meaning(collections, about, limit, MIN_IDENTIFIED)
            }
        return list(found.values())[:limit]

    async def some(self, owner: Owner, ids: Collection[str]) -> Sequence[MemoryOut]:
        """Returns the owner's memories with these ids."""
        collections = await self._collections(owner, None)
        async with self._database.session() as session:
            rows = await Memories(session).some(list(collections), ids)
        return [_out(row, collections[row.collection_id]) for row in rows]

    async def count(self, owner: Owner) -> int:
        async with self._database.session() as session:
            return await Memories(session).count(owner.tenant, owner.subject)

    async def forget(self, owner: Owner, ids: Collection[str] | None) -> int:
        """Deletes these memories, or all for None, with every copy, and redacts their texts elsewhere.

        Returns the number of deleted memories.
        """
        collections = list(await self._collections(owner, None))
        # Files go first: if this process dies now, they are made again from the rows that are left.
        await self._indexes.drop(collections)
        async with self._database.transaction() as session:
            await enable_secure_delete(session)
            memories = Memories(session)
            rows = await memories.collections(owner.tenant, owner.subject)
            if self._redact is not None:
                ours = [row.id for row in rows]
                deleted = await (memories.newest(ours) if ids is None else memories.some(ours, ids))
                source_turns = frozenset(await memories.source_turns([row.id for row in deleted]))
                texts = tuple(row.text for row in deleted)
                await self._redact(session, Redaction(owner.tenant, owner.subject, texts, source_turns))
            gone = await memories.forget(rows, ids, new_id("epo"))
        await self._indexes.drop(collections)
        await self._database.checkpoint_wal()
        return gone

    async def export(self, owner: Owner) -> Export:
        """Returns all memories, the newest first."""
        collections = await self._collections(owner, None)
        async with self._database.session() as session:
            rows = await Memories(session).newest(list(collections))
        memories = tuple(_out(row, collections[row.collection_id]) for row in rows)
        return Export(subject=owner.subject, exported_at=utcnow(), memories=memories)

    async def _vector(self, text: str) -> tuple[bytes | None, str | None]:
        """Returns the embedding; None without the model: the row is encoded when there is one."""
        if await self.encoder.missing() is not None:
            return None, None
        from agent.memory.sentence_model import NAME

        [vector] = await self.encoder.encode([text])
        return vector.astype("<f4").tobytes(), NAME

    async def _collections(self, owner: Owner, persona: str | None) -> dict[str, str]:
        """Returns the persona of each collection by the collection's id."""
        async with self._database.session() as session:
            persona_ids = None if persona is None else {"", persona}
            rows = await Memories(session).collections(owner.tenant, owner.subject, persona_ids)
        return {row.id: row.persona_id for row in rows}

    async def _collection(self, memories: Memories, owner: Owner, persona: str) -> MemoryCollection:
        for found in await memories.collections(owner.tenant, owner.subject, {persona}):
            return found
        collection = MemoryCollection(
            id=new_id("shf"),
            tenant=owner.tenant,
            subject=owner.subject,
            persona_id=persona,
            last_number=0,
            epoch=new_id("epo"),
        )
        await memories.add(collection)
        return collection

    async def _by_meaning(
        self, collections: dict[str, str], about: str, limit: int, minimum: float
    ) -> list[MemoryOut]:
        if not collections:
            return []
        [vector] = await self.encoder.encode([about[:QUERY_CHARS]])
        found: list[MemoryOut] = []
        for collection_id, persona in collections.items():
            near = await self._indexes.search(collection_id, vector, limit)
            cosines = {number: cosine for number, cosine in near if cosine >= minimum}
            async with self._database.session() as session:
                # The rows decide: another process may have deleted some since.
                rows = await Memories(session).by_number(collection_id, cosines)
            found += [_out(row, persona, min(cosines[row.number], 1.0)) for row in rows]
        return sorted(found, key=lambda one: -(one.likeness or 0))[:limit]

    async def _by_words(
        self, collections: dict[str, str], about: str, limit: int, minimum: float
    ) -> list[MemoryOut]:
        query = content_words(about[:QUERY_CHARS])
        async with self._database.session() as session:
            memories = Memories(session)
            texts = await memories.texts(list(collections))
            # In a thread: ten thousand long texts take seconds, and must not block the event loop.
            likeness = await asyncio.to_thread(_similarities, query, texts, minimum)
            best = sorted(likeness, key=lambda id_: -likeness[id_])
            rows = await memories.some(list(collections), best[:limit])
        found = [_out(row, collections[row.collection_id], likeness[row.id]) for row in rows]
        return sorted(found, key=lambda one: -(one.likeness or 0))


async def _persona_of(session: AsyncSession, owner: Owner, session_id: str | None) -> str:
    """Returns the persona of the owner's conversation; "" without one, or for a conversation of others."""
    row = await SessionRepository(session).find(session_id) if session_id else None
    if row is None or Owner(row.tenant, row.principal_id) != owner:
        return ""
    return row.persona_id or ""


async def _add_source(memories: Memories, memory_id: str, session_id: str | None, turn: int | None) -> None:
    if session_id is not None and turn is not None:
        await memories.add_source(memory_id, session_id, turn)


def _similarities(
    query: frozenset[str], texts: Sequence[tuple[str, str]], minimum: float
) -> dict[str, float]:
    """Returns the similarity of each text that reaches `minimum`, by its id."""
    found = {id_: word_overlap(query, text) for id_, text in texts}
    return {id_: likeness for id_, likeness in found.items() if likeness >= minimum}


def _out(row: Memory, persona: str, likeness: float | None = None) -> MemoryOut:
    likeness = None if likeness is None else round(likeness, 3)
    return MemoryOut.model_validate(row).model_copy(update={"persona": persona, "likeness": likeness})
