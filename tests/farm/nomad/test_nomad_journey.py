"""The whole way on a real Nomad: a server as people start it, the real worker on a node, a video."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(sys.executable).with_name("soundstage")
WORKER = ROOT / "avatar" / ".venv" / "bin" / "avatar"
SAID = "Hello there, world! This video was made on a farm."


@pytest.fixture
def environment(cluster: Any) -> dict[str, str]:
    if not WORKER.exists():
        pytest.fail("the worker's environment is missing: (cd avatar && uv sync --extra cpu --extra face)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        **os.environ,
        "SOUNDSTAGE_PERSONAS_DIR": str(ROOT / "personas"),
        "SOUNDSTAGE_HTTP__PORT": str(port),
        "SOUNDSTAGE_PROVISIONING__ENABLED": "false",  # makes no videos
        "SOUNDSTAGE_FARM__SCHEDULER": "nomad",
        "SOUNDSTAGE_FARM__NOMAD__ADDRESS": cluster.server.address,
        "SOUNDSTAGE_FARM__NOMAD__DRIVER": "raw_exec",
        "SOUNDSTAGE_FARM__NOMAD__COMMAND": str(WORKER),
        "SOUNDSTAGE_FARM__NOMAD__JOB_PREFIX": "journey",
    }


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    log = (tmp_path / "up.log").open("w")
    process = subprocess.Popen(
        [PROGRAM, "up", "--json"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert any(json.loads(line)["event"] == "ready" for line in process.stdout)
    yield process
    process.terminate()
    process.wait(120)
    log.close()


@pytest.mark.smoke
def test_a_render_survives_a_killed_server_and_each_segment_is_made_once(
    server: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path, cluster: Any
) -> None:
    render = subprocess.Popen(
        [PROGRAM, "render", "--script", SAID, "--json"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: running_jobs(cluster) >= 1, within_s=120)
    # Half a second of spans dies with the server; that of the request is looked at below.
    eventually(lambda: "POST /api/renders" in {span["name"] for span in all_spans(tmp_path)}, within_s=10)
    os.kill(child_of(server.pid), signal.SIGKILL)
    output, complained = render.communicate(timeout=240)
    assert render.returncode == 0, output + complained + (tmp_path / "up.log").read_text()[-4000:]
    videos = [*(tmp_path / "out").glob("*.mp4")]
    assert len(videos) == 1 and videos[0].stat().st_size > 10_000
    segments = [job for job in jobs(cluster) if "assemble" not in job]
    created = [len(cluster.allocations(job)) for job in segments]
    assert created and set(created) == {1}, "no segment was begun twice"
    assert_one_trace(tmp_path)


def assert_one_trace(folder: Path) -> None:
    """The steps of the dead server, of the one after it, and of the workers on the node are one trace."""
    provenance = next((folder / "out").glob("*.provenance.json"))
    trace_id = json.loads(provenance.read_text())["trace_id"]
    # The server writes its spans twice a second, the last ones after the video is there.
    eventually(lambda: any(span["name"] == "render" for span in spans_of(trace_id, folder)), within_s=10)
    spans = spans_of(trace_id, folder)
    by_id = {span["span_id"]: span for span in spans}
    names = {span["name"] for span in spans}
    assert {"POST /api/renders", "render", "run assemble", "dispatch job", "deliver"} <= names
    on_nodes = {span["name"] for span in spans if span["service"] == "worker"}
    assert {"avatar work", "fetch inputs", "avatar segment", "speech", "frames", "upload outputs"} <= on_nodes
    for span in spans:
        if span["name"] == "speech":
            assert by_id[by_id[span["parent_id"]]["parent_id"]]["name"] == "avatar work"


def spans_of(trace_id: str, folder: Path) -> list[dict[str, Any]]:
    return [span for span in all_spans(folder) if span["trace_id"] == trace_id]


def all_spans(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for file in (folder / "state" / "traces").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]


def jobs(cluster: Any) -> list[str]:
    return [job["ID"] for job in cluster.server.get("/v1/jobs?prefix=journey-")]


def running_jobs(cluster: Any) -> int:
    found = [one for job in jobs(cluster) for one in cluster.allocations(job)]
    return sum(one["ClientStatus"] == "running" for one in found)


def child_of(pid: int) -> int:
    """The server process under its supervisor."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(found) == 1
    return int(found[0])
