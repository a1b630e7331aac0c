"""Prints what metrics cost: per request and per sentence with and without them, and per scrape."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median

import httpx

from app.composition import open_services
from app.server.web import create_app
from policy import Principal
from policy.keys.schemas import KeyRequest
from soundstage.settings import Settings
from soundstage.telemetry import configure_logging
from soundstage.telemetry.instruments import Counter, Gauge, Histogram

sys.path.append(str(Path(__file__).parents[1]))

PERSONA = "id: nova\nname: Nova\nface: {kind: rig, character: nova}\n"
GOAL_SHARE = 0.02
MOVES = {Counter: ("inc",), Gauge: ("inc", "dec", "set"), Histogram: ("observe",)}


@contextmanager
def without_metrics(calls: list[int] | None = None) -> Iterator[None]:
    """Replaces every move of a metric by nothing, or by a count."""
    saved = [(kind, name, getattr(kind, name)) for kind, names in MOVES.items() for name in names]

    def nothing(*_: object, **__: object) -> None:
        if calls is not None:
            calls[0] += 1

    try:
        for kind, name, _ in saved:
            setattr(kind, name, nothing)
        yield
    finally:
        for kind, name, original in saved:
            setattr(kind, name, original)


async def processor_s(count: int, action: Callable[[], Awaitable[object]]) -> float:
    began_s = time.process_time()
    for _ in range(count):
        await action()
    return (time.process_time() - began_s) / count


async def compare(name: str, count: int, rounds: int, action: Callable[[], Awaitable[object]]) -> bool:
    """Takes turns, so that a change of the machine's load meets both; prints the median difference."""
    await processor_s(count, action)
    differences, without_s, calls = [], [], [0]
    for number in range(rounds):
        taken = {}
        for measured in (True, False) if number % 2 else (False, True):
            with nullcontext() if measured else without_metrics():
                taken[measured] = await processor_s(count, action)
        differences.append(taken[True] - taken[False])
        without_s.append(taken[False])
    with without_metrics(calls):
        await action()
    base, added = median(without_s), median(differences)
    print(
        f"{name:<28} {base * 1000:7.2f} ms without, {added * 1e6:+7.1f} us with ({added / base:+.2%}), "
        f"{calls[0]} moves"
    )
    return added / base < GOAL_SHARE


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    configure_logging("error")
    with tempfile.TemporaryDirectory() as folder:
        personas = Path(folder) / "personas"
        personas.mkdir()
        (personas / "nova.yaml").write_text(PERSONA)
        settings = Settings(state_dir=Path(folder) / "state", personas_dir=personas)
        async with open_services(settings) as services:
            async with services.database.transaction() as session:
                request = KeyRequest(name="bench", role="admin")
                key = await services.policy.keys.create(session, request, Principal.local_admin())
            transport = httpx.ASGITransport(app=create_app(services), client=("127.0.0.1", 40000))
            async with httpx.AsyncClient(
                transport=transport,
                base_url="http://127.0.0.1:8000",
                headers={"Authorization": f"Bearer {key.key}"},
            ) as http:
                good = [
                    await compare("GET /api/me", 40, chosen.rounds, lambda: http.get("/api/me")),
                    await compare("GET /api/renders", 20, chosen.rounds, lambda: http.get("/api/renders")),
                    await compare(
                        "a sentence of the grammar", 20, chosen.rounds,
                        lambda: http.post("/api/chat", json={"message": "list my videos"}),
                    ),
                ]  # fmt: skip
                page_s = await processor_s(20, lambda: http.get("/metrics"))

                async def fresh() -> None:
                    services.metrics.expire()
                    await http.get("/metrics")

                fresh_s, size = await processor_s(20, fresh), len((await http.get("/metrics")).content)
    print(f"a scrape {page_s * 1000:.2f} ms, with all state read {fresh_s * 1000:.2f} ms; {size} bytes")
    print(f"goal: less than {GOAL_SHARE:.0%} added: {'met' if all(good) else 'MISSED'}")


if __name__ == "__main__":
    asyncio.run(main())
