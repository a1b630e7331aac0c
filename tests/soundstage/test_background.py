"""Workers look when they should, go on after errors, and end at once; on a clock that jumps over waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextvars import Context, ContextVar, copy_context
from pathlib import Path
from typing import Any

import pytest

from soundstage import background
from soundstage.background import LONGEST_RETRY_S, ItemWorker, ProcessLock, Worker
from soundstage.errors import SoundstageError, Upstream

AWAY = Upstream("machine.engine_unreachable", "Nomad is away.", "Wait.")


class _Jump(selectors.SelectSelector):
    """Waits for no time: the clock moves on instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everything waits, and nothing will come")
        self.now_s += max(0.0, timeout)
        return super().select(0)


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    selector = _Jump()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now_s  # type: ignore[method-assign]
    yield loop.run_until_complete
    loop.close()


class Looks:
    """Notes when it looked. `errors` are raised first, one a look; None is a look that goes well."""

    def __init__(self, *errors: Exception | None, pause_s: float | None = None) -> None:
        self.at_s: list[float] = []
        self._errors = list(errors)
        self._pause_s = pause_s

    async def __call__(self) -> float | None:
        self.at_s.append(asyncio.get_running_loop().time())
        if self._errors and (error := self._errors.pop(0)) is not None:
            raise error
        return self._pause_s


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    lines: list[tuple[str, str, dict[str, Any]]] = []

    class Log:
        def __getattr__(self, level: str) -> Callable[..., None]:
            return lambda event, **fields: lines.append((level, event, fields))

    monkeypatch.setattr(background, "log", Log())
    return lines


def test_a_worker_looks_at_once_and_then_every_poll(run: Any) -> None:
    looks = Looks()

    async def main() -> None:
        async with Worker("w", looks, poll_s=2.0):
            await asyncio.sleep(5)

    run(main())
    assert looks.at_s == [0, 2, 4]


def test_a_wake_brings_the_next_look_forward_and_none_is_lost_during_a_look(run: Any) -> None:
    at_s: list[float] = []

    async def look() -> None:
        at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1)

    async def main() -> None:
        async with Worker("w", look) as worker:
            await asyncio.sleep(0.5)
            worker.wake()
            await asyncio.sleep(10)
            worker.wake()
            await asyncio.sleep(5)

    run(main())
    assert at_s == [0, 1, 10.5]


def test_a_look_may_say_when_the_next_one_is(run: Any) -> None:
    looks = Looks(pause_s=30.0)

    async def main() -> None:
        async with Worker("w", looks, poll_s=2.0):
            await asyncio.sleep(61)

    run(main())
    assert looks.at_s == [0, 30, 60]


@pytest.mark.parametrize(
    ("error", "level", "code"),
    [
        (AWAY, "warning", AWAY.code),
        (OSError(28, "full"), "warning", "OSError"),
        (KeyError("ID"), "exception", None),
    ],
    ids=["expected", "disk", "unexpected"],
)
def test_errors_are_logged_with_their_code_and_followed_by_the_next_look(
    run: Any, log_lines: list[tuple[str, str, dict[str, Any]]], error: Exception, level: str, code: str | None
) -> None:
    looks = Looks(error)

    async def main() -> None:
        async with Worker("tokens", looks, poll_s=1.0):
            await asyncio.sleep(2)

    run(main())
    assert len(looks.at_s) >= 2
    assert [(line[0], line[2]["worker"], line[2].get("code")) for line in log_lines] == [
        (level, "tokens", code)
    ]


def test_looks_that_fail_come_later_and_later_until_one_goes_well(run: Any) -> None:
    looks = Looks(*[AWAY] * 8)

    async def main() -> None:
        async with Worker("w", looks, poll_s=0.25):
            await asyncio.sleep(120)

    run(main())
    pauses = [after - before for before, after in zip(looks.at_s, looks.at_s[1:], strict=False)]
    for failures, pause in enumerate(pauses[:8]):
        ceiling = min(LONGEST_RETRY_S, 0.25 * 2**failures)
        assert ceiling - 1e-6 <= pause <= 1.5 * ceiling + 1e-6
    assert len(pauses) > 100 and pauses[8:] == pytest.approx([0.25] * len(pauses[8:]))


