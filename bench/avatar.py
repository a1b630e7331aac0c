"""Prints how fast the worker is here, stage by stage, against encoding alone: `python bench/avatar.py`.

Run on demand in the worker's environment; nothing is asserted. Wall times say what a person waits and
suffer from neighbours on the machine; CPU times and their ratio suffer less. `--full` measures memory over
30 minutes of video.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# This file has the package's name, and its folder comes first where modules are looked for.
sys.path.remove(str(Path(__file__).parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the worker's command does, before numpy is imported

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import cv2
from avatar.cli.memory import keep_freed_memory
from avatar.encode.segment_writer import segment_writer
from avatar.pipeline.context import Context
from avatar.pipeline.parallel import ordered_map
from avatar.pipeline.shot import Shot, open_shot
from avatar.spec import RenderSpec, VideoCodec
from avatar.speech import speak
from avatar.timing import control_track
from avatar.tracks import ControlTrack, SpeechTrack

SENTENCE = (
    "Here is one more sentence of the talk, with words that open, round and close the lips of everybody. "
)
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
CONSENT = {
    "id": "bench",
    "person": "the person in the test picture",
    "granted_at": "2026-01-01",
    "purpose": "bench",
}
COMMAND = """
import sys
from pathlib import Path
from avatar.cli import main
code = main()
status = Path("/proc/self/status").read_text()
sys.stderr.write(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
sys.exit(code)
"""
"""The worker's command, telling its peak memory in KiB: what wait4 reports begins with that of the parent."""


def talk(seconds: float) -> str:
    """A script of about that length: the sentence takes seven seconds."""
    return (SENTENCE * max(1, round(seconds / 6.8))).strip()


def spec_of(face: dict[str, Any], size: tuple[int, int], seconds: float, **scene: Any) -> RenderSpec:
    return RenderSpec.model_validate(
        {
            "title": "Bench",
            "canvas": {"width": size[0], "height": size[1], "fps": 25},
            "scenes": [{"id": "bench", "script": talk(seconds), "face": face, **scene}],
        }
    )


@dataclass
class Stages:
    """CPU milliseconds per frame, summed over threads where a stage has several."""

    total_ms: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, frames: int, work: Callable[[], Any]) -> Any:
        begun = time.process_time()
        result = work()
        self.total_ms[name] = (time.process_time() - begun) * 1000 / frames
        return result


def measure_frames(name: str, spec: RenderSpec, work: Path, frames: int) -> None:
    """One row: stages one after the other for their CPU time, then all together, as a render runs them."""
    context = Context(cache=work / "cache")
    scene = spec.scenes[0]
    folder = Path(tempfile.mkdtemp(dir=work))
    speech = speak(scene, folder, context.resolve)
    track = cut(control_track(speech, spec.canvas.fps, spec.seed), frames)
    frames = track.frames
    with closing(opened(spec, speech, context)):
        pass  # measured pictures and footage are in the cache from here on

    begun, begun_cpu = time.perf_counter(), time.process_time()
    with closing(opened(spec, speech, context)) as shot:
        moments = shot.moments(track)
        shot.recycle(shot.paint(next(moments)))
        first = Timed(time.perf_counter() - begun, time.process_time() - begun_cpu)
        moments.close()

    stages = Stages()
    with closing(opened(spec, speech, context)) as shot:
        held = stages.timed("items", frames, lambda: list(shot.moments(track)))
        layers = stages.timed("draw", frames, lambda: [shot.draw(moment) for moment in held])
        pairs = list(zip(layers, held, strict=True))
        for layer, moment in pairs[:8]:
            shot.recycle(shot.compose(layer, moment))

        def compose_all() -> None:
            for layer, moment in pairs:
                shot.recycle(shot.compose(layer, moment))

        stages.timed("compose", frames, compose_all)
        pictures = [shot.compose(layer, moment) for layer, moment in pairs]
        alone = timed_encode(folder / "alone.mp4", spec, iter(pictures))
        stages.total_ms["encode"] = alone.cpu_s * 1000 / frames

    with closing(opened(spec, speech, context)) as shot:
        whole = timed_encode(folder / "whole.mp4", spec, painted(shot, track), shot)
    print_row(name, frames, stages, alone, whole, first)


@dataclass(frozen=True)
class Timed:
    wall_s: float
    cpu_s: float


def timed_encode(target: Path, spec: RenderSpec, pictures: Iterable[Any], shot: Shot | None = None) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    with segment_writer(target, spec.canvas, spec.output.video) as writer:
        for planes in pictures:
            writer.write(planes)
            if shot is not None:
                shot.recycle(planes)
    return Timed(time.perf_counter() - wall, time.process_time() - cpu)


def painted(shot: Shot, track: ControlTrack) -> Iterator[Any]:
    return ordered_map(shot.paint, shot.moments(track))


def opened(spec: RenderSpec, speech: SpeechTrack, context: Context) -> Shot:
    return open_shot(spec, spec.scenes[0], speech, context, lambda notice: None)


def cut(track: ControlTrack, frames: int) -> ControlTrack:
    return ControlTrack(track.fps, {name: curve[:frames] for name, curve in track.curves.items()})


