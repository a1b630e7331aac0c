"""Memory of a worker while one long scene is rendered by networks: what it holds at each part of the video.

    P=$(scripts/torch_environment)/bin/python
    $P bench/parity/memory_engines.py --engine latentsync [--minutes 30]
    $P bench/parity/memory_engines.py --engine liveportrait --source photo
    $P bench/parity/memory_engines.py --engine liveportrait+latentsync

A scene goes through the worker's own door, from a text to a finished file: it is spoken, the filmed person
decoded, their face tracked (MediaPipe), coded, denoised, decoded, laid back and encoded, what a second run
would use is kept on disk, and the scene is assembled. Only the networks are small and random, the pictures
small and the denoiser's steps few: what could grow with a video depends on none of that. For a moment of the
filmed four seconds, which play forth and back, nobody is to be seen.

The slope is of all readings (up to four a second) after the first minute, in which pools fill. The program
ends with 1 where resident memory or the card's grows by more than `FLAT_MIB` a minute, else with 3 where its
time was up (`--seconds`) before the end of the video: the last line says how far it came.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("neural", "latentsync", "liveportrait", "parity", "measure")
sys.path[:0] = [str(ROOT / "avatar/src"), *(str(ROOT / "tests/avatar" / room) for room in ROOMS)]
# Small networks: more threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from avatar.pipeline.context import Context, ProgressEvent  # noqa: E402
from avatar.pipeline.render import render_video  # noqa: E402
from avatar.spec import FrameProgress, RenderSpec  # noqa: E402

ENGINES = ("latentsync", "liveportrait", "liveportrait+latentsync")
FPS = 25
SIZE = (256, 144)
EYES_PX = 30
FILMED_S, AWAY_S = 4.0, (1.0, 1.6)
SENTENCE, SENTENCE_S = "The weather will be fair today, and the sea is calm. ", 3.4
WARM_MINUTES = 1.0
LEAST_MINUTES = 1.0
"""A slope of less video than this, after the warm minute, would say nothing."""
JUDGED_MINUTES = 5.0
"""And of less than this it is told without a verdict: resident memory goes up and down by tens of MiB."""
WINDOWS = 15
FLAT_MIB = 1.0
GROWS, CUT_SHORT = 1, 3
"""How the program ends where all is not well."""


class TimeUp(Exception):
    """The program's own limit: what has been read until now is told."""


@dataclass(frozen=True, slots=True)
class Reading:
    """At a minute of the video: resident memory, the part of it that no file backs, and the card's."""

    minute: float
    resident: float
    anonymous: float
    card: float