def test_a_look_that_goes_well_ends_the_count_of_failures(run: Any) -> None:
    looks = Looks(*[AWAY] * 6, None, AWAY)

    async def main() -> None:
        async with Worker("w", looks, poll_s=0.25):
            await asyncio.sleep(60)

    run(main())
    assert looks.at_s[8] - looks.at_s[7] <= 0.25 * 1.5 + 1e-6


def test_a_rare_look_is_not_made_more_often_by_failing(run: Any) -> None:
    looks = Looks(AWAY, AWAY)

    async def main() -> None:
        async with Worker("w", looks, poll_s=600.0):
            await asyncio.sleep(599)

    run(main())
    assert looks.at_s == [0]


def test_a_worker_waits_for_its_lock_and_releases_it(run: Any, tmp_path: Path) -> None:
    looks, other = Looks(), ProcessLock(tmp_path / "lock")
    assert run(other.acquire())

    async def main() -> None:
        worker = Worker("w", looks, poll_s=60.0, lock=ProcessLock(tmp_path / "lock"))
        await worker.start()
        await asyncio.sleep(3.5)
        assert (looks.at_s, worker.holds_lock, await worker.is_locked()) == ([], False, True)
        await other.release()
        await asyncio.sleep(1)
        assert (looks.at_s, worker.holds_lock) == ([4.0], True)
        await worker.close()
        assert not await worker.is_locked()

    run(main())


def test_a_lock_in_a_folder_that_cannot_be_made_is_tried_again(run: Any, tmp_path: Path) -> None:
    looks, folder = Looks(), tmp_path / "state"
    folder.write_text("a file in its place")

    async def main() -> None:
        async with Worker("w", looks, poll_s=1.0, lock=ProcessLock(folder / "lock")):
            await asyncio.sleep(3)
            assert looks.at_s == []
            folder.unlink()
            await asyncio.sleep(20)

    run(main())
    assert looks.at_s


def test_a_worker_runs_in_the_context_that_it_is_given(run: Any) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="of the caller")
    seen: list[str] = []

    def bypass() -> Context:
        context = copy_context()
        context.run(tenant.set, "everybody's")
        return context

    async def due(in_flight: Collection[str], limit: int) -> Sequence[str]:
        seen.append(tenant.get())
        return ["a"] if len(seen) == 1 else []

    async def step(item: str) -> None:
        seen.append(tenant.get())

    async def main() -> None:
        async with ItemWorker("w", due, step, context=bypass):
            await asyncio.sleep(0.1)
        assert tenant.get() == "of the caller"

    run(main())
    assert set(seen) == {"everybody's"} and len(seen) >= 2


@pytest.mark.parametrize("rounds", range(6))
async def test_one_that_is_woken_as_it_closes_closes(rounds: int) -> None:
    """`asyncio.wait_for` of Python 3.11 forgets that it was cancelled when what it waits for comes at that
    moment; what it then waits for next never comes.
    """
    looks = asyncio.Event()

    async def look() -> None:
        looks.set()

    worker = Worker("something", look, poll_s=60)
    await worker.start()
    await looks.wait()
    await asyncio.sleep(0)
    worker.wake()
    for _ in range(rounds):
        await asyncio.sleep(0)
    closing = asyncio.create_task(worker.close())
    done, _ = await asyncio.wait({closing}, timeout=60)
    assert done


def test_a_look_that_swallows_its_cancellation_does_not_keep_the_worker(run: Any) -> None:
    looks: list[str] = []

    async def look() -> None:
        looks.append("begun")
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            looks.append("swallowed")

    async def main() -> None:
        worker = Worker("w", look, poll_s=1.0)
        await worker.start()
        await asyncio.sleep(1)
        async with asyncio.timeout(5):
            await worker.close()

    run(main())
    assert looks == ["begun", "swallowed"]


def test_a_worker_that_was_closed_can_be_started_again(run: Any) -> None:
    looks = Looks()

    async def main() -> None:
        worker = Worker("w", looks, poll_s=10.0)
        for _ in range(2):
            await worker.start()
            await worker.start()
            await asyncio.sleep(1)
            await worker.close()
            await worker.close()

    run(main())
    assert looks.at_s == [0, 1]


