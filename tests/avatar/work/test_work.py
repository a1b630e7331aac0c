"""`avatar work` against a small control plane that is away, slow, wrong or changes its mind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from avatar.engines.resume_cache import ResumeCache
from avatar.spec.unfinished import VARIABLE, list_of, resume_folder
from avatar.work.child import cards_hidden, read_bounded_lines, run_child

sys.path.insert(0, str(Path(__file__).parent))

from control_plane import Control
from waiting import eventually

PICTURE = b"bytes of a picture"

PROGRAM = """
import hashlib, json, sys, time, pathlib, os
order = sys.argv[1]
print(json.dumps({"event": "stage", "stage": "frames", "total_frames": 1}), flush=True)
print("to the log", file=sys.stderr, flush=True)
if order == "slow":
    time.sleep(60)
assert pathlib.Path("picture").read_bytes() == b"bytes of a picture"
pathlib.Path("out/video.mp4").write_bytes(b"video")
digest = "sha256:" + hashlib.sha256(b"video").hexdigest()
file = {"role": "video", "path": "out/video.mp4", "sha256": digest, "bytes": 5, "media_type": "video/mp4"}
print(json.dumps({"event": "result", "files": [file], "duration_ms": 40, "frames": 1}), flush=True)
"""


@contextmanager
def running_control() -> Iterator[Control]:
    control_plane = Control()
    control_plane.order["arguments"] = ["good", "--blobs", "@blobs"]
    control_plane.order["files"] = [control_plane.hold(PICTURE) | {"path": "picture"}]
    threading.Thread(target=control_plane.serve_forever, daemon=True).start()
    yield control_plane
    control_plane.shutdown()
    control_plane.server_close()


@pytest.fixture
def control() -> Iterator[Control]:
    with running_control() as control_plane:
        yield control_plane


@pytest.fixture
def start(control: Control, tmp_path: Path) -> Any:
    def run(**environment: str) -> subprocess.Popen[str]:
        (tmp_path / "token").write_text(environment.pop("TOKEN", "the-token") + "\n")
        (tmp_path / "program.py").write_text(PROGRAM)
        (tmp_path / "local").mkdir(exist_ok=True)
        command = [
            *(sys.executable, "-m", "avatar.cli", "work", "--control", control.url),
            *(("--control", environment.pop("OTHER")) if "OTHER" in environment else ()),
            *("--task", "t"),
            *("--token", str(tmp_path / "token"), "--cache", str(tmp_path / "cache")),
            *("--", sys.executable, str(tmp_path / "program.py")),
        ]
        return subprocess.Popen(
            command,
            env={**os.environ, "NOMAD_TASK_DIR": str(tmp_path / "local"), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"worker.name", "worker.lock"}


def test_an_order_is_carried_out_and_handed_over(control: Control, start: Any, tmp_path: Path) -> None:
    process = start(SECRET="not for the program")
    assert process.wait(60) == 0, process.stderr.read()
    assert [*control.outputs.values()] == [b"video"]
    assert control.lines() == ["stage"]
    assert control.end is not None and control.end["result"]["frames"] == 1
    assert "to the log" in "".join(report["log"] for report in control.reports)
    assert [report["seq"] for report in control.reports] == list(range(1, len(control.reports) + 1))
    assert control.tokens == {"Bearer the-token"}
    assert left_in(tmp_path / "local") == set(), "nothing is left on the node but its cache"


def test_a_traced_order_reports_what_was_done_as_spans(control: Control, start: Any) -> None:
    trace_id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    control.order["environment"] = {"TRACEPARENT": f"00-{trace_id}-{parent}-01"}
    process = start(NOMAD_NODE_NAME="worker-1")
    assert process.wait(60) == 0, process.stderr.read()
    lines = [line for report in control.reports for line in report["lines"] if line["event"] == "span"]
    spans = {line["name"]: line for line in lines}
    assert list(spans) == ["fetch inputs", "upload outputs", "avatar work"]
    work = spans["avatar work"]
    assert (work["parent_id"], work["attributes"]) == (parent, {"host.name": "worker-1"})
    assert {one["parent_id"] for name, one in spans.items() if name != "avatar work"} == {work["span_id"]}
    assert {one["trace_id"] for one in lines} == {trace_id}


def test_a_control_plane_that_is_away_is_asked_again(control: Control, start: Any) -> None:
    control.away = 4
    process = start()
    assert process.wait(60) == 0, process.stderr.read()
    assert control.end is not None and len(control.outputs) == 1


def test_when_a_server_dies_after_the_upload_the_next_one_gets_all(start: Any, control: Control) -> None:
    with running_control() as other:
        control.dies_after_output = True
        process = start(OTHER=other.url)
        assert process.wait(60) == 0, process.stderr.read()
        assert [*control.outputs.values()] == [b"video"]
        assert [*other.outputs.values()] == [b"video"]
        assert control.end is None and other.end is not None and other.end["result"]["frames"] == 1


def test_a_damaged_input_is_fetched_anew_and_a_hopeless_one_is_named(
    control: Control, start: Any, tmp_path: Path
) -> None:
    control.damaged = 1
    assert start().wait(60) == 0
    control.reports.clear()
    control.damaged = 100
    (copy,) = [path for path in (tmp_path / "cache" / "blobs").rglob("*") if path.is_file()]
    copy.write_bytes(b"rotten")
    assert start().wait(60) == 1
    assert control.end is not None and control.end["fault"]["code"] == "work.blob_damaged"


def test_two_tasks_of_a_node_fetch_an_input_once(control: Control, start: Any) -> None:
    for _ in range(2):
        assert start().wait(60) == 0
    assert control.fetched == 1


def test_sigterm_ends_program_and_worker_and_says_so(control: Control, start: Any, tmp_path: Path) -> None:
    control.order["arguments"] = ["slow"]
    process = start()
    eventually(lambda: control.lines())
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert time.monotonic() - began < 30
    assert control.end is not None and control.end["ended_by"] == "cancel"
    assert left_in(tmp_path / "local") == set()


def test_a_worker_that_is_started_again_beside_a_living_one_takes_its_place(
    control: Control, start: Any, tmp_path: Path
) -> None:
    control.order["arguments"] = ["slow"]
    first = start(NOMAD_ALLOC_ID="the-allocation")
    eventually(lambda: control.lines())
    control.order["arguments"] = ["good"]
    second = start(NOMAD_ALLOC_ID="the-allocation")
    assert second.wait(60) == 0, second.stderr.read()
    assert first.wait(60) == 143
    runs = [report["run"] for report in control.reports]
    assert len(set(runs)) == 2, "the farm can tell them apart"
    assert runs == sorted(runs, key=runs.index), "the first was silent before the second spoke"
    assert [*control.outputs.values()] == [b"video"]


@pytest.mark.parametrize("days", [-3, 3])
def test_the_clock_of_a_node_plays_no_part(control: Control, start: Any, tmp_path: Path, days: int) -> None:
    folder = tmp_path / "other-clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        f"import time\nreal = time.time\ntime.time = lambda: real() + {days} * 86400\n"
    )
    assert start(PYTHONPATH=str(folder)).wait(60) == 0
    assert [*control.outputs.values()] == [b"video"]


def test_a_reply_that_says_stop_ends_the_work(control: Control, start: Any) -> None:
    control.order["arguments"] = ["slow"]
    control.stop = True
    assert start().wait(60) == 143
    assert control.end is None, "nobody wants to hear it"


@pytest.fixture
def parts(control: Control, tmp_path: Path) -> Any:
    """Stores parts of an earlier try in the node's cache, beside those of other work; returns what is
    left.
    """
    cache = tmp_path / "cache"
    control.order["arguments"] = ["slow"]
    control.order["environment"] = {VARIABLE: "ours"}
    for work in ("ours", "theirs"):
        ResumeCache(resume_folder(cache), listed=list_of(cache, work)).put(work, b"a chunk")
    return lambda: sorted(path.stem for path in resume_folder(cache).glob("*.part"))


def test_what_was_kept_goes_when_the_reply_says_that_nobody_will_go_on(
    control: Control, start: Any, parts: Any
) -> None:
    control.stop, control.forget = True, True
    assert start().wait(60) == 143
    assert parts() == ["theirs"]


@pytest.mark.parametrize(("forget", "left"), [(True, ["theirs"]), (None, ["ours", "theirs"])])
def test_a_worker_that_nomad_stopped_first_learns_why_from_the_reply_to_its_last_word(
    control: Control, start: Any, parts: Any, forget: bool | None, left: list[str]
) -> None:
    process = start()
    eventually(lambda: control.lines())
    control.forget = forget
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert parts() == left


def test_without_its_token_it_says_what_is_missing(control: Control, start: Any, tmp_path: Path) -> None:
    process = start()
    process.kill()
    process.wait()
    (tmp_path / "token").unlink()
    done = subprocess.run(process.args, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "work.no_token" in done.stderr


def test_a_worker_that_waits_for_its_token_can_be_stopped(start: Any, tmp_path: Path) -> None:
    process = start(TOKEN="")
    eventually((tmp_path / "local" / "worker.name").exists)
    process.terminate()
    assert process.wait(60) == 143, process.stderr.read()


def test_a_token_that_comes_late_is_waited_for(control: Control, start: Any, tmp_path: Path) -> None:
    process = start(TOKEN="")
    time.sleep(1)  # it asks with no empty token meanwhile
    assert process.poll() is None and control.tokens == set()
    (tmp_path / "token").write_text("the-token\n")
    assert process.wait(60) == 0, process.stderr.read()
    assert control.tokens == {"Bearer the-token"}


def test_after_kill_9_of_the_worker_its_program_does_not_go_on(control: Control, start: Any) -> None:
    control.order["arguments"] = ["slow"]
    process = start()
    eventually(lambda: control.lines())
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    eventually(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text())


def test_what_a_program_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    code = "import subprocess; subprocess.Popen(['sleep', '600']); print('done')"
    lines: list[bytes] = []
    began = time.monotonic()
    end = run_child(
        [sys.executable, "-c", code], folder=tmp_path, environment={}, time_limit_s=20, grace_s=1,
        stop=threading.Event(), on_line=lines.append, on_log=lambda _: None,
    )  # fmt: skip
    assert (end.returncode, end.ended_by, lines) == (0, "itself", [b"done"])
    assert time.monotonic() - began < 15


def test_a_program_past_its_time_is_stopped(tmp_path: Path) -> None:
    end = run_child(
        ["sleep", "60"], folder=tmp_path, environment={}, time_limit_s=0.3, grace_s=1,
        stop=threading.Event(), on_line=lambda _: None, on_log=lambda _: None,
    )  # fmt: skip
    assert (end.returncode, end.ended_by) == (-signal.SIGTERM, "time_limit")


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a" * 100 + b"\nshort\n" + b"b" * 50)
    with path.open("rb") as stream:
        assert [*read_bounded_lines(stream, limit=10)] == [b"a" * 10, b"short", b"b" * 10]


def test_a_task_of_nomad_without_a_card_of_its_own_sees_none() -> None:
    assert cards_hidden({"NOMAD_ALLOC_ID": "a"}) == {"CUDA_VISIBLE_DEVICES": ""}
    assert cards_hidden({"NOMAD_ALLOC_ID": "a", "CUDA_VISIBLE_DEVICES": "GPU-1"}) == {}
    assert cards_hidden({"NOMAD_ALLOC_ID": "a", "NVIDIA_VISIBLE_DEVICES": "GPU-1"}) == {}
    assert cards_hidden({}) == {}, "a worker that is run by hand has what its machine has"


def test_the_program_is_told_where_weights_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVATAR_MODELS", "/srv/weights")
    monkeypatch.setenv("SECRET", "never")
    seen = bytearray()
    program = "import os; print(os.environ.get('AVATAR_MODELS'), os.environ.get('SECRET'))"
    run_child(
        [sys.executable, "-c", program],
        folder=tmp_path,
        environment={},
        time_limit_s=20,
        grace_s=1,
        stop=threading.Event(),
        on_line=seen.extend,
        on_log=lambda log: None,
    )
    assert seen == b"/srv/weights None"
