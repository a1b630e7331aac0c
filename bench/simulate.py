"""Runs the farm's own placement logic against simulated machines and prints its speed:
`scripts/bench simulate`.

Nodes, cards and segments are made from a seed; time is simulated, decisions are real: the queue,
the lease table, the block-list and `explain` are those that drive a farm. Nothing of Nomad or the
network is in the figures.
"""

from __future__ import annotations

import argparse
import heapq
import random
import resource
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.results import add_figure, add_json_option, write_figures
from farm.needs import Needs
from farm.placement import BlockList, Card, CardUse, FairQueue, LeaseTable, Node, Request
from farm.placement.explain import explain

CARDS = (("RTX 2080", 8192, 4), ("RTX A5000", 24576, 4), ("L40S", 46068, 1), ("H200", 143771, 1))
"""Model, memory in MiB, and how often it comes."""
ENGINES = (
    (Needs("rig", 0, 0, 2000, 1024), 30.0, 2),
    (Needs("portrait", 1, 2048, 1000, 2048), 20.0, 4),
    (Needs("lips", 1, 7168, 2000, 8192), 60.0, 3),
    (Needs("video", 1, 20480, 4000, 16384), 120.0, 1),
)
"""Needs, mean seconds of a segment, and how often it comes."""
SCENES = (1, 12)
FAULTS_PER_SEGMENT = 0.01


@dataclass(slots=True)
class Result:
    """Times in seconds; `decision_s` is processor time, all others are simulated."""

    nodes: int
    cards: int
    renders: int
    segments: int = 0
    ran: int = 0
    retried: int = 0
    decision_s: float = 0.0
    simulated_s: float = 0.0
    longest_look_s: float = 0.0
    deepest_queue: int = 0
    peak_mib: float = 0.0
    explain_ms: float = 0.0
    rebuild_s: float = 0.0
    waiting_bytes: float = 0.0
    waits_s: list[float] = field(default_factory=list, repr=False)

    def wait_s(self, percent: int) -> float:
        return quantiles(self.waits_s, n=100)[percent - 1] if len(self.waits_s) > 1 else 0.0

    def lines(self) -> Iterator[str]:
        day = self.renders / max(1.0, self.simulated_s) * 86_400
        yield f"nodes {self.nodes}, cards {self.cards}; half of the nodes share their cards"
        yield f"renders {self.renders}, segments {self.segments}, retried {self.retried}"
        yield f"simulated {self.simulated_s:.0f} s: {day:,.0f} renders a day"
        yield f"placements per second of processor time {self.ran / max(1e-9, self.decision_s):,.0f}"
        yield f"longest pass over the queue {1000 * self.longest_look_s:.1f} ms"
        yield f"deepest queue {self.deepest_queue}"
        waits = ", ".join(f"p{percent} {self.wait_s(percent):.1f} s" for percent in (50, 95, 99))
        yield f"wait of a segment {waits}"
        yield f"explain on the full farm {self.explain_ms:.1f} ms"
        yield f"lease table rebuilt, as after a restart, in {1000 * self.rebuild_s:.0f} ms"
        yield f"memory of one waiting segment {self.waiting_bytes:.0f} bytes"
        yield f"memory of the process, the simulated requests too, {self.peak_mib:.0f} MiB"


