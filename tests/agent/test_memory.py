"""What is remembered: found by meaning, forgotten for good, one's own only, whole after any crash."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text, update
from table_templates import CreateTables

from agent.memory import indexes, sentence_files, service
from agent.memory.index import MeaningIndex
from agent.memory.index_files import IndexFiles
from agent.memory.models import Memory, MemoryCollection
from agent.memory.sentence_model import SentenceModel
from agent.memory.service import MemoryService, Owner, word_overlap
from app.tables import all_tables
from policy import Principal
from soundstage.database import Database
from soundstage.errors import Conflict

pytestmark = pytest.mark.each_database
REMEMBERER = Path(__file__).with_name("rememberer.py")
WAIT_S = 120
ADA, BOB = Owner("default", "key_ada"), Owner("default", "key_bob")
CHANNEL, TIDES = "our channel is called Bluebird", "the tide is high twice a day"

needs_model = pytest.mark.skipif(
    not sentence_files.is_installed(), reason="needs the sentence model: uv sync --extra memory"
)


@pytest.fixture
async def database(database_url: str, create_tables: CreateTables) -> AsyncIterator[Database]:
    opened = Database(database_url)
    all_tables()
    await create_tables(opened)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def model() -> SentenceModel | None:
    return SentenceModel.load() if sentence_files.is_installed() else None


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch, model: SentenceModel | None) -> None:
    """The model is loaded once for all these tests: checking its files takes longer than most of them."""
    load = SentenceModel.load
    monkeypatch.setattr(
        SentenceModel, "load", lambda: model if model and sentence_files.is_installed() else load()
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "memory"


@pytest.fixture
def memory(database: Database, folder: Path) -> MemoryService:
    return MemoryService(database, folder)


def index_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.faiss"))


def contents(folder: Path) -> set[bytes]:
    """Of all that lies in the folder."""
    return {file.read_bytes() for file in folder.iterdir()} if folder.exists() else set()


async def told(memory: MemoryService, about: str, owner: Owner = ADA) -> list[str]:
    return [one.text for one in (await memory.recall(owner, about)).memories]


@needs_model
async def test_what_was_said_is_found_by_its_meaning_and_not_by_its_words(memory: MemoryService) -> None:
    await memory.remember(ADA, CHANNEL)
    await memory.remember(ADA, TIDES)
    found = await memory.recall(ADA, "what happens to the sea level?")
    assert (found.how, [one.text for one in found.memories]) == ("meaning", [TIDES])
    assert await told(memory, "the name that viewers know us by on the channel") == [CHANNEL]
    assert await told(memory, "a recipe for pancakes") == []
    assert await told(memory, "") == [TIDES, CHANNEL]


async def test_nobody_sees_what_another_person_or_tenant_has_told(memory: MemoryService) -> None:
    await memory.remember(ADA, CHANNEL)
    for other in (BOB, Owner("another", ADA.subject)):
        assert await told(memory, "the channel", other) == []
        assert (await memory.export(other)).memories == ()
        assert await memory.count(other) == 0
        assert await memory.forget(other, None) == 0
        [stored] = (await memory.export(ADA)).memories
        assert await memory.forget(other, [stored.id]) == 0
    assert await told(memory, "the channel") == [CHANNEL]


async def test_what_is_told_to_one_persona_is_found_with_it_and_without_any(memory: MemoryService) -> None:
    await memory.remember(ADA, CHANNEL, "nova")
    await memory.remember(ADA, "the channel has a blue logo")
    with_nova = await memory.recall(ADA, "channel", persona="nova")
    assert {(one.text, one.persona) for one in with_nova.memories} == {
        (CHANNEL, "nova"),
        ("the channel has a blue logo", ""),
    }
    with_another = await memory.recall(ADA, "channel", persona="zeno")
    assert [one.text for one in with_another.memories] == ["the channel has a blue logo"]
    assert len(await told(memory, "channel")) == 2


async def test_the_same_words_are_kept_once(memory: MemoryService) -> None:
    first = await memory.remember(ADA, CHANNEL)
    again = await memory.remember(ADA, "Our  Channel is called bluebird")
    assert (first.known, again.known, again.memory.id) == (False, True, first.memory.id)


async def test_there_is_a_limit_and_it_is_each_owner_s_own(database: Database, folder: Path) -> None:
    memory = MemoryService(database, folder, maximum=2)
    await memory.remember(ADA, CHANNEL)
    await memory.remember(ADA, TIDES, "nova")
    with pytest.raises(Conflict) as full:
        await memory.remember(ADA, "one thing more")
    assert full.value.code == "memory.full"
    await memory.remember(BOB, "one thing more")


async def test_what_is_forgotten_is_in_no_row_no_file_and_no_index(
    memory: MemoryService, database: Database, folder: Path
) -> None:
    secret = "the wedding is a surprise for Walburga"
    stored = await memory.remember(ADA, secret)
    await memory.remember(ADA, TIDES)
    vectors = contents(folder)
    assert await memory.forget(ADA, [stored.memory.id]) == 1
    assert not contents(folder) & vectors
    assert await told(memory, "the wedding") == []
    async with database.session() as session:
        assert [row.text for row in await session.scalars(select(Memory))] == [TIDES]
    assert not contents(folder) & vectors
    if database.path is not None:
        await database.close()
        assert secret.encode() not in database.path.read_bytes()


@needs_model
async def test_another_process_has_forgotten_and_this_one_s_index_does_not_know_it_any_more(
    memory: MemoryService, database: Database, folder: Path
) -> None:
    other = MemoryService(database, folder)
    stored = await memory.remember(ADA, CHANNEL)
    await memory.remember(ADA, TIDES)
    assert await told(other, "channel") == [CHANNEL]
    await other.forget(ADA, [stored.memory.id])
    assert await told(memory, "channel") == []
    assert [len(index) for index in memory._indexes._cache.values()] == [1]
    await other.remember(ADA, "our channel is called Low Tide")
    assert await told(memory, "what is the channel called") == ["our channel is called Low Tide"]


@needs_model
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "foreign", "gone", "folder"])
async def test_a_broken_index_file_is_made_anew_from_the_rows_and_nobody_hears_of_it(
    memory: MemoryService, database: Database, folder: Path, damage: str
) -> None:
    await memory.remember(ADA, CHANNEL)
    await memory.remember(ADA, TIDES)
    [file] = index_files(folder)
    content = file.read_bytes()
    broken = {
        "cut": content[:-100],
        "flipped": content[:-7] + bytes([content[-7] ^ 1]) + content[-6:],
        "emptied": b"",
        "foreign": b'{"format": 1}\n' + content,
    }
    if damage in broken:
        file.write_bytes(broken[damage])
    else:
        file.unlink()
    if damage == "folder":
        file.mkdir()
    fresh = MemoryService(database, folder)
    assert await told(fresh, "channel") == [CHANNEL]
    assert await told(fresh, "tides") == [TIDES]
    if damage != "folder":
        assert len(IndexFiles(folder).read(file.stem) or ()) == 2, "it was written again"


@needs_model
async def test_an_index_of_a_database_that_was_put_back_is_not_believed(
    memory: MemoryService, database: Database, folder: Path
) -> None:
    await memory.remember(ADA, CHANNEL)
    lost = await memory.remember(ADA, TIDES)
    async with database.transaction() as session:
        # As a restored backup from before the second row, in which another one takes its number.
        await session.execute(text("DELETE FROM memories WHERE number = 2"))
        await session.execute(update(MemoryCollection).values(last_number=1))
    fresh = MemoryService(database, folder)
    new = await fresh.remember(ADA, "Bob keeps the key of the server room")
    assert new.memory.id != lost.memory.id
    assert await told(fresh, "who can open the server room?") == [new.memory.text]
    assert await told(fresh, "tides of the sea") == []


@needs_model
async def test_rows_from_before_the_model_was_there_are_found_by_words_and_then_by_meaning(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(sentence_files, "PACKAGE", "a_package_that_nobody_has")
        poor = MemoryService(database, folder)
        await poor.remember(ADA, TIDES)
        await poor.remember(ADA, CHANNEL)
        found = await poor.recall(ADA, "what do you know about the tides?")
        assert (found.how, [one.text for one in found.memories]) == ("words", [TIDES])
        assert "uv sync --extra memory" in found.hint
        assert [one.text for one in await poor.identify(ADA, "our channel", 10)] == [CHANNEL]
    assert await told(MemoryService(database, folder), "when is the sea level up?") == [TIDES]


@needs_model
async def test_the_file_is_not_written_anew_for_each_of_many_rows(
    memory: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    monkeypatch.setattr(indexes, "WRITTEN_AGAIN", 0.5)
    write = IndexFiles.write
    monkeypatch.setattr(IndexFiles, "write", lambda *of: (writes.append(1), write(*of))[1])
    monkeypatch.setattr(SentenceModel, "encode", lambda _, texts: directions(len(texts)))
    for number in range(40):
        await memory.remember(ADA, f"thing {number}")
    assert len(writes) < 15


def directions(count: int) -> np.ndarray:
    vectors = np.random.default_rng(7).normal(size=(count, 384)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


async def rememberer(database: Database, folder: Path, what: str, *texts: str) -> asyncio.subprocess.Process:
    """Another process that remembers; see there."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(REMEMBERER),
        database.url.render_as_string(hide_password=False),
        str(folder),
        what,
        *texts,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


