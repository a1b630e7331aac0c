"""Prints how fast the worker is here, stage by stage, against encoding alone: `scripts/bench avatar_speed`.

Run on demand in the worker's environment; nothing is asserted. Wall times say what a person waits and
suffer from neighbours on the machine; CPU times and their ratio suffer less. `--full` measures memory over
30 minutes of video.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# This file has the package's name, and its folder comes first where modules are looked for.
if str(Path(__file__).parent) in sys.path:
    sys.path.remove(str(Path(__file__).parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the worker's command does, before numpy is imported

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import cv2
from avatar.cli.main import keep_freed_memory
from avatar.cli.presenters import PRESENTERS, load_presenter
from avatar.compose.colour import Planes
from avatar.encode.segment_writer import segment_writer
from avatar.pipeline.context import Context
from avatar.pipeline.frames import paint_frames
from avatar.pipeline.scene_renderer import SceneRenderer, open_scene
from avatar.spec import RenderSpec, VideoCodec
from avatar.speech import speak
from avatar.timing import control_track
from avatar.tracks import ControlTrack, SpeechTrack

sys.path.append(str(Path(__file__).parents[1]))

from bench.processes import proportional_kib
from bench.results import add_figure, add_json_option, write_figures

SENTENCE = (
    "Here is one more sentence of the talk, with words that open, round and close the lips of everybody. "
)
FPS = 25
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
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
            "canvas": {"width": size[0], "height": size[1], "fps": FPS},
            "scenes": [{"id": "bench", "script": talk(seconds), "face": face, **scene}],
        }
    )


@dataclass(frozen=True)
class Timed:
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Row:
    """The cost of one kind of face: milliseconds of CPU per frame, and seconds on the clock."""

    name: str
    frames: int
    stages_ms: dict[str, float]
    alone: Timed
    whole: Timed
    first: Timed

    @property
    def cpu_ms(self) -> float:
        return self.whole.cpu_s * 1000 / self.frames

    @property
    def encode_ms(self) -> float:
        return self.alone.cpu_s * 1000 / self.frames

    @property
    def ratio(self) -> float:
        return self.encode_ms / self.cpu_ms

    def speed(self) -> float:
        """Returns seconds of video per second, where nothing else uses the cores."""
        return 1000 * CORES / FPS / self.cpu_ms

    def speeds(self) -> str:
        cells = (
            f"{self.frames / self.whole.wall_s:8.1f}{self.frames / self.alone.wall_s:9.1f}",
            f"{self.alone.wall_s / self.whole.wall_s:8.2f}{self.ratio:8.2f}",
            f"{self.frames / FPS / self.whole.wall_s:8.2f}{self.speed():9.2f}",
            f"{self.first.wall_s * 1000:10.0f}{self.first.cpu_s * 1000:8.0f}",
        )
        return f"{self.name:<22}{''.join(cells)}"

    def costs(self) -> str:
        stages = "".join(f"{value:10.2f}" for value in self.stages_ms.values())
        rest = self.cpu_ms - sum(self.stages_ms.values()) - self.encode_ms
        return f"{self.name:<22}{stages}{self.encode_ms:10.2f}{rest:10.2f}{self.cpu_ms:10.2f}"


SPEED_HEAD = f"""\
{"":<22}{"render":>8}{"encode":>9}{"ratio":>8}{"ratio":>8}{"x real":>8}{"x real":>9}{"first":>10}{"first":>8}
{"":<22}{"fps":>8}{"only fps":>9}{"clock":>8}{"CPU":>8}{"time":>8}{"idle":>9}{"clock ms":>10}{"CPU ms":>8}"""
COSTS_HEAD = "".join(
    f"{one:>{width}}"
    for one, width in zip(
        ("CPU ms per frame", "items", "draw", "compose", "encode", "rest", "all"),
        (22, 10, 10, 10, 10, 10, 10),
        strict=True,
    )
)
LEGEND = f"""\
ratio      render fps over encode-only fps of the same frames; CPU: the same of CPU time, which neighbours
           on the machine disturb less
x real     seconds of video per second; idle: what the CPU time gives on {CORES} cores with nothing else to do
first      from a known face to its first finished frame (portrait, track and mouth from the cache); the CPU
           time is that of the encoder's process
