"""Prints what the long-term memory takes: time per sentence, time to recall among many, and memory in use."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from agent.memory.models import Memory
from agent.memory.repository import Memories
from agent.memory.sentence_model import AT_ONCE, NAME, SentenceModel
from agent.memory.service import MemoryService, Owner
from app.tables import all_tables
from soundstage.database import Database, new_id, utcnow

sys.path.append(str(Path(__file__).parents[1]))

from bench.results import add_figure, add_json_option, write_figures

OWNER = Owner("default", "bench")
SENTENCE = "Remember that our channel about the sea is called {} and that it is for children of ten years."
QUESTION = "what is the name of our channel number {}?"


def resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def encoding(model: SentenceModel, count: int) -> None:
    alone = []
    for number in range(count):
        begin = time.perf_counter()
        model.encode([SENTENCE.format(number)])
        alone.append((time.perf_counter() - begin) * 1000)
    begin = time.perf_counter()
    model.encode([SENTENCE.format(number) for number in range(count)])
    together = (time.perf_counter() - begin) * 1000 / count
    print(f"one sentence at a time       {median(alone):7.1f} ms (median of {count})")
    print(f"{AT_ONCE} sentences at a time       {together:7.1f} ms per sentence")


async def recalling(database: Database, folder: Path, rows: int, count: int) -> None:
    memory = MemoryService(database, folder)
    begin = time.perf_counter()
    for number in range(count):
        await memory.remember(OWNER, SENTENCE.format(number))
    took = (time.perf_counter() - begin) * 1000 / count
    print(f"remembering                  {took:7.1f} ms, encoding included (mean of {count})")
    await fill(database, rows)
    await memory.recall(OWNER, QUESTION.format(0))
    await report(memory, f"recall among {rows}", count)
    again = MemoryService(database, folder)
    begin = time.perf_counter()
    await again.recall(OWNER, QUESTION.format(0))
    print(f"first recall of a process    {(time.perf_counter() - begin) * 1000:7.1f} ms, index from its file")
    spoil(folder)
    rebuilt = MemoryService(database, folder)
    begin = time.perf_counter()
    await rebuilt.recall(OWNER, QUESTION.format(0))
    took = (time.perf_counter() - begin) * 1000
    print(f"the same, file broken        {took:7.1f} ms, index made from the rows")


async def fill(database: Database, rows: int) -> None:
    """Rows in any direction: how long a search takes does not depend on it."""
    random = np.random.default_rng(7)
    async with database.transaction() as session:
        [collection] = await Memories(session).collections(OWNER.tenant, OWNER.subject)
        for number in range(collection.last_number + 1, rows + 1):
            vector = random.normal(size=384).astype("<f4")
            row = Memory(
                id=new_id("mem"),
                collection_id=collection.id,
                number=number,
                text=SENTENCE.format(number),
                text_sha256=hashlib.sha256(str(number).encode()).hexdigest(),
                vector=(vector / np.linalg.norm(vector)).tobytes(),
                model=NAME,
                created_at=utcnow(),
            )
            session.add(row)
        collection.last_number = rows


def spoil(folder: Path) -> None:
    for file in folder.glob("*.faiss"):
        file.write_bytes(b"broken")


async def report(memory: MemoryService, name: str, count: int) -> None:
    taken = []
    for number in range(count):
        begin = time.perf_counter()
        await memory.recall(OWNER, QUESTION.format(number))
        taken.append((time.perf_counter() - begin) * 1000)
    cuts = quantiles(taken, n=100)
    print(
        f"{name:<28} p50 {cuts[49]:6.1f} ms   p99 {cuts[98]:6.1f} ms   ({count} questions, encoding included)"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--count", type=int, default=200)
    add_json_option(parser)
    chosen = parser.parse_args()
    before = resident_mb()
    begin = time.perf_counter()
    model = SentenceModel.load()
    print(f"loading the model            {(time.perf_counter() - begin) * 1000:7.0f} ms, files checked")
    encoding(model, chosen.count)
    print(f"resident for the model       {resident_mb() - before:7.0f} MB, most of it shared file pages")
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/bench.db")
        all_tables()
        await database.create_tables()
        await recalling(database, Path(folder) / "memory", chosen.rows, chosen.count)
        await database.close()
    add_figure("resident memory with the sentence model and its index", resident_mb(), "MB")
    write_figures("conversation", chosen.json)
    print(f"resident in all              {resident_mb():7.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
