"""Renders the longest things people may send, end to end, and prints what it took: `bench/long_runs.py`.

Run on demand in the worker's environment: a script of 100 000 characters, and a recording of two hours.
Small and slow pictures keep it within minutes; every stage runs as it does for a large video. It ends with
1 when a file is left over or when sound and picture differ by more than a frame.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from avatar.spec import EspeakVoice, Scene
from avatar.speech import speak

sys.path.append(str(Path(__file__).parents[1]))

from bench.results import add_figure, add_json_option, write_figures

SENTENCE = "Many birds sing above the old river, and 12 brave people *listen* every morning. "
SCRIPT_CHARS = 100_000
RECORDING_S = 7200
CANVAS = {"width": 192, "height": 108, "fps": 10}
BESIDE = {"out.mp4", "out.vtt", "out.srt", "out.png", "out.provenance.json"}
MIB = 1 << 20


@dataclass
class Watch:
    """Samples of a running worker; memory in bytes, of the worker and its children."""

    seconds: float = 0.0
    code: int = 0
    stage: str = "start"
    peak: dict[str, int] = field(default_factory=dict)
    frames: list[tuple[int, int]] = field(default_factory=list)
    """(frames done, memory then), once a second."""
    last: dict[str, Any] = field(default_factory=dict)


def script_spec() -> dict[str, Any]:
    text = (SENTENCE * (SCRIPT_CHARS // len(SENTENCE) + 1))[:SCRIPT_CHARS].rstrip()
    return _spec("A hundred thousand characters", {"script": text.ljust(SCRIPT_CHARS, ".")})


def recording_spec(folder: Path) -> dict[str, Any]:
    return _spec("Two hours", {"audio": {"path": str(_recording(folder))}})


def render(spec: dict[str, Any], folder: Path) -> Watch:
    """The worker's own command, watched from outside; its temporary files go under `folder` too."""
    (folder / "tmp").mkdir()
    (folder / "out").mkdir()
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "avatar.cli", "render", "--json", str(folder / "spec.json")]
    seen = Watch()
    begun = time.monotonic()
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    with subprocess.Popen(
        [*command, str(folder / "out/out.mp4")], stdout=subprocess.PIPE, text=True, env=environment
    ) as worker:
        ended = threading.Event()
        looker = threading.Thread(target=_look, args=(worker.pid, seen, ended))
        looker.start()
        for text in worker.stdout or ():
            seen.last = json.loads(text)
            seen.stage = seen.last.get("stage", seen.stage)
        seen.code = worker.wait()
        ended.set()
        looker.join()
    seen.seconds = time.monotonic() - begun
    return seen


def report(name: str, seen: Watch, folder: Path) -> bool:
    """Prints one run; whether it ended as it should."""
    if seen.code != 0:
        print(f"{name}: ended with {seen.code}: {seen.last}")
        return False
    left = sorted({path.name for path in (folder / "out").iterdir()} ^ BESIDE)
    left += sorted(str(path) for path in (folder / "tmp").rglob("*"))
    picture_s, sound_s = _lengths(folder / "out/out.mp4")
    tenth = next(memory for done, memory in seen.frames if done >= seen.frames[-1][0] / 10)
    peaks = ", ".join(f"{stage} {memory / MIB:.0f}" for stage, memory in seen.peak.items())
    add_figure(f"{name}: {picture_s / 60:.0f} minutes of video", seen.seconds / 60, "min")
    add_figure(f"{name}: peak memory", max(seen.peak.values()) / MIB, "MiB")
    print(f"{name}: {picture_s / 60:.1f} min of video in {seen.seconds / 60:.1f} min")
    print(f"  picture {picture_s:.3f} s, sound {sound_s:.3f} s, {seen.last['frames']} frames")
    print(f"  peak MiB by stage: {peaks}")
    at_end = seen.frames[-1][1]
    print(f"  while frames are made: {tenth / MIB:.0f} MiB after a tenth, {at_end / MIB:.0f} at the end")
    print(f"  left over or missing: {', '.join(left) or 'nothing'}", flush=True)
    return not left and abs(picture_s - sound_s) <= 1 / CANVAS["fps"]


def _spec(title: str, fields: dict[str, Any]) -> dict[str, Any]:
    face = {"kind": "rig", "character": "nova"}
    return {"title": title, "canvas": CANVAS, "scenes": [{"id": "all", "face": face, **fields}]}


def _recording(folder: Path) -> Path:
    """Two hours of speech as a compressed file: some minutes of it, again and again."""
    fields = speak(
        Scene(id="s", script=SENTENCE * 60, voice=EspeakVoice()), folder / "speech", lambda ref: Path()
    )
    target = folder / "recording.ogg"
    with av.open(str(fields.wav)) as source, av.open(str(target), "w") as sink:
        samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in source.decode(audio=0)])
        rate = source.streams.audio[0].rate
        stream = sink.add_stream("libopus", rate=48_000, layout="mono", bit_rate=32_000)
        resampler = av.AudioResampler("s16", "mono", 48_000, frame_size=960)
        for begin in range(0, RECORDING_S * rate, rate):
            second = np.take(samples, range(begin, begin + rate), mode="wrap")
            frame = av.AudioFrame.from_ndarray(second.astype(np.int16)[None], "s16", "mono")
            frame.sample_rate, frame.pts = rate, begin
            for piece in resampler.resample(frame):
                sink.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            sink.mux(stream.encode(piece))
        sink.mux(stream.encode(None))
    return target


def _look(pid: int, seen: Watch, ended: threading.Event) -> None:
    while not ended.wait(1.0):
        memory = _resident(pid)
        seen.peak[seen.stage] = max(seen.peak.get(seen.stage, 0), memory)
        if seen.stage == "frames" and memory:
            seen.frames.append((int(seen.last.get("done_frames", 0)), memory))


def _resident(pid: int) -> int:
    """Resident bytes of a process and its children; 0 when it has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident(child) for child in children)


def _lengths(video: Path) -> tuple[float, float]:
    """Seconds of picture and of sound."""
    with av.open(str(video)) as source:
        picture, sound = source.streams.video[0], source.streams.audio[0]
        return float((picture.duration or 0) * picture.time_base), float(
            (sound.duration or 0) * sound.time_base
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="?", choices=("script", "recording"))
    add_json_option(parser)
    arguments = parser.parse_args()
    well = True
    for name in ("script", "recording"):
        if arguments.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="long-run-") as folder:
            place = Path(folder)
            spec = script_spec() if name == "script" else recording_spec(place)
            well &= report(spec["title"], render(spec, place), place)
    write_figures("avatar", arguments.json)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