items      in order, in one thread: decoding of footage; draw and compose: in several threads, or processes"""


def measure_face(name: str, spec: RenderSpec, work: Path, frames: int, repeats: int) -> Row:
    """Stages one after the other, then encoding alone and all together, by turns; the least of each."""
    context = Context(cache=work / "cache")
    scene = spec.scenes[0]
    folder = Path(tempfile.mkdtemp(dir=work))
    speech = speak(scene, folder, context.resolve)
    track = cut(control_track(speech, spec.canvas.fps, spec.seed), frames)
    frames = track.frames
    first_frame(spec, speech, context, track)  # measured pictures and footage are in the cache from here on
    first = least([first_frame(spec, speech, context, track) for _ in range(repeats)])

    with closing(open_renderer(spec, speech, context)) as renderer:
        stages, pictures = time_stages(renderer, track)
        alone, whole = [], []
        for _ in range(repeats):
            alone.append(time_encode(folder / "alone.mp4", spec, pictures))
            with closing(open_renderer(spec, speech, context)) as another:
                whole.append(time_render(folder / "whole.mp4", spec, another, track))
    return Row(name, frames, stages, least(alone), least(whole), first)


def first_frame(spec: RenderSpec, speech: SpeechTrack, context: Context, track: ControlTrack) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    with closing(open_renderer(spec, speech, context)) as renderer, paint_frames(renderer, track) as frames:
        next(frames)
        return Timed(time.perf_counter() - wall, time.process_time() - cpu)


def time_stages(renderer: SceneRenderer, track: ControlTrack) -> tuple[dict[str, float], list[Any]]:
    """CPU milliseconds per frame of each stage but the last, and the finished frames."""
    seconds = {"items": 0.0, "draw": 0.0, "compose": 0.0}
    pictures = []
    paper = Planes(*renderer.size)
    frame_states = renderer.frame_states(track)
    while True:
        begun = time.process_time()
        state = next(frame_states, None)
        seconds["items"] += time.process_time() - begun
        if state is None:
            break
        begun = time.process_time()
        layer = renderer.draw(state)
        drawn = time.process_time()
        renderer.compose(layer, state, paper)
        seconds["draw"] += drawn - begun
        seconds["compose"] += time.process_time() - drawn
        planes = Planes(*renderer.size)
        planes.copy_from(paper)
        pictures.append(planes)
    return {name: total * 1000 / track.frames for name, total in seconds.items()}, pictures


def least(runs: list[Timed]) -> Timed:
    return Timed(min(run.wall_s for run in runs), min(run.cpu_s for run in runs))


def time_encode(target: Path, spec: RenderSpec, pictures: Iterable[Any]) -> Timed:
    wall, cpu = time.perf_counter(), cpu_seconds()
    with segment_writer(target, spec.canvas, spec.output.video) as writer:
        for planes in pictures:
            writer.write(planes)
    return Timed(time.perf_counter() - wall, cpu_seconds() - cpu)


def time_render(target: Path, spec: RenderSpec, renderer: SceneRenderer, track: ControlTrack) -> Timed:
    """From the opened scene to the closed file, as the worker does it."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    with paint_frames(renderer, track) as frames:
        time_encode(target, spec, frames)
    return Timed(time.perf_counter() - wall, cpu_seconds() - cpu)


def cpu_seconds() -> float:
    """Our own and that of painters which have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def open_renderer(spec: RenderSpec, speech: SpeechTrack, context: Context) -> SceneRenderer:
    return open_scene(spec, spec.scenes[0], speech, context, lambda notice: None)


def add_speed_figures(rows: list[Row]) -> None:
    """By processor time, which neighbours disturb less; of the presenters, the one with the lowest ratio."""
    drawn = [row for row in rows if row.name.startswith(("presenter", "rig 720p", "rig 1080p"))]
    presenters = [row for row in drawn if row.name.startswith("presenter")]
    lowest = min(presenters, key=lambda row: row.ratio, default=None)
    for row in rows:
        if row in drawn and row is not lowest:
            continue
        goal = "ratio ≥ 0.4" if row.name.startswith("motion video") else "ratio ≥ 0.5"
        name = "presenters 1080p, the lowest ratio" if row is lowest else row.name
        figure = f"{name}: processor time of a frame; encoding alone"
        add_figure(figure, row.cpu_ms, "ms", goal=goal, ratio=row.ratio)
    slowest_s = max(row.first.cpu_s for row in rows)
    add_figure(
        "first frame of a known face, processor time, the slowest", slowest_s * 1000, "ms", goal="≤ 120"
    )


def cut(track: ControlTrack, frames: int) -> ControlTrack:
    curves = {name: curve[:frames] for name, curve in track.curves.items()}
    return ControlTrack(track.fps, curves, track.gestures)


def run_command(spec: RenderSpec, work: Path, name: str) -> tuple[Timed, float, float]:
    """A render by the command itself: its time, peak memory in MiB, seconds until the first progress."""
    path = work / f"{name}.json"
    path.write_text(spec.model_dump_json())
    arguments = ["render", str(path), str(work / f"{name}.mp4"), "--json", "--cache", str(work / "cache")]
    wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    worker = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    first_s, together = 0.0, 0
    assert worker.stdout is not None
    for line in worker.stdout:
        together = max(together, memory_kib(worker.pid))
        if not first_s and json.loads(line)["event"] == "progress":
            first_s = time.perf_counter() - wall
    _, stderr = worker.communicate()
    if worker.returncode:
        raise SystemExit(f"the render of {name} failed: {stderr.decode()}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = Timed(time.perf_counter() - wall, used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime)
    return taken, max(together, int(stderr.split()[-1])) / 1024, first_s


def memory_kib(pid: int) -> int:
    """Of a process and its children now, what they share counted once (their PSS)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(proportional_kib(one) for one in (str(pid), *children))


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
    add_figure(
        f"memory, from {lengths_s[0]:.0f} s of video to {lengths_s[-1]:.0f}", peaks[-1] - peaks[0], "MiB"
    )
    print(f"{'growth':<22}{peaks[-1] - peaks[0]:7.1f} MiB")


