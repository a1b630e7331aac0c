"""The worker that schedulers start, told to stop in the middle of what networks draw: it ends in time and
leaves nothing half done, and a second one goes on with what was kept.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from avatar.spec.unfinished import VARIABLE, list_of, resume_folder

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "work")]

from control_plane import Control  # noqa: E402

pytestmark = pytest.mark.torch

CHAIN = "liveportrait+latentsync"
WORK, GRACE_S = "the-render", 20.0
SLOW_S = 4.0
"""In each layer of a frame, and each step of a chunk: a frame then takes longer than a worker has to go."""


@dataclass(frozen=True)
class Ended:
    """One worker's life: its exit code, how it says that it ended, what it computed, what it brought."""

    code: int
    end: dict[str, Any]
    computed: Counter[str]
    outputs: set[str]


@dataclass
class Farm:
    """Orders of one scene, on a node with this cache."""

    folder: Path
    control: Control

    @property
    def parts(self) -> set[str]:
        return {path.stem for path in resume_folder(self.folder / "cache").glob("*.part")}

    @property
    def computed(self) -> list[str]:
        """Lines that `slow_chain` has written."""
        lines = self.folder / "computed"
        return lines.read_text().splitlines() if lines.exists() else []

    def worker(self, **environment: str) -> subprocess.Popen[bytes]:
        (self.folder / "computed").unlink(missing_ok=True)
        (self.folder / "local").mkdir(exist_ok=True)
        (self.folder / "token").write_text("the-token")
        self.control.reports.clear()
        self.control.outputs.clear()
        ours = {VARIABLE: WORK, "COMPUTED": str(self.folder / "computed"), **environment}
        self.control.order["environment"] = ours
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "avatar.cli", "work", "--control", self.control.url, "--task", "t"),
                *("--token", str(self.folder / "token"), "--cache", str(self.folder / "cache")),
                *("--", sys.executable, str(HERE / "slow_chain.py")),
            ],
            env={**os.environ, "NOMAD_TASK_DIR": str(self.folder / "local")},
        )

    def wait_for_end(self, process: subprocess.Popen[bytes]) -> Ended:
        code = process.wait(120)
        assert self.control.end is not None
        done = Counter(line.partition(" ")[0] for line in self.computed if line.endswith(" done"))
        return Ended(code, self.control.end, done, {*self.control.outputs})

    def run(self, **environment: str) -> Ended:
        return self.wait_for_end(self.worker(**environment))

    def stop_at(self, stage: str, after: int, **environment: str) -> Ended:
        """Told to stop in the middle of the part that follows `after` whole ones of that stage."""
        process = self.worker(SLOW_STAGE=stage, SLOW_AFTER=str(after), SLOW_S=str(SLOW_S), **environment)
        deadline = time.monotonic() + 120
        while f"{stage} lingers" not in self.computed:
            assert process.poll() is None, "it ended before it was stopped"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        return self.wait_for_end(process)


@pytest.fixture
def farm(
    tmp_path: Path,
    checkpoints: Path,
    photo: Path,
    spec_of: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str], Farm]]:
    """Gives farms by name, each with a folder of its own, that all have one scene of the chain to make."""
    monkeypatch.setenv("AVATAR_MODELS", str(checkpoints))
    control = Control()
    picture = control.hold(photo.read_bytes())
    spec = spec_of("photo", CHAIN, "Mama.")
    spec["scenes"][0]["face"]["image"] = {"sha256": picture["sha256"], "name": photo.name}
    control.order |= {
        "arguments": [
            *("segment", "spec.json", "one", "out/segment"),
            *("--blobs", "@blobs", "--cache", "@cache", "--json"),
        ],
        "files": [control.hold(json.dumps(spec).encode()) | {"path": "spec.json"}],
        "blobs": [picture],
        "time_limit_s": 200,
        "grace_s": GRACE_S,
    }
    threading.Thread(target=control.serve_forever, daemon=True).start()

    def create_farm(name: str) -> Farm:
        (tmp_path / name).mkdir()
        return Farm(tmp_path / name, control)

    yield create_farm
    control.shutdown()
    control.server_close()


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"worker.name", "worker.lock"}


@pytest.mark.parametrize(
    "stops",
    [
        [("portrait", 3, {}), ("mouth", 1, {})],
        pytest.param(
            [("portrait", 3, {"IN_TURN": "yes"}), ("mouth", 1, {"IN_TURN": "yes"})], marks=pytest.mark.slow
        ),
    ],
    ids=["together", "in turn"],
)
def test_a_worker_that_is_stopped_in_each_stage_goes_on_from_where_it_stood(
    farm: Callable[[str], Farm], stops: list[tuple[str, int, dict[str, str]]]
) -> None:
    """Three workers make one scene: the first is stopped while LivePortrait draws a frame, the second while
    LatentSync denoises a chunk. Together they compute what one alone does, and the files are the same.
    """
    whole = farm("whole").run()
    assert whole.code == 0 and len(whole.outputs) == 3
    node, computed = farm("node"), Counter[str]()
    for stage, after, environment in stops:
        before = node.parts
        stopped = node.stop_at(stage, after, **environment)
        assert (stopped.code, stopped.end["ended_by"]) == (143, "cancel")
        assert stopped.end["returncode"] == 143, "it went by itself within GRACE_S: nobody had to kill it"
        assert stopped.end["failure"]["code"] == "render.cancelled"
        assert (stopped.outputs, left_in(node.folder / "local")) == (set(), set())
        assert len(node.parts - before) == stopped.computed.total() >= after, "each whole part is kept"
        assert node.parts > before
        computed += stopped.computed

    last = node.run()
    assert last.code == 0
    assert last.outputs == whole.outputs, "the same files as if nothing had happened"
    assert computed + last.computed == whole.computed, "nothing is drawn twice"
    assert last.computed["portrait"] < whole.computed["portrait"]
    assert last.computed["mouth"] < whole.computed["mouth"]
    assert node.parts == set() and not list_of(node.folder / "cache", WORK).exists()
