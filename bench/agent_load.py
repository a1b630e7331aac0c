"""Measures many conversations at once: `scripts/bench agent_load [--sessions 100] [--seconds 60] [--loose]`.

Starts the real server on loopback. Each session has a key and a WebSocket of its own and says a command every
two seconds. Prints how long the first event and the whole of an answer take (the first answer of each, when
all arrive, also apart from the rest), lost events, processor time and memory; whether memory grows, a run of
eight minutes tells. The people share the processor with the server; they run in a process of their own.

Which events belong to an answer, the server's journal says once all have gone: one more person says each
command, and reads the turn again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import linear_regression, quantiles
from typing import NamedTuple

import httpx
from websockets.asyncio.client import ClientConnection, connect

sys.path.append(str(Path(__file__).parents[1]))

from bench.results import add_figure, add_json_option, write_figures

REPOSITORY = Path(__file__).parents[1]
GOAL_P95_MS = 150.0
EVERY_S = 2.0
TIMEOUT_S = 60.0
GOAL_MIB_PER_MINUTE = 0.5
COMING_IN_S = 30.0
LONG_ENOUGH_S = 480.0
COMMANDS = ("list my videos", "who can speak?", "help", "is it done?")
LOOSE_GOAL_P95_MS = 300.0
OPENERS = ("", "hey, ", "hi there, ", "quick one: ", "ok then, ", "right, ", "morning all, ", "one thing: ")
CLOSERS = ("", " please", " by the way", " if you can", " for me", " right now")
LOOSE = tuple(
    f"{opener}{question}{closer}"
    for opener, closer in product(OPENERS, CLOSERS)
    for question in (
        "what videos have I got so far",
        "which presenters have we got",
        "show what projects there are",
    )
)
"""Commands that the grammar does not know and the reader answers, more than it keeps of what it just read."""

Kinds = tuple[str, ...]
"""The types of the events of one answer, in their order."""


@dataclass(slots=True)
class Measurements:
    """Measurements of all clients of one run; times in seconds."""

    arriving: list[float] = field(default_factory=list)
    """To the first event of the first answer of each."""
    settled: list[float] = field(default_factory=list)
    """To the first event of every later answer."""
    whole: list[float] = field(default_factory=list)
    requests: int = 0
    lost: int = 0
    """Answers without a first event or a last one, or with the number of another turn or session."""
    spoken_at_s: Counter[tuple[str, Kinds]] = field(default_factory=Counter)
    """How often a command was answered with these events."""
    strays: int = 0
    """Events of an answer that nobody waited for any more."""
    late: int = 0
    """Commands that could not be said in time because the answer before them was not there yet."""
    used_s: float = 0.0
    """Processor time of the people themselves."""
    journal: dict[str, Kinds] = field(default_factory=dict)
    """The events that belong to each command."""

    @property
    def first(self) -> list[float]:
        return self.arriving + self.settled


class Answer(NamedTuple):
    """The answer; `whole` when it came to its end, and all of it belonged to one turn."""

    session_id: str | None
    turn: int
    kinds: Kinds
    whole: bool


class Amiss(NamedTuple):
    """Events that are not as the journal has them."""

    lost: int
    more: int
    disordered: int
    """Answers that have all of their events in another order."""


class Look(NamedTuple):
    """Memory of the server over time."""

    at_s: float
    mib: float


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int
    local_key: str

    def memory_mib(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def processor_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """An installation of its own, with limits that a whole office behind one address would not meet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "SOUNDSTAGE_HTTP__PORT": str(port),
        "SOUNDSTAGE_PERSONAS_DIR": str(REPOSITORY / "personas"),
        "SOUNDSTAGE_PROVISIONING__ENABLED": "false",
        # The journal is read by one person alone.
        "SOUNDSTAGE_POLICY__TOOL_CALLS_PER_MINUTE": "100000",
    }
    program = Path(sys.executable).with_name("soundstage")
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([program, "up"], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                httpx.get(f"{url}/api/health", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                if process.poll() is not None:
                    raise SystemExit((folder / "server.log").read_text()) from None
                time.sleep(0.1)
        yield Server(url, _listener(process.pid), (folder / "state" / "local" / "key").read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _listener(pid: int) -> int:
    """The server is the child of the supervisor that is `soundstage up`."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            return int(child)
    return pid


def make_keys(server: Server, count: int) -> list[str]:
    """One key for each person."""
    headers = {"Authorization": f"Bearer {server.local_key}"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=30) as operator:
        answers = [
            operator.post("/api/keys", json={"name": f"bench {number}", "role": "editor"})
            for number in range(count)
        ]
    return [str(answer.raise_for_status().json()["key"]) for answer in answers]


@asynccontextmanager
async def chat(url: str, key: str) -> AsyncIterator[ClientConnection]:
    """A connection to the agent as this person."""
    headers = {"Authorization": f"Bearer {key}"}
    address = f"{url.replace('http', 'ws', 1)}/api/chat/ws"
    async with connect(address, additional_headers=headers, proxy=None, max_queue=None) as ws:
        yield ws


async def talk(
    url: str, key: str, commands: Sequence[str], begin_s: float, until_s: float, totals: Measurements
) -> None:
    """One person: says a command, reads its events to the last, waits for the next full two seconds."""
    loop = asyncio.get_running_loop()
    async with chat(url, key) as ws:
        session_id: str | None = None
        number = 0
        while (due_s := begin_s + number * EVERY_S) < until_s:
            wait_s = due_s - loop.time()
            totals.late += wait_s < -EVERY_S
            await asyncio.sleep(max(0.0, wait_s))
            command = commands[number % len(commands)]
            message = {"type": "say", "ref": str(number), "message": command}
            if session_id is not None:
                message["session_id"] = session_id
            times = totals.settled if number else totals.arriving
            number += 1
            totals.requests += 1
            answer = await _one_answer(ws, message, totals, times)
            totals.spoken_at_s[command, answer.kinds] += 1
            same = answer.turn == number and session_id in (None, answer.session_id)
            totals.lost += not (answer.whole and same)
            session_id = session_id or answer.session_id


async def _one_answer(
    ws: ClientConnection, message: Mapping[str, str | int], totals: Measurements, times: list[float]
) -> Answer:
    """Returns all events until the end of the answer, or until the time-out."""
    loop = asyncio.get_running_loop()
    sent_s = loop.time()
    await ws.send(json.dumps(message))
    turn, session_id = 0, None
    kinds: list[str] = []
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                spoken_at_s = json.loads(await ws.recv())
                if spoken_at_s["ref"] != message["ref"]:
                    totals.strays += 1
                    continue
                if not kinds:
                    times.append(loop.time() - sent_s)
                event = spoken_at_s["event"]
                kinds.append(event["type"])
                if event["type"] == "turn":
                    turn, session_id = event["turn"], event["session_id"]
                if event["type"] == "done":
                    totals.whole.append(loop.time() - sent_s)
                    same = (event["turn"], event["session_id"]) == (turn, session_id)
                    return Answer(session_id, turn, tuple(kinds), same)
                if event["type"] == "error" and not turn:
                    print("refused:", event["code"], event["message"], file=sys.stderr)
                    break
    except TimeoutError:
        print("no end:", message, kinds, file=sys.stderr)
    return Answer(session_id, turn, tuple(kinds), whole=False)


async def journal_of(url: str, key: str, commands: Sequence[str]) -> dict[str, Kinds]:
    """The events of each command as the server has written them down."""
    written: dict[str, Kinds] = {}
    alone = Measurements()
    async with chat(url, key) as ws:
        for command in commands:
            say: dict[str, str | int] = {"type": "say", "ref": command, "message": command}
            sent_s = await _one_answer(ws, say, alone, alone.settled)
            read: dict[str, str | int] = {"type": "read", "ref": command, "turn": sent_s.turn}
            read["session_id"] = sent_s.session_id or ""
            answer = await _one_answer(ws, read, alone, alone.settled)
            if not answer.whole:
                raise SystemExit(f"The journal has no whole answer to {command!r}: {answer}")
            written[command] = answer.kinds
    return written


def amiss(spoken_at_s: Mapping[tuple[str, Kinds], int], journal: Mapping[str, Kinds]) -> Amiss:
    """Compares what was told with what the journal has."""
    lost = more = disordered = 0
    for (command, kinds), times in spoken_at_s.items():
        expected, came = Counter(journal[command]), Counter(kinds)
        lost += times * (expected - came).total()
        more += times * (came - expected).total()
        disordered += times * (expected == came and kinds != journal[command])
    return Amiss(lost, more, disordered)


def people(
    url: str,
    keys: list[str],
    commands: Sequence[str],
    seconds: float,
    results: multiprocessing.Queue[Measurements],
) -> None:
    """All of them in one process beside the server's."""

    async def all_of_them() -> Measurements:
        totals = Measurements()
        start_s = asyncio.get_running_loop().time() + 1
        async with asyncio.TaskGroup() as group:
            for place, key in enumerate(keys):
                begin_s = start_s + EVERY_S * place / len(keys)
                # They do not all say the same at once.
                begun = 2 * place % len(commands)
                own = [*commands[begun:], *commands[:begun]]
                group.create_task(talk(url, key, own, begin_s, begin_s + seconds, totals))
        totals.used_s = time.process_time()
        totals.journal = await journal_of(url, keys[0], commands)
        return totals

    results.put(asyncio.run(all_of_them()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--loose", action="store_true", help="half of the commands are not in the grammar")
    add_json_option(parser)
    chosen = parser.parse_args()
    exact = COMMANDS * (len(LOOSE) // len(COMMANDS))
    commands = [one for pair in zip(exact, LOOSE, strict=True) for one in pair] if chosen.loose else COMMANDS
    with tempfile.TemporaryDirectory(prefix="bench-agent-") as name, running_server(Path(name)) as server:
        keys = make_keys(server, chosen.sessions)
        results: multiprocessing.Queue[Measurements] = multiprocessing.get_context("spawn").Queue()
        process = multiprocessing.get_context("spawn").Process(
            target=people, args=(server.url, keys, commands, chosen.seconds, results)
        )
        used_s, began = server.processor_s(), time.monotonic()
        memory = [Look(0.0, server.memory_mib())]
        process.start()
        while process.is_alive():
            process.join(1)
            memory.append(Look(time.monotonic() - began, server.memory_mib()))
            if not results.empty():
                break
        if results.empty() and process.exitcode:
            raise SystemExit("The people have ended early.")
        totals = results.get()
        process.join()
        wall_s, used_s = time.monotonic() - began, server.processor_s() - used_s
    report(chosen.sessions, totals, wall_s, used_s, memory, loose=chosen.loose)
    write_figures("conversation", chosen.json)


def slope(looks: Sequence[Look]) -> float:
    """MiB a minute."""
    return linear_regression(*zip(*looks, strict=True)).slope * 60


def tale(memory: Sequence[Look]) -> str:
    """Returns the growth of memory, and whether caches fill or memory leaks.

    Caches fill ever more slowly: what grows in the second half as it did in the first is a leak.
    """
    half = len(memory) // 2
    # The beginning is the people coming in.
    came_in = next(place for place, look in enumerate(memory) if look.at_s >= COMING_IN_S or place == half)
    early, late = slope(memory[came_in : half + 2]), slope(memory[half:])
    first, last = memory[half].mib, memory[-1].mib
    if memory[-1].at_s < LONG_ENOUGH_S:
        verdict = f"less than {LONG_ENOUGH_S / 60:.0f} minutes tell no leak from caches that fill"
    elif late < GOAL_MIB_PER_MINUTE:
        verdict = f"level (goal: < {GOAL_MIB_PER_MINUTE} in the second half)"
    else:
        verdict = "still filling, measure longer" if late < early / 2 else "A LEAK, or a load that grows"
    return (
        f"{memory[0].mib:.0f} MiB at the start, {memory[came_in].mib:.0f} with all people there, "
        f"{first:.0f} in the middle, {last:.0f} at the end; {early:+.1f} MiB a minute in the first half, "
        f"{late:+.1f} in the second: {verdict}"
    )


def report(
    sessions: int,
    totals: Measurements,
    wall_s: float,
    used_s: float,
    memory: Sequence[Look],
    *,
    loose: bool,
) -> None:
    """The figures, and whether the goal is met."""
    load = os.getloadavg()[0]
    rate = f"{totals.requests} commands in {wall_s:.0f} s ({totals.requests / wall_s:.0f}/s)"
    print(f"{sessions} sessions, {rate}, load {load:.1f}")
    for title, times in (
        ("first event", totals.first),
        ("… on arrival", totals.arriving),
        ("… later", totals.settled),
        ("whole answer", totals.whole),
    ):
        if len(times) > 1:
            cuts = quantiles(times, n=100)
            print(
                f"{title:<13} p50 {cuts[49] * 1000:7.1f} ms   p95 {cuts[94] * 1000:7.1f} ms   "
                f"p99 {cuts[98] * 1000:7.1f} ms   {len(times)} times"
            )
    found = amiss(totals.spoken_at_s, totals.journal)
    counts = totals.spoken_at_s.items()
    expected = sum(times * len(totals.journal[command]) for (command, _), times in counts)
    print(f"lost answers  {totals.lost}   said late {totals.late}")
    doubled = found.more + totals.strays
    print(
        f"lost events   {found.lost} of {expected} (goal: 0)   doubled or too late {doubled}"
        f"   answers in another order {found.disordered}"
    )
    print(
        f"processor     {used_s / totals.requests * 1000:.1f} ms per command, {used_s / wall_s:.2f} cores; "
        f"the people themselves {totals.used_s / wall_s:.2f} cores"
    )
    print(f"memory        {tale(memory)}")
    p95 = quantiles(totals.first, n=100)[94] * 1000
    people = f"{sessions} people, a command every two seconds{', half of them loose' if loose else ''}"
    goal_ms = LOOSE_GOAL_P95_MS if loose else GOAL_P95_MS
    add_figure(f"{people}: first event, p95", p95, "ms", goal=f"< {goal_ms:.0f}")
    add_figure(f"{people}: answers and events lost", totals.lost + found.lost, "", goal="0")
    add_figure(f"{people}: processor time of a command", used_s / totals.requests * 1000, "ms")
    verdict = "met" if p95 < goal_ms and not found.lost and not totals.lost else "MISSED"
    part = f"{p95 / goal_ms:.2f} of it"
    print(f"goal: p95 to the first event < {goal_ms:.0f} ms, none lost: {verdict} ({part})")


if __name__ == "__main__":
    main()