@dataclass(slots=True)
class Watch:
    """Listens to a render; its rows appear as they are known."""

    limit_s: float
    card: Callable[[], float]
    readings: list[Reading] = field(default_factory=list)
    total_minutes: float = math.nan
    """Of the video; known when the first frame is."""
    _begun: float = field(default_factory=time.monotonic)
    _reported: int = 0

    def hear(self, line: ProgressEvent) -> None:
        if not isinstance(line, FrameProgress):
            return
        memory = memory_mib()
        minute = line.done_frames / FPS / 60
        self.total_minutes = line.total_frames / FPS / 60
        self.readings.append(Reading(minute, memory["VmRSS"], memory["RssAnon"], self.card()))
        every = max(1, line.total_frames // WINDOWS)
        if line.done_frames // every > self._reported or line.done_frames == line.total_frames:
            window = [one for one in self.readings if one.minute > self._reported * every / FPS / 60]
            self._reported = line.done_frames // every
            self._row(window)

    def check(self) -> None:
        if time.monotonic() - self._begun > self.limit_s:
            raise TimeUp

    def cut_short(self) -> str:
        """Returns how far it came, and how long all of it would take."""
        took = time.monotonic() - self._begun
        if not self.readings:
            return f"cut short: no frame was reached in {took:.0f} s"
        reached = self.readings[-1].minute
        share = reached / self.total_minutes
        return (
            f"cut short: reached {reached:.1f} of {self.total_minutes:.1f} minutes in {took:.0f} s; "
            f"all take about {took / share:.0f} s here"
        )

    def _row(self, window: list[Reading]) -> None:
        resident, anonymous, card = (
            [getattr(one, name) for one in window] for name in ("resident", "anonymous", "card")
        )
        took = time.monotonic() - self._begun
        print(
            f"{window[-1].minute:7.2f} {np.mean(resident):9.1f} {max(resident):9.1f} "
            f"{np.mean(anonymous):9.1f} {max(card):9.1f} {took:8.0f}",
            flush=True,
        )


def main() -> int:
    options = arguments()
    watch = Watch(options.seconds, card_memory(options.small))
    source = {"latentsync": "video", "liveportrait": options.source}.get(options.engine, "photo")
    device = "processor" if options.small or not has_card() else "card"
    print(f"{options.engine} of a {source} on the {device}, {options.minutes:g} minutes; MiB and seconds")
    heads = ("minute", "resident", "most", "no file", "card", "s")
    print(" ".join(f"{head:>{width}}" for head, width in zip(heads, (7, 9, 9, 9, 9, 8), strict=True)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with small_networks(folder / "models"):
            spec = long_scene(folder, options.engine, source, options.minutes)
            before, whole = memory_mib()["VmHWM"], True
            try:
                done = render_video(
                    spec, folder / "out.mp4", Context(folder / "cache", tell=watch.hear, check=watch.check)
                )
                print(f"{done.frames} frames, {done.frames / FPS / 60:.2f} minutes: done")
            except TimeUp:
                whole = False
    print(f"most of the process: {memory_mib()['VmHWM']:.0f} MiB, before the render {before:.0f}")
    return report_end(watch, whole=whole)


def report_end(watch: Watch, *, whole: bool) -> int:
    """The program's status, told in the last line."""
    slope, grows = verdict(watch.readings)
    lines = [slope] if whole else [slope, watch.cut_short()]
    print("\n".join(reversed(lines) if grows else lines))
    return GROWS if grows else 0 if whole else CUT_SHORT


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=ENGINES, required=True)
    parser.add_argument("--source", choices=("photo", "video"), default="photo", help="LivePortrait's")
    parser.add_argument("--minutes", type=float, default=30, help="how long is spoken")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--small", action="store_true", help="on the processor although there is a card")
    options = parser.parse_args()
    if options.small:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    return options


def verdict(readings: list[Reading]) -> tuple[str, bool]:
    """The slopes in words, and whether one of them is too steep."""
    later = [one for one in readings if one.minute >= WARM_MINUTES]
    if not later or later[-1].minute - later[0].minute < LEAST_MINUTES:
        return "slope: not measured, the video is too short for one", False
    minutes = np.array([one.minute for one in later])
    slopes = {
        name: float(np.polyfit(minutes, [getattr(one, name) for one in later], 1)[0])
        for name in ("resident", "anonymous", "card")
    }
    slopes_text = ", ".join(f"{name} {slope:+.2f}" for name, slope in slopes.items())
    grows = max(slopes.values()) > FLAT_MIB
    judged = minutes[-1] - minutes[0] >= JUDGED_MINUTES
    outcome = ("it grows" if grows else "flat") if judged else "too short for a verdict"
    where = f"minute {minutes[0]:.1f} to {minutes[-1]:.1f}"
    return f"slope in MiB a minute, {where}: {slopes_text}; {outcome} (at most {FLAT_MIB:g})", bool(
        judged and grows
    )


def has_card() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def card_memory(small: bool) -> Callable[[], float]:
    """MiB that tensors hold on the card now."""
    import torch

    if small or not torch.cuda.is_available():
        return lambda: 0.0
    return lambda: torch.cuda.memory_reserved() / 2**20


def memory_mib() -> dict[str, float]:
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {parts[0].rstrip(":"): int(parts[1]) / 1024 for parts in lines if parts[2:] == ["kB"]}


@contextmanager
def small_networks(folder: Path) -> Iterator[None]:
    """Checkpoints on disk, which the engines take for the published ones; one step of the denoiser,
    and as many frames at once as on a card.
    """
    import small_networks as portrait
    import torch
    from avatar.engines.latentsync.clip import Settings
    from avatar.engines.liveportrait.engine import CARD_BATCH
    from avatar.engines.neural import engine, models
    from small_checkpoints import SIDE_PX, as_if_published, write_checkpoints

    portrait.SMALL = replace(portrait.SMALL, picture_px=32)
    os.environ["AVATAR_MODELS"] = str(write_checkpoints(folder))
    as_if_published()
    settings = partial(Settings, steps=1, guidance=1.0, side_px=SIDE_PX)
    vars(models)["mouth_settings"] = lambda seed: settings(seed=seed)
    vars(engine)["batch_of"] = lambda animator: CARD_BATCH
    torch.set_num_threads(1)
    vars(torch)["set_num_threads"] = lambda count: None  # engines take all cores there are when they open
    yield


def long_scene(folder: Path, engine: str, source: str, minutes: float) -> RenderSpec:
    """Somebody who speaks for so long."""
    import cv2
    from clipmaker import Motion, make_clip
    from clipmaker.person import photo

    if source == "photo":
        path = folder / "person.png"
        cv2.imwrite(str(path), photo("astronaut"))
        media = {"kind": "photo", "image": {"path": str(path)}}
    else:
        path = folder / "person.mp4"
        motion = Motion(yaw_deg=6, pitch_deg=2, roll_deg=2, mouth_e=0.08)
        shape: dict[str, Any] = {"size": SIZE, "eye_distance": EYES_PX, "fps": FPS}
        make_clip(path, "grace_hopper", **shape, seconds=FILMED_S, motion=motion, absent_s=AWAY_S)
        media = {"kind": "video", "video": {"path": str(path)}}
    agreed = {"id": "c1", "person": "A. Person", "granted_at": "2026-01-31", "purpose": "measurement"}
    script = SENTENCE * math.ceil(minutes * 60 / SENTENCE_S)
    # Every frame is drawn: a pause that shows the filmed mouth costs less.
    face = {**media, "engine": engine, "pauses": "drawn", "consent": agreed}
    return RenderSpec.model_validate(
        {
            "canvas": {"width": SIZE[0], "height": SIZE[1], "fps": FPS},
            "scenes": [{"id": "long", "script": script, "face": face}],
        }
    )


if __name__ == "__main__":
    sys.exit(main())