class Items:
    """Items that are due until their step is done. `maximum` is how many were in hand at a time."""

    def __init__(self, *items: str, takes_s: float = 1.0, errors: Sequence[Exception] = ()) -> None:
        self.due_items = list(items)
        self.takes_s = takes_s
        self.errors = list(errors)
        self.begun: list[tuple[str, float]] = []
        self.cancelled: list[str] = []
        self.maximum = 0
        self.limits: list[int] = []

    async def due(self, in_flight: Collection[str], limit: int) -> Sequence[str]:
        self.maximum = max(self.maximum, len(in_flight))
        self.limits.append(limit)
        return [item for item in self.due_items if item not in in_flight][:limit]

    async def step(self, item: str) -> None:
        self.begun.append((item, asyncio.get_running_loop().time()))
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        if self.errors:
            raise self.errors.pop(0)
        self.due_items.remove(item)


def test_each_item_is_in_flight_once_and_not_more_than_so_many_at_a_time(run: Any) -> None:
    items = Items("a", "b", "c", "d", "e", takes_s=1.0)

    async def main() -> None:
        async with ItemWorker("w", items.due, items.step, max_active=2, poll_s=0.25):
            await asyncio.sleep(10)

    run(main())
    # The next begins as soon as one has ended, without waiting for the poll.
    assert items.begun == [("a", 0), ("b", 0), ("c", 1), ("d", 1), ("e", 2)]
    assert items.maximum == 2 and min(items.limits) == 0


def test_without_a_bound_all_that_is_due_begins(run: Any) -> None:
    items = Items(*map(str, range(50)))

    async def main() -> None:
        async with ItemWorker("w", items.due, items.step, max_active=None, poll_s=None):
            await asyncio.sleep(0.5)

    run(main())
    assert len(items.begun) == 50


@pytest.mark.parametrize(
    ("error", "pause_s", "event"),
    [(AWAY, 1.0, "background.step_failed"), (OSError("full"), 1.0, "background.step_failed"),
     (ValueError("a fault"), 10.0, "background.step_broke")],
    ids=["expected", "disk", "unexpected"],
)  # fmt: skip
def test_a_step_that_fails_is_due_again_after_a_pause(
    run: Any,
    log_lines: list[tuple[str, str, dict[str, Any]]],
    error: SoundstageError | OSError | ValueError,
    pause_s: float,
    event: str,
) -> None:
    items = Items("a", takes_s=0.0, errors=[error])

    async def main() -> None:
        async with ItemWorker("w", items.due, items.step):
            await asyncio.sleep(60)

    run(main())
    assert items.begun == [("a", 0), ("a", pause_s)]
    assert [(line[1], line[2]["worker"], line[2]["id"]) for line in log_lines] == [(event, "w", "a")]


def test_closing_cancels_steps_and_what_is_unfinished_is_due_again(run: Any) -> None:
    items = Items("a", takes_s=2.0)

    async def main() -> None:
        worker = ItemWorker("w", items.due, items.step)
        await worker.start()
        await asyncio.sleep(0.5)
        await worker.close()
        assert asyncio.get_running_loop().time() == 0.5
        assert items.cancelled == ["a"]
        await worker.start()
        await asyncio.sleep(10)
        await worker.close()

    run(main())
    assert items.due_items == []


def test_steps_can_be_asked_to_end_by_themselves(run: Any) -> None:
    ended: list[str] = []
    leave = asyncio.Event()

    async def due(in_flight: Collection[str], limit: int) -> Sequence[str]:
        return [item for item in ("a", "broken") if item not in in_flight and item not in ended]

    async def step(item: str) -> None:
        if item == "broken":
            raise ValueError(item)
        await leave.wait()
        await asyncio.sleep(1)
        ended.append(item)

    async def main() -> None:
        worker = ItemWorker("w", due, step)
        await worker.start()
        await asyncio.sleep(1)
        await worker.close(leave.set)
        # The step that has failed rests for ten seconds; nobody waits for that.
        assert asyncio.get_running_loop().time() == 2

    run(main())
    assert ended == ["a"]
