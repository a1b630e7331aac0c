"""Starts asyncio tasks, and waits for their end. Imports only asyncio, for `soundstage --help`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def create_task_in(
    tasks: set[asyncio.Task[T]], work: Coroutine[Any, Any, T], *, name: str | None = None
) -> asyncio.Task[T]:
    """Starts a task that stays in `tasks` until it ends: the loop itself has only a weak reference to it."""
    task = asyncio.create_task(work, name=name)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def cancel_all(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancels tasks and waits until they have ended, as `wait_all`."""
    for task in tasks:
        task.cancel()
    await wait_all(tasks)


async def finish(work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
    """Runs `work` to its end, even when the caller is cancelled meanwhile; raises that afterwards.

    `timeout_s` as in `wait_all`.
    """
    task = asyncio.ensure_future(work)
    try:
        await wait_all([task], timeout_s)
    except asyncio.CancelledError:
        if task.done() and not task.cancelled():
            # Retrieved, or asyncio logs it.
            task.exception()
        raise
    return task.result()


async def wait_all(tasks: Collection[asyncio.Future[Any]], timeout_s: float | None = None) -> None:
    """Waits until the tasks have ended, however often the caller is cancelled; raises CancelledError then.

    With `timeout_s` it waits no longer than that after the first cancellation. `asyncio.shield` would leave
    the tasks to nobody, and the end of the event loop would cut them off. anyio cancels the task of a request
    in each round of the loop.
    """
    clock = asyncio.get_running_loop().time
    cancelled: asyncio.CancelledError | None = None
    until: float | None = None
    while (pending := [task for task in tasks if not task.done()]) and (until is None or clock() < until):
        try:
            await asyncio.wait(pending, timeout=None if until is None else until - clock())
        except asyncio.CancelledError as error:
            if cancelled is None and timeout_s is not None:
                until = clock() + timeout_s
            cancelled = error
    if cancelled is not None:
        raise cancelled
