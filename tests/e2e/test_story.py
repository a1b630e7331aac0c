"""A conversation from the first question to the finished video, over a restart, with the installed program:
once understood by the grammar alone, once by a language model.
"""

from __future__ import annotations

import asyncio
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import free_port
from ramdisk import switched_on
from ready import told_until_ready
from scripted_model import Call, Say, ScriptedModel, scripted_model

PATIENCE_S = 240
TEXT = "The tide comes in twice a day. The moon pulls the sea. Then it goes out again."
HARDWARE = {
    "serial": "STORY-1",
    "cpu_threads": 8,
    "memory_mib": 16384,
    "disks": [{"name": "sda", "bytes": 10**11}],
}


class Studio:
    """A running installation, two people in it, and the one conversation of the first."""

    def __init__(self, told: dict[str, str], headers: dict[str, str]) -> None:
        """`headers`: those of the user of this computer, who is an administrator."""
        self.headers = headers
        self.url = told["url"]
        self.provisioning_url = told["provisioning_url"]
        self.provisioning_tls_url = told["provisioning_tls_url"]

    def call(self, method: str, path: str, key: str | None = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key else self.headers
        answer = httpx.request(
            method, self.url + path, headers=headers, timeout=PATIENCE_S, trust_env=False, **more
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def key(self, name: str) -> str:
        made = self.call("POST", "/api/keys", json={"name": name, "role": "operator"})
        return str(made["key"])

    def machines(self) -> dict[str, str]:
        answer = httpx.get(
            f"{self.provisioning_url}/api/machines",
            headers=self.headers, timeout=PATIENCE_S, trust_env=False,
        )  # fmt: skip
        return {machine["name"]: machine["state"] for machine in answer.raise_for_status().json()}

    def event_of_machines(self, kind: str) -> dict[str, Any]:
        """The first event of that kind in the provisioning API, which keeps its own."""
        address = f"{self.provisioning_url}/api/events"
        headers = {**self.headers, "Last-Event-ID": "0"}
        with httpx.stream("GET", address, headers=headers, timeout=PATIENCE_S, trust_env=False) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    event: dict[str, Any] = json.loads(line.removeprefix("data:"))
                    if event["kind"] == kind:
                        return event
        raise AssertionError(f"no event {kind}")

    def switch_on(self) -> str:
        """An empty machine reports from its ramdisk; gives its name."""
        return asyncio.run(switched_on(self.provisioning_url, self.provisioning_tls_url, HARDWARE))


class Person:
    """Says sentences in one conversation and remembers all that was told."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.session_id: str | None = None
        self.events: list[dict[str, Any]] = []

    def say(self, studio: Studio, sentence: str) -> str:
        body = {"message": sentence, "session_id": self.session_id}
        answer = studio.call("POST", "/api/chat", self.key, json=body)
        self.session_id = answer["session_id"]
        self.events = answer["events"]
        return str(answer["reply"])

    @property
    def trace_id(self) -> str:
        """Of the last sentence and all that comes of it."""
        return str(self.found("turn", "trace_id"))

    def found(self, kind: str, name: str) -> Any:
        """The value of a field in the last answer's event of this kind."""
        return next(event[name] for event in self.events if event["type"] == kind and event.get(name))


@contextmanager
def running_model(*script: Any) -> Iterator[ScriptedModel]:
    """The scripted model, served from a thread of its own."""
    started: queue.Queue[tuple[asyncio.AbstractEventLoop, ScriptedModel]] = queue.Queue()

    async def serve() -> None:
        async with scripted_model(*script) as model:
            started.put((asyncio.get_running_loop(), model))
            await ended.wait()

    ended = asyncio.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    loop, model = started.get(timeout=PATIENCE_S)
    try:
        yield model
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


@pytest.fixture
def open_studio(home: Any) -> Callable[..., Any]:
    """Starts the installation; again after its end, with the same state and ports."""
    ports = {name: free_port() for name in ("HTTP__PORT", "PROVISIONING__PORT", "PROVISIONING__TLS_PORT")}
    variables = {f"SOUNDSTAGE_{name}": str(port) for name, port in ports.items()}

    @contextmanager
    def opened(**more: str) -> Iterator[Studio]:
        process = home.start("up", "--json", **variables, **more)
        try:
            told = told_until_ready(process, home.log)
            yield Studio(told, home.headers)
        finally:
            process.terminate()
            process.wait(60)

    return opened


def test_the_whole_story_is_understood_without_a_model(
    open_studio: Callable[..., Any], home: Any, probe: Callable[[Path], dict[str, Any]]
) -> None:
    with open_studio() as studio:
        ada = Person(studio.key("ada"))
        bob = studio.key("bob")
        name = studio.switch_on()
        _a_machine_is_accepted(studio, ada, bob, name, "what machines do we have?", "accept the new one")

        waiting = ada.say(studio, "make a three-scene video about tides with Nova")
        assert "words" in waiting or "script" in waiting, "nobody makes up what to say about tides"
        assert "word" in ada.say(studio, "why is it waiting?")
        ada.say(studio, f"make a 360p three-scene video about tides with Nova from this text: {TEXT}")
        render_id, made = ada.found("tool_result", "result")["render_id"], ada.trace_id
        why = ada.say(studio, "why is it waiting?")
        stands = r"(is queued\. It waits: .+|is waiting for a worker\. .+|is being made\..*)"
        assert re.fullmatch(rf"“Tides” \({render_id}\) {stands}", why), why
        assert ada.found("tool_result", "result")["render_id"] == render_id
        assert "tides" in ada.say(studio, "save this as tides")
    with open_studio() as studio:
        reply, video = _the_video_is_found_again(
            studio, ada, render_id, home, probe, "load tides", "where is my video?"
        )
        told = re.match(r"“Tides” is done \((\d+\.\d) s\)\.\n", reply)
        assert told and float(told[1]) > 3, reply
        assert f"  {video}" in reply.splitlines(), "a person reads where it is"
    _one_trace_and_a_whole_audit(home, made, render_id)


@pytest.mark.slow
def test_the_whole_story_is_told_through_a_model(
    open_studio: Callable[..., Any], home: Any, probe: Callable[[Path], dict[str, Any]]
) -> None:
    scenes = [{"title": f"Scene {number}", "script": said} for number, said in enumerate(TEXT.split(". "), 1)]
    film = {"action": "film", "topic": "tides", "scenes": 3, "persona": "Nova", "quality": "360p"}
    script = (
        Call("list_machines"),
        Say("One machine is waiting."),
        Call("change_machine", {"action": "accept", "machine": "new"}),
        Say("Somebody has to agree."),
        Call("write_script", film),
        Call("write_scenes", {"title": "Tides", "scenes": scenes}),
        Say("It is being made."),
        Call("show_render"),
        Say("It is being drawn."),
        Call("snapshots", {"action": "save", "name": "tides"}),
        Say("Saved."),
        Call("snapshots", {"action": "load", "name": "tides"}),
        Say("You are back where you were."),
        Call("show_render"),
        Say("It is where your videos are."),
    )
    with running_model(*script) as model:
        llm = {"SOUNDSTAGE_LLM__LOCAL__BASE_URL": model.base_url, "SOUNDSTAGE_LLM__LOCAL__MODEL": "scripted"}
        with ExitStack() as stack:
            studio = stack.enter_context(open_studio(**llm))
            ada, bob = Person(studio.key("ada")), studio.key("bob")
            name = studio.switch_on()
            _a_machine_is_accepted(
                studio, ada, bob, name,
                "I wonder which machines there might be around here, roughly",
                "and now, hm, accept that new machine for us, would you, so that it can join",
            )  # fmt: skip
            ada.say(
                studio,
                "it would be lovely if you could make some video about tides for my class, with Nova",
            )
            render_id, made = ada.found("tool_result", "result")["render_id"], ada.trace_id
            assert "drawn" in ada.say(studio, "hm, and what would you guess is it that holds it up")
            assert "Saved" in ada.say(
                studio, "I would like to save all we have so far and call that state tides, okay"
            )
        with ExitStack() as stack:
            studio = stack.enter_context(open_studio(**llm))
            reply, video = _the_video_is_found_again(
                studio, ada, render_id, home, probe,
                "could we load the state which I had called tides before the lights went out",
                "and whereabouts might that video of mine have ended up by now",
            )  # fmt: skip
            assert reply == "It is where your videos are."
            assert str(video) in str(model.asked[-1]["messages"][-1]), "nothing else tells the model where"
        assert len(model.asked) == len(script), "the grammar answered what the model was to answer"
    _one_trace_and_a_whole_audit(home, made, render_id)


def _a_machine_is_accepted(studio: Studio, ada: Person, bob: str, name: str, what: str, accept: str) -> None:
    """Ada asks, the agent waits, and only when Bob has agreed is the machine accepted."""
    ada.say(studio, what)
    told = ada.found("tool_result", "result")
    assert name in json.dumps(told)
    ada.say(studio, accept)
    approval = ada.found("approval", "approval_id")
    trace_id = ada.trace_id
    assert studio.machines() == {name: "discovered"}
    own = httpx.post(
        f"{studio.url}/api/approvals/{approval}/approve",
        headers={"Authorization": f"Bearer {ada.key}"}, json={}, timeout=PATIENCE_S, trust_env=False,
    )  # fmt: skip
    assert own.status_code == 403, "nobody agrees to what they have asked for"
    studio.call("POST", f"/api/approvals/{approval}/approve", bob, json={"reason": "It is ours."})
    deadline = time.monotonic() + PATIENCE_S
    while studio.machines()[name] == "discovered" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert studio.machines()[name] in ("accepted", "enrolling")
    while studio.call("GET", f"/api/approvals/{approval}")["state"] == "running":
        assert time.monotonic() < deadline, "the approval did not end"
        time.sleep(0.2)
    _the_act_carries_the_trace(studio, approval, trace_id)


def _the_act_carries_the_trace(studio: Studio, approval: str, trace_id: str) -> None:
    """What Ada said, Bob's yes, the act that it allowed and the machine's own record of it are one story."""
    lines = studio.call("GET", f"/api/traces/{approval}")["lines"]
    assert {line["trace_id"] for line in lines} == {trace_id}, lines
    told = [(line["kind"], line["actor"]) for line in lines]
    assert told[0] == ("utterance.said", "ada"), told
    asked, agreed, done = (
        told.index((f"approval.{state}", who))
        for state, who in (("requested", "ada"), ("approved", "bob"), ("done", "soundstage"))
    )
    assert asked < agreed < done, told
    assert "tool.called" in [kind for kind, _ in told[agreed:done]], told
    assert [line["data"]["outcome"] for line in lines if line["kind"] == "tool.ended"][-1] == "ok"
    assert studio.event_of_machines("machine.accepted")["trace_id"] == trace_id


def _the_video_is_found_again(
    studio: Studio, ada: Person, render_id: str, home: Any, probe: Any, load: str, where: str
) -> tuple[str, Path]:
    """Gives what is said of it, and its file as it is named there."""
    # A new conversation: what it is about comes with the snapshot.
    ada.session_id = None
    ada.say(studio, load)
    deadline = time.monotonic() + PATIENCE_S
    while (render := studio.call("GET", f"/api/renders/{render_id}", ada.key))["state"] != "done":
        assert render["state"] not in ("failed", "cancelled") and time.monotonic() < deadline, render
        time.sleep(0.5)
    reply = ada.say(studio, where)
    shown = ada.found("tool_result", "result")
    assert shown["render_id"] == render_id
    [video] = [Path(file) for file in shown["files"] if file.endswith(".mp4")]
    film = probe(video if video.is_absolute() else home.path / video)
    assert {stream["codec_type"] for stream in film["streams"]} >= {"video", "audio"}
    assert float(film["format"]["duration"]) > 3
    return reply, video


def _one_trace_and_a_whole_audit(home: Any, trace_id: str, render_id: str) -> None:
    """From the utterance to the artefact in one story, and nobody has touched the log."""
    story = json.loads(home.run("trace", render_id, "--json").stdout)
    lines = [line for line in story["lines"] if line["trace_id"] == trace_id]
    kinds = [line["kind"] for line in lines]
    for kind in ("utterance.said", "tool.called", "policy.decided", "tool.ended", "artefact.made"):
        assert kind in kinds, story["lines"]
    assert [line["subject"] for line in lines if line["kind"] == "artefact.made"] == [render_id]
    verdict = json.loads(home.run("audit", "verify", "--json").stdout)
    assert verdict["broken_at"] is None and verdict["lines"] > 10
