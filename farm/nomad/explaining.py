"""The sentences on a task that is on the farm or waits for it; used by the Nomad scheduler."""

from __future__ import annotations

from farm.ledger import Story
from farm.nomad.client import NomadClient
from farm.nomad.flight import Flight
from farm.nomad.tower import Tower
from farm.nomad.watching import ClusterWatch
from farm.states import TaskState
from farm.tasks import SegmentTask
from soundstage.errors import SoundstageError

MAX_SENTENCE = 390
"""Renders keep why they wait in a column of 400 characters."""


def sentence_on(story: Story, tower: Tower, watch: ClusterWatch) -> str:
    """Where the task is, and why it does not run if it does not."""
    task, flight = story.task, tower.flights.find(story.task.id)
    if story.ended:
        failure = story.events[-1].failure
        return f"ended: {story.state}" + (f", {failure.message}" if failure else "")
    if flight is None or task.id in tower.placer:
        return f"waits: {_why_in_line(task, tower, watch)}"[:MAX_SENTENCE]
    if story.state is not TaskState.RUNNING:
        return f"waits: {_why_not_running(flight, watch)}"[:MAX_SENTENCE]
    return story.running_sentence


def _why_in_line(task: SegmentTask, tower: Tower, watch: ClusterWatch) -> str:
    if not watch.connected:
        return watch.trouble or "the connection to Nomad is being made"
    busy, most = len(tower.flights), tower.options.max_running
    if busy >= most:
        return f"{busy} of {most} workers busy, {tower.placer.ahead_of(task.id)} ahead of it"
    return tower.placer.why(task)


def _why_not_running(flight: Flight, watch: ClusterWatch) -> str:
    if flight.trouble or not watch.connected:
        return flight.trouble or watch.trouble or "the connection to Nomad is being made"
    newest = flight.newest
    if newest is None:
        return "its job is with Nomad, which is choosing a node"
    return f"its worker is being started on {newest.get('NodeName') or 'its node'}"


async def nomad_log(client: NomadClient, flight: Flight | None) -> str:
    """What the worker said before it could speak to us."""
    newest = flight.newest if flight is not None else None
    if newest is None:
        return ""
    try:
        chunks = [chunk async for chunk in client.logs(newest["ID"], "avatar")]
    except SoundstageError as error:
        return f"(the log on the node cannot be read: {error.message})"
    return b"".join(chunks).decode("utf-8", errors="replace")