async def heard(process: asyncio.subprocess.Process, line: bytes) -> None:
    if process.stdout is None:
        raise RuntimeError("no pipe")
    async with asyncio.timeout(WAIT_S):
        while (reply := await process.stdout.readline()).strip() != line:
            if not reply:
                raise RuntimeError("it ended before it was killed")


@needs_model
@pytest.mark.parametrize("moment", ["between row and index", "in the middle of the file"])
async def test_a_process_killed_while_it_remembers_leaves_a_memory_that_is_whole(
    memory: MemoryService, database: Database, folder: Path, moment: str
) -> None:
    await memory.remember(ADA, TIDES)
    process = await rememberer(database, folder, moment, CHANNEL)
    await heard(process, moment.encode())
    process.kill()
    await process.wait()
    for looks in (memory, MemoryService(database, folder)):
        assert await told(looks, "what is the channel called") == [CHANNEL]
        assert await told(looks, "sea level") == [TIDES]
    [file] = index_files(folder)
    index = IndexFiles(folder).read(file.stem)
    assert index is not None and len(index) == 2


@needs_model
async def test_a_process_killed_while_it_forgets_leaves_no_vector_of_it_on_the_disk(
    memory: MemoryService, database: Database, folder: Path
) -> None:
    await memory.remember(ADA, CHANNEL)
    process = await rememberer(database, folder, "forgotten and not tidied up", CHANNEL)
    await heard(process, b"forgotten and not tidied up")
    process.kill()
    await process.wait()
    assert index_files(folder) == []
    assert await told(memory, "channel") == []


