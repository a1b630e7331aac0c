"""`avatar live`: a face that is drawn while it is talked to, in memory that another process reads."""

from __future__ import annotations

import base64
import json
import mmap
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from avatar.spec.live import SLOTS, slot_bytes
from clipmaker.person import photo

SIZE = (320, 180)
Picture = npt.NDArray[np.uint8]
CONSENT = {"id": "cns_1", "person": "Eileen C.", "purpose": "tests", "granted_at": "2026-01-05"}


class Live:
    """The program, and what it draws."""

    def __init__(self, process: subprocess.Popen[bytes], memory: Path) -> None:
        self.process = process
        with memory.open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), SLOTS * slot_bytes(*SIZE), prot=mmap.PROT_READ)

    def tell(self, **order: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def frames(self, seconds: float) -> Iterator[tuple[dict[str, Any], Picture]]:
        """Yields frames for so long, with the brightness of each."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            line = self.line()
            if line["event"] == "live.frame":
                at, size = line["slot"] * slot_bytes(*SIZE), SIZE[0] * SIZE[1]
                luma = np.frombuffer(self._memory[at : at + size], np.uint8)
                yield line, luma.reshape(SIZE[1], SIZE[0])

    def end(self) -> dict[str, Any]:
        """Ends the orders; returns the last line."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        last: dict[str, Any] = json.loads(self.process.stdout.read().splitlines()[-1])
        self.process.wait(20)
        return last


@pytest.fixture
def live(tmp_path: Path) -> Callable[..., Any]:
    @contextmanager
    def start(**scene: Any) -> Iterator[Live]:
        canvas = {"width": SIZE[0], "height": SIZE[1], "fps": 25}
        spec = {"canvas": canvas, "scenes": [{"id": "live", "script": "Hello.", **scene}]}
        (tmp_path / "spec.json").write_text(json.dumps(spec))
        memory = tmp_path / "pictures"
        memory.write_bytes(bytes(SLOTS * slot_bytes(*SIZE)))
        command = ["live", "spec.json", "live", "--memory", str(memory), "--cache", str(tmp_path), "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "avatar.cli", *command],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            yield Live(process, memory)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    return start


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Returns the sound and times of a sentence, as the voice worker sends them."""
    folder = tmp_path_factory.mktemp("sentence")
    scene = {"id": "a", "script": "Bob may move my arm above the map, above the map.", "lead_in_ms": 0}
    (folder / "spec.json").write_text(json.dumps({"scenes": [scene]}))
    command = [sys.executable, "-m", "avatar.cli", "speak", "spec.json", "a", "out", "--json"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    sheet = json.loads((folder / "out/speech.json").read_text())
    wav = base64.b64encode((folder / "out/audio.wav").read_bytes()).decode()
    return {"wav": wav, **{name: sheet[name] for name in ("duration_ms", "words", "phones")}}


def mouth(picture: Picture) -> Picture:
    """Returns where the mouth of Nova lies in a picture of this size."""
    return picture[96:124, 138:182]


def movement(pictures: list[Picture]) -> float:
    """Returns how much brightness changes from picture to picture around the mouth."""
    return float(np.mean([cv2.absdiff(mouth(a), mouth(b)).mean() for a, b in pairwise(pictures)]))


def test_the_lips_move_with_a_sentence_and_stop_with_an_interruption(
    live: Callable[..., Any], sentence: dict[str, Any]
) -> None:
    with live(face={"kind": "rig", "character": "nova"}) as face:
        assert face.line()["event"] == "stage"
        ready = face.line()
        assert ready == {"event": "live.ready", "width": SIZE[0], "height": SIZE[1], "fps": 25}
        face.tell(type="sentence", id=1, emotion="happy", **sentence)
        silent = [picture.copy() for _, picture in face.frames(1.2)]
        # What cannot be understood is no reason to end.
        face.process.stdin.write(b"nonsense\n")
        face.tell(type="begin", id=1, at_s=time.monotonic())
        spoken = list(face.frames(1.6))
        face.tell(type="hush")
        list(face.frames(0.3))
        hushed = [picture.copy() for _, picture in face.frames(0.6)]
        face.tell(type="begin", id=1, at_s=time.monotonic())
        face.tell(type="begin", id=7, at_s=time.monotonic())
        again = [picture.copy() for _, picture in face.frames(0.6)]
        result = face.end()
    pictures = [picture for _, picture in spoken]
    assert movement(pictures) > 2 * max(movement(silent), movement(hushed), movement(again))
    times = [line["at_s"] for line, _ in spoken]
    assert sorted(times) == times and len(times) >= 25, "25 a second while it speaks"
    assert len(silent) <= 1.2 * 25 / 2 + 8, "half of them while it says nothing"
    assert result["event"] == "result" and result["engines"][0]["engine"] == "rig"


def test_a_photo_comes_alive(live: Callable[..., Any], tmp_path: Path, sentence: dict[str, Any]) -> None:
    cv2.imwrite(str(tmp_path / "face.jpg"), photo("astronaut"))
    with live(face={"kind": "photo", "image": {"path": "face.jpg"}, "consent": CONSENT}) as face:
        while (line := face.line())["event"] != "live.ready":
            assert line["event"] in ("stage", "notice"), line
        face.tell(type="sentence", id=1, **sentence)
        face.tell(type="begin", id=1, at_s=time.monotonic() + 0.2)
        pictures = [picture.copy() for _, picture in face.frames(2.5)]
        result = face.end()
    spread = np.std(np.stack(pictures).astype(np.float32), axis=0)
    assert spread.max() > 20, "lips move over the teeth"
    assert result["engines"][0]["engine"] == "mesh"


def test_a_photo_without_consent_is_not_drawn(live: Callable[..., Any], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "face.jpg"), photo("astronaut"))
    with live(face={"kind": "photo", "image": {"path": "face.jpg"}}) as face:
        assert face.line()["code"] == "consent.required"


def test_a_filmed_face_is_refused(live: Callable[..., Any], tmp_path: Path) -> None:
    with live(face={"kind": "video", "video": {"path": "film.mp4"}, "consent": CONSENT}) as face:
        assert face.line()["code"] == "live.face_not_drawn"


def test_memory_that_is_too_small_is_refused(live: Callable[..., Any], tmp_path: Path) -> None:
    with live(face={"kind": "rig", "character": "milo"}) as face:
        face.process.kill()
    (tmp_path / "pictures").write_bytes(b"short")
    command = ["live", "spec.json", "live", "--memory", "pictures", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "avatar.cli", *command], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "live.bad_memory")
