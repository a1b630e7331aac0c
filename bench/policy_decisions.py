"""Prints how long a decision takes: remembered, evaluated here, and asked of an OPA server."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles

from policy import PERMISSIONS, Principal
from policy.decisions import Action, Decider
from policy.decisions.bundle import load_bundle
from policy.decisions.decider import DecisionLog
from policy.decisions.embedded import default_engine
from policy.decisions.opa_server import OpaEngine
from policy.decisions.question import Question

sys.path.append(str(Path(__file__).parents[1]))

from bench.results import add_figure, add_json_option, write_figures

GOAL_P99_MS = 0.3


async def measure(name: str, count: int, ask: Callable[[int], Awaitable[object]]) -> float:
    """Asks `count` times after a few to warm up; prints and gives the 99th percentile in milliseconds."""
    for number in range(min(count, 100)):
        await ask(number)
    taken = []
    for number in range(count):
        begin = time.perf_counter()
        await ask(number)
        taken.append((time.perf_counter() - begin) * 1000)
    cuts = quantiles(taken, n=100)
    print(f"{name:<28} p50 {cuts[49]:7.3f} ms   p99 {cuts[98]:7.3f} ms   {count} decisions")
    return cuts[98]


async def main() -> None:
    """The hot path asks 40 different questions in turn, as one person's page does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opa", metavar="URL", help="an OPA server of this installation alone")
    add_json_option(parser)
    parser.add_argument("--count", type=int, default=20_000)
    chosen = parser.parse_args()
    requester = Principal("key_1", "bench", "operator", "key")
    actions = [Action("route", f"GET /{known.name}", known.name) for known in PERMISSIONS[:40]]
    decider = Decider(default_engine(), DecisionLog("none"))
    engine = default_engine()
    hot = await measure(
        "remembered (hot path)", chosen.count, lambda number: decider.decide(requester, actions[number % 40])
    )
    evaluated = await measure(
        "embedded, each evaluated",
        max(chosen.count // 10, 200),
        lambda number: engine.decide(Question(requester, actions[number % 40]).document()),
    )
    if chosen.opa:
        opa = OpaEngine(chosen.opa, load_bundle())
        await measure(
            "OPA server, each asked",
            max(chosen.count // 10, 200),
            lambda number: opa.decide(Question(requester, actions[number % 40]).document()),
        )
        await opa.close()
    add_figure("policy decision that is remembered, p99", hot, "ms", goal=f"< {GOAL_P99_MS}")
    add_figure("policy decision that is evaluated, p99", evaluated, "ms")
    write_figures("conversation", chosen.json)
    print(f"goal for the hot path: p99 < {GOAL_P99_MS} ms: {'met' if hot < GOAL_P99_MS else 'MISSED'}")


if __name__ == "__main__":
    asyncio.run(main())