@needs_model
async def test_two_processes_that_remember_at_once_lose_nothing(
    memory: MemoryService, database: Database, folder: Path
) -> None:
    names = [[f"{who} has the {thing}" for thing in ("key", "lamp", "map", "rope")] for who in ("Ada", "Bob")]
    processes = [await rememberer(database, folder, "all", *some) for some in names]
    async with asyncio.timeout(WAIT_S):
        assert [await process.wait() for process in processes] == [0, 0]
    everything = sorted([*names[0], *names[1]])
    assert sorted(one.text for one in (await memory.export(ADA)).memories) == everything
    for text_ in everything:
        assert (await told(memory, text_))[0] == text_


@needs_model
async def test_who_stops_waiting_while_a_file_is_written_brings_no_forgotten_row_back(
    memory: MemoryService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    write = IndexFiles.write

    def slowly(files: IndexFiles, collection_id: str, index: MeaningIndex) -> None:
        begun.set()
        go_on.wait(WAIT_S)
        write(files, collection_id, index)
        ended.set()

    with monkeypatch.context() as slow:
        slow.setattr(IndexFiles, "write", slowly)
        telling = asyncio.create_task(memory.remember(ADA, TIDES))
        assert await asyncio.to_thread(begun.wait, WAIT_S)
        telling.cancel()
        forgetting = asyncio.create_task(memory.forget(ADA, None))
        # Without the lock it ends now, and what is written afterwards stays.
        await asyncio.wait([forgetting], timeout=1)
        assert not forgetting.done()
        go_on.set()
        await asyncio.wait([telling])
        assert await asyncio.to_thread(ended.wait, WAIT_S)
        assert await forgetting == 1
    assert index_files(folder) == []


async def test_words_are_compared_beside_the_event_loop(
    memory: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await memory.remember(ADA, TIDES)
    compared_in: list[threading.Thread] = []

    def noted(asked: frozenset[str], text: str) -> float:
        compared_in.append(threading.current_thread())
        return word_overlap(asked, text)

    monkeypatch.setattr(service, "word_overlap", noted)
    await memory.identify(ADA, "tides", 5)
    assert compared_in and threading.current_thread() not in compared_in


async def test_what_a_model_is_offered_is_bounded(
    memory: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = Principal(id=ADA.subject, name="Ada", role="editor", kind="key")
    for number in range(8):
        await memory.remember(ADA, f"the channel, part {number}: " + "water " * 60)
    offered = await memory.context_for(ada, "tell me about the channel", None)
    assert 0 < len(offered) <= service.MAX_CONTEXT_MEMORIES
    assert sum(map(len, offered)) <= service.MAX_CONTEXT_CHARS
