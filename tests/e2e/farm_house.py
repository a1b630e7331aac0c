"""A studio on a farm of two machines: a real Nomad, fake cards, `soundstage up`, the real worker; used by
test_farm.py.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import waiting
from local_login import local_headers

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("soundstage")
WORKER = ROOT / "avatar" / ".venv" / "bin" / "avatar"
HANGING = Path(__file__).with_name("hanging_worker.py")
MEASURES = Path(__file__).with_name("film_measures.py")
SUPPORT = ROOT / "tests" / "support"
ENDED = ("done", "failed", "cancelled")
PATIENCE_S = 420.0

T = TypeVar("T")
eventually = partial(waiting.eventually, within_s=PATIENCE_S, pause_s=0.1)


class FarmHouse:
    """One installation and one cluster."""

    def __init__(self, cluster: Any, home: Path) -> None:
        self.cluster = cluster
        self.home = home
        self.hold = home / "hold"
        self.cache = home / "cache-of-nodes"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self._url = f"http://127.0.0.1:{self._port}"
        self._up: subprocess.Popen[bytes] | None = None
        worker = home / "worker"
        worker.write_text(
            f'#!/bin/sh\nexec {WORKER} "$@" -- {sys.executable} -I -S {HANGING} {self.hold} {WORKER}\n'
        )
        worker.chmod(0o755)
        self._environment = {
            **os.environ,
            "COLUMNS": "400",
            "SOUNDSTAGE_PERSONAS_DIR": str(ROOT / "personas"),
            "SOUNDSTAGE_HTTP__PORT": str(self._port),
            "SOUNDSTAGE_PROVISIONING__ENABLED": "false",  # makes no videos
            "SOUNDSTAGE_FARM__SCHEDULER": "nomad",
            "SOUNDSTAGE_FARM__NOMAD__ADDRESS": cluster.server.address,
            "SOUNDSTAGE_FARM__NOMAD__DRIVER": "raw_exec",
            "SOUNDSTAGE_FARM__NOMAD__COMMAND": str(worker),
            "SOUNDSTAGE_FARM__NOMAD__CACHE_DIR": str(self.cache),
            "SOUNDSTAGE_FARM__NOMAD__JOB_PREFIX": "house",
        }

    def open(self) -> None:
        """`soundstage up`, until it answers."""
        with (self.home / "up.log").open("ab") as log:
            self._up = subprocess.Popen(
                [PROGRAM, "up", "--json"],
                cwd=self.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._answers, "the server to answer")

    def close(self) -> None:
        if self._up is not None:
            self._up.terminate()
            self._up.wait(120)

    def command(self, *arguments: str) -> str:
        """What a `soundstage` command prints."""
        ran = subprocess.run(
            [PROGRAM, *arguments],
            cwd=self.home,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout.strip()

    @property
    def _headers(self) -> dict[str, str]:
        return local_headers(self.home / "state")

    def call(self, method: str, path: str, **more: Any) -> Any:
        answer = httpx.request(
            method, self._url + path, headers=self._headers, timeout=120, trust_env=False, **more
        )
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json()

    def bytes_of(self, path: str) -> bytes:
        answer = httpx.get(self._url + path, headers=self._headers, timeout=120, trust_env=False)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.content

    def events(self, render_id: str) -> list[dict[str, Any]]:
        """All events of a render that has begun, to its end."""
        found: list[dict[str, Any]] = []
        url = f"{self._url}/api/renders/{render_id}/events"
        with httpx.stream("GET", url, headers=self._headers, timeout=PATIENCE_S, trust_env=False) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    found.append(json.loads(line.removeprefix("data:")))
        return found

    def ended(self, render_id: str) -> dict[str, Any]:
        """The render when it has ended."""

        def look() -> dict[str, Any] | None:
            view: dict[str, Any] = self.call("GET", f"/api/renders/{render_id}")
            return view if view["state"] in ENDED else None

        return eventually(look, f"the render {render_id} to end")

    def places(self) -> list[dict[str, Any]]:
        """All allocations of ours, the oldest first: node, cards, state, task."""
        found = self.cluster.server.get("/v1/allocations?resources=true")
        ours = sorted((one for one in found if one["JobID"].startswith("house-")), key=_age)
        return [
            {
                "job": one["JobID"],
                "node": one["NodeName"],
                "state": one["ClientStatus"],
                "cards": [
                    card
                    for task in one["AllocatedResources"]["Tasks"].values()
                    for device in task["Devices"] or ()
                    for card in device["DeviceIDs"]
                ],
            }
            for one in ours
        ]

    def made_here(self, spec: dict[str, Any]) -> Path:
        """The same spec made by one worker on this machine, without studio and farm."""
        (self.home / "spec.json").write_text(json.dumps(spec))
        video = self.home / "local" / "local.mp4"
        video.parent.mkdir()
        arguments = ["render", self.home / "spec.json", video, "--cache", self.home / "local-cache", "--json"]
        subprocess.run([WORKER, *arguments], check=True, capture_output=True, timeout=PATIENCE_S)
        return video

    def measured(self, video: Path, reference: Path, joints: list[int]) -> dict[str, Any]:
        """See film_measures.py."""
        numbers = [str(number) for number in joints]
        ran = subprocess.run(
            [WORKER.with_name("python"), MEASURES, video, reference, *numbers],
            env={**os.environ, "PYTHONPATH": str(SUPPORT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._url}/api/health", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False


def _age(allocation: dict[str, Any]) -> int:
    return int(allocation["CreateIndex"])
