"""A farm that is hit by `kill -9`: real Nomad agents, a real `soundstage up`, `avatar work` on the node; used
by test_farm_kills.py.

What draws is the stand-in of tests/farm, and the real worker where a round asks for it: the drill is about
who dies when, not about pixels.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from local_login import local_headers
from waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("soundstage")
LIGHT_WORKER = Path(sys.executable).with_name("avatar")
REAL_WORKER = ROOT / "avatar" / ".venv" / "bin" / "avatar"
STAND_IN = ROOT / "tests" / "farm" / "stand_in.py"
ROLES = {"video", "vtt", "srt", "poster", "provenance"}
TASKS_PER_RENDER = 3  # two scenes and their assembly
PATIENCE_S = 300.0

T = TypeVar("T")


@dataclass
class Counts:
    """What the drill prints."""

    kills: Counter[str] = field(default_factory=Counter)
    renders: int = 0
    starts: int = 0
    again: int = 0
    moved: int = 0
    forgotten: set[int] = field(default_factory=set)
    blobs: int = 0

    def __str__(self) -> str:
        killed = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        return (
            f"killed: {killed}; renders asked for and done: {self.renders}; "
            f"workers started: {self.starts}, of them again by a Nomad client that was killed while it "
            f"started them: {self.again}, and placed anew because their node had been silent for too long: "
            f"{self.moved}; idle executors that such a client has forgotten: "
            f"{len(self.forgotten)}; blobs that have their name's hash: {self.blobs}"
        )


class Drill:
    """One installation and one cluster. `kill` hits one part, `revive` does what its operator would do."""

    def __init__(self, cluster: Any, home: Path) -> None:
        self.cluster = cluster
        self.home = home
        self.client = cluster.add_client("drilled")
        self.counts = Counts()
        self._starts = home / "starts"
        self._real = home / "real"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        self._up: subprocess.Popen[bytes] | None = None
        self._worker = home / "worker"
        self._worker.write_text(
            "#!/bin/sh\n"
            f'echo "$NOMAD_ALLOC_ID $*" >> {self._starts}\n'
            f'if [ -e {self._real} ]; then exec {REAL_WORKER} "$@"; fi\n'
            f'exec {LIGHT_WORKER} "$@" -- {sys.executable} -I -S {STAND_IN}\n'
        )
        self._worker.chmod(0o755)

    # Parts

    def start_server(self) -> None:
        """`soundstage up`, until it answers."""
        environment = {
            **os.environ,
            "SOUNDSTAGE_PERSONAS_DIR": str(ROOT / "personas"),
            "SOUNDSTAGE_HTTP__PORT": str(self._port),
            "SOUNDSTAGE_PROVISIONING__ENABLED": "false",  # makes no videos
            "SOUNDSTAGE_FARM__SCHEDULER": "nomad",
            "SOUNDSTAGE_FARM__NOMAD__ADDRESS": self.cluster.server.address,
            "SOUNDSTAGE_FARM__NOMAD__DRIVER": "raw_exec",
            "SOUNDSTAGE_FARM__NOMAD__COMMAND": str(self._worker),
            "SOUNDSTAGE_FARM__NOMAD__JOB_PREFIX": "drill",
        }
        with (self.home / "up.log").open("ab") as log:
            self._up = subprocess.Popen(
                [PROGRAM, "up", "--json"],
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.call("GET", "/api/health")

    def stop_server(self) -> None:
        if self._up is not None:
            self._up.terminate()
            self._up.wait(120)
            self._up = None

    def kill(self, part: str, dice: random.Random) -> None:
        """`server process` (its supervisor starts it again), `control plane` (both), `worker`, `nomad client`
        or `nomad server`.
        """
        if part == "nomad client":
            self.client.kill()
        elif part == "nomad server":
            self.cluster.server.kill()
        elif part == "worker":
            with suppress(ProcessLookupError):  # it ended at this very moment
                os.kill(dice.choice(eventually(self.workers, "a worker to run", 120)), signal.SIGKILL)
        elif part == "server process":
            os.kill(eventually(self._served_by, "the server process", 120), signal.SIGKILL)
        else:
            child = eventually(self._served_by, "the server process", 120)
            supervisor = self._supervisor()
            for pid in (supervisor.pid, child):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            supervisor.wait()
        self.counts.kills[part] += 1

    def revive(self, part: str) -> None:
        """Workers and the server process come back by themselves."""
        if part == "nomad client":
            self.client.start()
        elif part == "nomad server":
            self.cluster.server.start()
        elif part == "control plane":
            self.start_server()

    def workers(self) -> list[int]:
        """The `avatar work` processes of this drill."""
        return [pid for pid, command, _ in processes() if self.url in command and "\0work\0" in command]

    def _supervisor(self) -> subprocess.Popen[bytes]:
        if self._up is None:
            raise RuntimeError("the server is not running")
        return self._up

    def _served_by(self) -> int | None:
        pid = self._supervisor().pid
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(found[0]) if found else None

    # Work

    def submit(self, name: str, *, real: bool = False, draw_s: float = 0.8) -> str:
        """The id of a render of two short scenes. Asked again under one key as long as nobody answers."""
        if real:
            self._real.touch()
        order = "" if real else f"!slow {draw_s}\n"
        scenes = [{"id": part, "script": f"{order}{name}, {part}."} for part in ("one", "two")]
        spec = {"title": name, "canvas": {"width": 320, "height": 180}, "scenes": scenes}
        headers = {"Idempotency-Key": name.replace(" ", "-")}
        view = self.call("POST", "/api/renders", json={"spec": spec}, headers=headers)
        self.counts.renders += 1
        return str(view["id"])

    def finished(self, render_id: str) -> dict[str, Any]:
        """The render when it has ended."""

        def ended() -> dict[str, Any] | None:
            view: dict[str, Any] = self.call("GET", f"/api/renders/{render_id}")
            return view if view["state"] in ("done", "failed", "cancelled") else None

        return eventually(ended, f"the render {render_id} to end", PATIENCE_S)

    def make_stand_ins(self) -> None:
        self._real.unlink(missing_ok=True)

    def call(self, method: str, path: str, **more: Any) -> Any:
        """The answer, asked for again while nobody answers: a server that was killed comes back."""

        def answer() -> httpx.Response | None:
            try:
                headers = {**local_headers(self.home / "state"), **more.get("headers", {})}
                given = httpx.request(
                    method, self.url + path, timeout=15, trust_env=False, **{**more, "headers": headers}
                )
            except (httpx.HTTPError, FileNotFoundError):
                return None
            return given if given.status_code < 500 else None

        given = eventually(answer, f"{method} {path} to be answered", 180)
        assert given.is_success, f"{method} {path}: {given.text}"
        return given.json()

    # What is left

    def starts(self) -> Counter[tuple[str, str]]:
        """How often a worker was started, by task (segment, attempt and try) and allocation."""
        lines = self._starts.read_text().splitlines() if self._starts.exists() else []
        return Counter((line.split(" --task ", 1)[1].split()[0], line.split()[0]) for line in lines)

    def given_up(self) -> set[str]:
        """Allocations that Nomad has given up or taken back: what they did is placed anew."""
        found = self.cluster.server.get("/v1/allocations")
        return {one["ID"] for one in found if one["ClientStatus"] == "lost" or one["DesiredStatus"] != "run"}

    def orphans(self) -> list[str]:
        """Processes that nobody needs when nothing is being made: workers, what they started, and the
        executors of Nomad that watch over them. Agents, their log collectors and the plugin may be there.
        An executor without a process to watch over is Nomad's own: a client that dies between its start and
        the note of it forgets it. Those are counted.
        """
        folder = str(self.cluster.server.folder.parent)
        agents = {self.cluster.server.pid, self.client.pid}
        found = []
        self.counts.forgotten = {pid for pid in self.counts.forgotten if Path(f"/proc/{pid}").exists()}
        for pid, command, environment in processes():
            ours = folder in command or folder in environment or self.url in command
            needed = pid in agents or "logmon" in command or "gpu-device-plugin" in command
            if ours and "\0executor\0" in command and self.counts.kills["nomad client"] and not children(pid):
                self.counts.forgotten.add(pid)
            elif ours and not needed:
                found.append(f"{pid}: {command.replace(chr(0), ' ')[:200]}")
        return found

    def bad_blobs(self) -> list[str]:
        """Blobs whose content is not what their name says, and halves of blobs."""
        root = self.home / "state" / "blobs"
        files = [path for path in root.rglob("*") if path.is_file()]
        whole = [path for path in files if len(path.name) == 64]
        self.counts.blobs = len(whole)
        bad = [path for path in whole if hashlib.sha256(path.read_bytes()).hexdigest() != path.name]
        return [str(path) for path in [*bad, *root.rglob("*.part")]]


def processes() -> Iterator[tuple[int, str, str]]:
    """(pid, command line, environment) of all others."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):  # it ended meanwhile
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                environment = (entry / "environ").read_bytes().decode(errors="replace")
                yield int(entry.name), command, environment


def children(pid: int) -> list[str]:
    """Of all its threads; none when it has ended."""
    found: list[str] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += (thread / "children").read_text().split()
    return found