def print_row(name: str, frames: int, stages: Stages, alone: Timed, whole: Timed, first: Timed) -> None:
    cpu = whole.cpu_s * 1000 / frames
    ms = stages.total_ms
    rest = cpu - ms["items"] - ms["draw"] - ms["compose"] - ms["encode"]
    columns = (
        f"{name:<22}{frames / whole.wall_s:7.1f}{frames / alone.wall_s:9.1f}",
        f"{alone.wall_s / whole.wall_s:7.2f}{ms['encode'] / cpu:7.2f}",
        f"{frames / 25 / whole.wall_s:7.2f}{1000 * 2 / 25 / cpu:8.2f}{cpu:8.1f}{ms['items']:7.1f}",
        f"{ms['draw']:7.1f}{ms['compose']:8.2f}{ms['encode']:8.1f}{rest:7.1f}",
        f"{first.wall_s * 1000:8.0f}{first.cpu_s * 1000:7.0f}",
    )
    print("".join(columns), flush=True)


HEAD = "".join(
    f"{one:>{width}}"
    for line in (
        ("", "fps", "encode", "ratio", "CPU", "x real", "x real", "CPU ms", "items", "draw", "compose",
         "encode", "rest", "first", "CPU\n"),
        ("", "", "only fps", "", "ratio", "time", "2 idle", "/frame", "", "", "", "", "", "ms", "ms"),
    )
    for one, width in zip(line, (22, 7, 9, 7, 7, 7, 8, 8, 7, 7, 8, 8, 7, 8, 7), strict=True)
)  # fmt: skip


def run_command(spec: RenderSpec, work: Path, name: str) -> tuple[Timed, float, float]:
    """A render by the command itself: its time, peak memory in MiB, seconds until the first progress."""
    path = work / f"{name}.json"
    path.write_text(spec.model_dump_json())
    arguments = ["render", str(path), str(work / f"{name}.mp4"), "--json", "--cache", str(work / "cache")]
    wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    worker = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    first_s = 0.0
    assert worker.stdout is not None
    for line in worker.stdout:
        if not first_s and json.loads(line)["event"] == "progress":
            first_s = time.perf_counter() - wall
    _, said = worker.communicate()
    if worker.returncode:
        raise SystemExit(f"the render of {name} failed: {said.decode()}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = Timed(time.perf_counter() - wall, used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime)
    return taken, int(said.split()[-1]) / 1024, first_s


def measure_command(work: Path) -> None:
    spec = spec_of({"kind": "rig"}, SIZES["1080p"], 10)
    for name in ("cold start, 1080p", "again"):
        taken, peak, first_s = run_command(spec, work, "command")
        print(
            f"{name:<22}{taken.wall_s:7.1f} s for a {video_seconds(work / 'command.mp4'):.1f} s video, "
            f"{taken.cpu_s:.1f} s CPU, first progress after {first_s:.1f} s, peak {peak:.0f} MiB"
        )


def measure_memory(work: Path, lengths_s: tuple[float, ...]) -> None:
    """Small pictures: what grows with length does not depend on their size."""
    peaks = []
    for seconds in lengths_s:
        spec = spec_of({"kind": "rig"}, (320, 180), seconds)
        _, peak, _ = run_command(spec, work, "memory")
        peaks.append(peak)
        length = video_seconds(work / "memory.mp4")
        print(f"{'memory':<22}{peak:7.1f} MiB at the most for a video of {length:.0f} s", flush=True)
    print(f"{'growth':<22}{peaks[-1] - peaks[0]:7.1f} MiB")


def video_seconds(path: Path) -> float:
    found = cv2.VideoCapture(str(path))
    return float(found.get(cv2.CAP_PROP_FRAME_COUNT) / found.get(cv2.CAP_PROP_FPS))


def photo_face(path: str | None) -> dict[str, Any]:
    if path is None:
        import matplotlib.cbook

        path = str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    return {"kind": "photo", "image": {"path": path}, "consent": CONSENT}


def video_face(path: str | None, work: Path) -> dict[str, Any]:
    """The operator's own clip, or one of four seconds drawn by the tests' clip maker."""
    if path is None:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests/avatar/measure"))
        from clipmaker import make_clip  # type: ignore[import-not-found]

        path = str(make_clip(work / "clip.mp4", size=SIZES["1080p"], eye_distance=200, seconds=4).path)
    return {"kind": "video", "video": {"path": path}, "consent": CONSENT}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="measure memory over 1 and 30 minutes")
    parser.add_argument("--frames", type=int, default=75, help="frames per row")
    parser.add_argument("--only", choices=("frames", "command", "memory"), help="measure this alone")
    parser.add_argument("--photo", help="another portrait")
    parser.add_argument("--clip", help="another motion video")
    parser.add_argument("--preset", default=VideoCodec().preset, help="x264 preset")
    arguments = parser.parse_args()
    keep_freed_memory()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="avatar-bench-") as folder:
        work = Path(folder)
        if arguments.only in (None, "frames"):
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, x264 {arguments.preset}, 25 fps")
            print(HEAD)
            rig, photo = {"kind": "rig"}, photo_face(arguments.photo)
            colour = {"background": {"kind": "colour"}}
            rows: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
                *((f"rig {size}", rig, size, {}) for size in SIZES),
                *((f"photo {size}", photo, size, {}) for size in SIZES),
                ("rig cut out 1080p", rig, "1080p", colour),
                ("photo cut out 1080p", photo, "1080p", colour),
                ("motion video 1080p", video_face(arguments.clip, work), "1080p", {}),
            ]
            for name, face, size, scene in rows:
                spec = spec_of(face, SIZES[size], arguments.frames / 25, **scene)
                video = spec.output.video.model_copy(update={"preset": arguments.preset})
                spec = spec.model_copy(update={"output": spec.output.model_copy(update={"video": video})})
                measure_frames(name, spec, work, arguments.frames)
        if arguments.only in (None, "command"):
            measure_command(work)
        if arguments.only in (None, "memory"):
            measure_memory(work, (60, 1800) if arguments.full else (10, 60))


if __name__ == "__main__":
    main()
