"""Explains in a sentence where a task is and why it waits; used by the Nomad scheduler."""

from __future__ import annotations

from farm.nomad.client import NomadClient
from farm.nomad.event_stream import ClusterWatch
from farm.nomad.inflight import InFlightTask
from farm.nomad.state import SchedulerState
from farm.states import TaskState
from farm.task_registry import TaskRecord
from farm.tasks import SegmentTask
from soundstage.errors import SoundstageError

MAX_SENTENCE = 390
"""Renders keep why they wait in a column of 400 characters."""


def explain_wait(record: TaskRecord, state: SchedulerState, watch: ClusterWatch) -> str:
    """Returns where the task is, and why it does not run if it does not."""
    task, inflight = record.task, state.inflight_tasks.find(record.task.id)
    if record.ended:
        failure = record.events[-1].failure
        return f"ended: {record.state}" + (f", {failure.message}" if failure else "")
    if inflight is None or task.id in state.placer:
        return f"waits: {_why_queued(task, state, watch)}"[:MAX_SENTENCE]
    if record.state is not TaskState.RUNNING:
        return f"waits: {_why_not_running(inflight, watch)}"[:MAX_SENTENCE]
    return record.running_sentence


def _why_queued(task: SegmentTask, state: SchedulerState, watch: ClusterWatch) -> str:
    if not watch.connected:
        return watch.last_error or "the connection to Nomad is being made"
    busy, maximum = len(state.inflight_tasks), state.options.max_running
    if busy >= maximum:
        return f"{busy} of {maximum} workers busy, {state.placer.ahead_of(task.id)} ahead of it"
    return state.placer.why(task)


def _why_not_running(inflight: InFlightTask, watch: ClusterWatch) -> str:
    if inflight.last_error or not watch.connected:
        return inflight.last_error or watch.last_error or "the connection to Nomad is being made"
    latest = inflight.latest_allocation
    if latest is None:
        return "its job is with Nomad, which is choosing a node"
    return f"its worker is being started on {latest.get('NodeName') or 'its node'}"


async def nomad_log(client: NomadClient, inflight: InFlightTask | None) -> str:
    """Returns the log of its newest allocation: what the worker wrote before it could report to us."""
    latest = inflight.latest_allocation if inflight is not None else None
    if latest is None:
        return ""
    try:
        chunks = [chunk async for chunk in client.logs(latest["ID"], "avatar")]
    except SoundstageError as error:
        return f"(the log on the node cannot be read: {error.message})"
    return b"".join(chunks).decode("utf-8", errors="replace")
