"""Spans of a worker: nothing without TRACEPARENT, stages as steps, errors by their code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from avatar.errors import InvalidInput
from avatar.spans import Spans, StageSpans, trace_id_of
from avatar.spec import Finished, ProgressLine, SpanEnded, StageStarted, parse_progress
from pydantic import ValidationError

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED = {"TRACEPARENT": f"00-{TRACE}-{PARENT}-01"}


@pytest.mark.parametrize("header", ["", "garbage", f"00-{TRACE}-{PARENT}-00", f"00-{'0' * 32}-{PARENT}-01"])
def test_nothing_is_measured_for_a_caller_that_does_not_ask(header: str) -> None:
    lines: list[ProgressLine] = []
    spans = Spans(lines.append, {"TRACEPARENT": header})
    with spans.span("step"):
        assert spans.traceparent is None
    assert lines == []


def test_the_trace_id_is_that_of_the_caller_sampled_or_not() -> None:
    assert trace_id_of(TRACED) == trace_id_of({"TRACEPARENT": f"00-{TRACE}-{PARENT}-00"}) == TRACE
    assert trace_id_of({}) is None


def test_stages_become_steps_of_the_verb() -> None:
    lines: list[ProgressLine] = []
    spans = Spans(lines.append, TRACED)
    stages = StageSpans(lines.append, spans)
    with spans.span("avatar segment") as attributes:
        stages.tell(StageStarted(stage="speech", scene="scene-1"))
        stages.tell(StageStarted(stage="frames", scene="scene-1", total_frames=9))
        stages.note(Finished(files=(), duration_ms=360, frames=9))
        stages.end()
        attributes.update(stages.result)
    found = [line for line in lines if isinstance(line, SpanEnded)]
    assert [one.name for one in found] == ["speech", "frames", "avatar segment"]
    verb = found[2]
    assert {one.parent_id for one in found[:2]} == {verb.span_id} and verb.parent_id == PARENT
    assert found[1].attributes == {"soundstage.scene": "scene-1", "soundstage.frames": 9}
    assert verb.attributes == {"soundstage.frames": 9}
    assert verb.start_ns <= found[0].start_ns <= found[0].end_ns <= found[1].start_ns <= verb.end_ns
    assert isinstance(lines[0], StageStarted), "progress goes on as before"


def test_an_error_leaves_its_code_alone() -> None:
    lines: list[ProgressLine] = []
    with pytest.raises(InvalidInput), Spans(lines.append, TRACED).span("step"):
        raise InvalidInput("media.missing", "The file of Ada is missing.", "Look.")
    (found,) = lines
    assert isinstance(found, SpanEnded) and found.is_error
    assert found.attributes == {"error.type": "media.missing"}


def test_the_program_prints_spans_beside_its_progress_and_the_result_last(tmp_path: Path) -> None:
    wave = tmp_path / "broken.wav"
    wave.write_bytes(b"RIFF")
    command = [sys.executable, "-m", "avatar.cli", "probe", str(wave), "--cache", str(tmp_path), "--json"]
    plain = subprocess.run(command, capture_output=True, text=True)
    traced = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **TRACED})
    without = [json.loads(line)["event"] for line in plain.stdout.splitlines()]
    events = [json.loads(line)["event"] for line in traced.stdout.splitlines()]
    assert "span" not in without and events[-1] == without[-1] == "error"
    assert [event for event in events if event != "span"] == without
    verb = [json.loads(line) for line in traced.stdout.splitlines()][-2]
    assert (verb["name"], verb["parent_id"], verb["is_error"]) == ("avatar probe", PARENT, True)


def test_a_worker_cannot_send_more_than_a_span_may_hold() -> None:
    line = {
        "event": "span",
        "trace_id": TRACE,
        "span_id": PARENT,
        "parent_id": PARENT,
        "name": "x",
        "start_ns": 1,
        "end_ns": 2,
    }
    assert isinstance(parse_progress(json.dumps(line)), SpanEnded)
    for wrong in (
        {"name": "x" * 81},
        {"span_id": "nothing"},
        {"attributes": {"a": "x" * 201}},
        {"attributes": {str(number): number for number in range(17)}},
        {"attributes": {"a": {"b": 1}}},
        {"end_ns": 2**63},
    ):
        with pytest.raises(ValidationError):
            parse_progress(json.dumps(line | wrong))