def farm(chance: random.Random, nodes: int) -> list[Node]:
    """Machines with 1, 2 or 4 equal cards; every second one shares them."""
    machines = []
    for number in range(nodes):
        model, memory_mib, _ = chance.choices(CARDS, [often for *_, often in CARDS])[0]
        count = chance.choice((1, 1, 2, 4))
        cards = tuple(
            Card(f"GPU-{number:06d}-{index}", model, memory_mib, (memory_mib - 512) // 1024)
            for index in range(count)
        )
        name = f"node-{number:06d}"
        machines.append(Node(name, name, cards, bool(number % 2), 16_000 * count, 65_536 * count))
    return machines


def segments(chance: random.Random, render: int) -> list[Request]:
    """The scenes of one render, all with the same engine."""
    needs, mean_s, _ = chance.choices(ENGINES, [often for *_, often in ENGINES])[0]
    use = CardUse.EITHER if chance.random() < 0.8 else CardUse.WHOLE
    return [
        Request(f"{render}.{scene}", str(render), needs, use, expected_s=chance.uniform(0.5, 1.5) * mean_s)
        for scene in range(chance.randint(*SCENES))
    ]


def mean_load_s() -> float:
    """Seconds of card per render, on average; CPU-only engines do not count."""
    often = sum(weight for *_, weight in ENGINES)
    per_segment = sum(mean_s * weight for needs, mean_s, weight in ENGINES if needs.gpus) / often
    return per_segment * (SCENES[0] + SCENES[1]) / 2


def simulate(nodes: int, renders: int, *, load: float, seed: int = 1) -> Result:
    """Renders arrive at random moments, so many that their segments alone would keep `load` of the cards
    busy if each had a card for itself. Simulated time ends when the last segment has ended.
    """
    chance = random.Random(seed)  # noqa: S311 - a simulation
    machines = farm(chance, nodes)
    table, blocks = LeaseTable(machines), BlockList()
    queue = FairQueue()
    result = Result(nodes, sum(len(node.cards) for node in machines), renders)

    gap_s = mean_load_s() / (load * result.cards)
    pushed_s: dict[str, float] = {}
    requests: dict[str, Request] = {}
    arrivals: list[tuple[float, int]] = []
    at_s = 0.0
    for render in range(renders):
        at_s += chance.expovariate(1 / gap_s)
        arrivals.append((at_s, render))
    ends: list[tuple[float, str]] = []
    arrivals.reverse()
    now_s = 0.0
    full = arrivals[len(arrivals) // 2][0]
    while arrivals or ends:
        now_s = min([*(arrivals[-1:]), *(ends[:1])], key=lambda one: one[0])[0]
        while arrivals and arrivals[-1][0] <= now_s:
            for segment in segments(chance, arrivals.pop()[1]):
                result.segments += 1
                requests[segment.id], pushed_s[segment.id] = segment, now_s
                queue.push(segment, now_s, chance.choice((0, 0, 0, 10)))
        started = time.process_time()
        while ends and ends[0][0] <= now_s:
            _, ended = heapq.heappop(ends)
            lease = table.release(ended)
            if lease is not None and chance.random() < FAULTS_PER_SEGMENT:
                blocks.record_failure(lease.assignment.node_id, lease.engine, now_s)
                queue.push(requests[ended], now_s)
                pushed_s[ended] = now_s
                result.retried += 1
            else:
                del requests[ended]
        result.deepest_queue = max(result.deepest_queue, len(queue))
        granted = queue.admit(table, now_s, lambda engine, at_s=now_s: blocks.nodes(engine, at_s))
        spent_s = time.process_time() - started
        result.decision_s += spent_s
        result.longest_look_s = max(result.longest_look_s, spent_s)
        for lease in granted:
            result.ran += 1
            result.waits_s.append(now_s - pushed_s.pop(lease.id))
            heapq.heappush(ends, (now_s + (requests[lease.id].expected_s or 0.0), lease.id))
        if now_s >= full and not result.explain_ms:
            result.explain_ms = _explain_ms(table, blocks, now_s)
            started = time.process_time()
            LeaseTable(table.nodes, table.leases)
            result.rebuild_s = time.process_time() - started
    result.simulated_s = now_s
    result.waiting_bytes = _waiting_bytes(chance)
    # Linux counts in KiB.
    result.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def _waiting_bytes(chance: random.Random) -> float:
    """Memory of one request in the queue, its own names and numbers with it."""
    queue, pushed = FairQueue(), 0
    tracemalloc.start()
    for render in range(1000):
        for segment in segments(chance, render):
            queue.push(segment, 0.0)
            pushed += 1
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / pushed


def _explain_ms(table: LeaseTable, blocks: BlockList, now_s: float) -> float:
    """A request that fits nowhere is the dearest to explain: every node is looked at, and so are all
    changes.
    """
    segment = Request("why", "why", Needs("video", 1, 200_000, 4000, 16384))
    started = time.process_time()
    explain(segment, table, blocks, now_s)
    return 1000 * (time.process_time() - started)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--renders", type=int, default=20_000)
    parser.add_argument(
        "--load", type=float, default=2.0, help="cards wanted at once, as a part of all cards"
    )
    parser.add_argument("--seed", type=int, default=1)
    add_json_option(parser)
    options = parser.parse_args(arguments)
    result = simulate(options.nodes, options.renders, load=options.load, seed=options.seed)
    print("\n".join(result.lines()))
    rate = result.ran / max(1e-9, result.decision_s)
    add_figure(f"placements on {result.nodes} simulated nodes, per second of processor time", rate, "/s")
    add_figure("longest look at the queue", 1000 * result.longest_look_s, "ms")
    write_figures("farm", options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