def video_seconds(path: Path) -> float:
    found = cv2.VideoCapture(str(path))
    return float(found.get(cv2.CAP_PROP_FRAME_COUNT) / found.get(cv2.CAP_PROP_FPS))


def presenters() -> list[tuple[str, dict[str, Any]]]:
    """Every drawn presenter of personas/, by name."""
    return [(name, load_presenter(name).face.model_dump(mode="json")) for name in PRESENTERS]


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
    parser.add_argument("--frames", type=int, default=250, help="frames per row")
    parser.add_argument("--face", default="", help="measure only rows with this in their name")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the least counts")
    parser.add_argument("--push-in", type=float, default=0.06, help="of the camera; 0: none")
    parser.add_argument("--only", choices=("frames", "command", "memory"), help="measure this alone")
    parser.add_argument("--photo", help="another portrait")
    parser.add_argument("--clip", help="another motion video")
    parser.add_argument("--preset", default=VideoCodec().preset, help="x264 preset")
    add_json_option(parser)
    arguments = parser.parse_args()
    keep_freed_memory()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="avatar-bench-") as folder:
        work = Path(folder)
        if arguments.only in (None, "frames"):
            print(
                f"{CORES} cores, load {os.getloadavg()[0]:.1f}, x264 {arguments.preset}, {FPS} fps, "
                f"{arguments.frames} frames, the least of {arguments.repeats} runs\n"
            )
            print(SPEED_HEAD, flush=True)
            measured = []
            rig, photo = {"kind": "rig"}, photo_face(arguments.photo)
            colour = {"background": {"kind": "colour"}}
            rows: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
                *((f"rig {size}", rig, size, {}) for size in SIZES),
                *((f"presenter {name} 1080p", face, "1080p", {}) for name, face in presenters()),
                # Characters first: what watches faces leaves threads behind, and then nothing can be forked.
                ("rig cut out 1080p", rig, "1080p", colour),
                *((f"photo {size}", photo, size, {}) for size in SIZES),
                ("photo cut out 1080p", photo, "1080p", colour),
                ("motion video 1080p", {}, "1080p", {}),
            ]
            for name, face, size, scene in (row for row in rows if arguments.face in row[0]):
                face = face or video_face(arguments.clip, work)  # drawn only when it is wanted
                camera = {"push_in": arguments.push_in}
                spec = spec_of(face, SIZES[size], arguments.frames / FPS, camera=camera, **scene)
                video = spec.output.video.model_copy(update={"preset": arguments.preset})
                spec = spec.model_copy(update={"output": spec.output.model_copy(update={"video": video})})
                measured.append(measure_face(name, spec, work, arguments.frames, arguments.repeats))
                print(measured[-1].speeds(), flush=True)
            add_speed_figures(measured)
            print("\n".join(["", COSTS_HEAD, *(row.costs() for row in measured), "", LEGEND, ""]))
        if arguments.only in (None, "command"):
            measure_command(work)
        if arguments.only in (None, "memory"):
            measure_memory(work, (60, 1800) if arguments.full else (10, 60))
    write_figures("avatar", arguments.json)


if __name__ == "__main__":
    main()
