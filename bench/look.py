"""Judges a video by watching it again: `make look CLIP=file`.

A finished video (with its provenance file beside it) is compared with its own sound. Any other video is taken
as footage of a person: it is made to say a sentence, and mouth and upper face of the result are measured.
Results lie in out/look/.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from avatar.engines.base import Pixels
from avatar.engines.motion.footage import Footage
from avatar.errors import AvatarError
from avatar.judge.mouth_measures import MouthReport, judge_mouth
from avatar.judge.speech_curves import SENTENCE, frontal_frames, speak_again, without_blinks
from avatar.judge.video_measures import Observation, SyncReport, frames_of, judge_sync, watch
from avatar.pipeline.context import Context
from avatar.pipeline.render import render_video
from avatar.spec import Canvas, Consent, MediaRef, RenderSpec, Scene, VideoFace

sys.path.append(str(Path(__file__).parents[1]))

from bench.mouth_sheet import write_mouth_sheet
from tests.support.backgrounds import background_ssim, ssim_in_mask
from tests.support.video_limits import ALIGNED, EXACT, SyncLimits, mouth_failures, sync_failures

TILES = 8


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--as", dest="kind", choices=("finished", "footage"), help="skip the guess")
    parser.add_argument("--say", default=SENTENCE, help="what footage is made to say")
    parser.add_argument("--out", type=Path, default=Path("out/look"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    clip: Path = options.clip
    if not clip.is_file():
        print(f"There is no file {clip}. Usage: make look CLIP=file", file=sys.stderr)
        return 2
    kind = options.kind or ("finished" if clip.with_suffix(".provenance.json").exists() else "footage")
    folder = options.out / clip.stem
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return (
            look_at_finished(clip, folder)
            if kind == "finished"
            else look_at_footage(clip, options.say, folder)
        )
    except AvatarError as error:
        print(error, file=sys.stderr)
        return 1


def look_at_finished(clip: Path, folder: Path) -> int:
    """Lips against sound: the sound is aligned with the captions anew, nothing of the render is believed."""
    captions = clip.with_suffix(".srt")
    scene = Scene(
        id="look",
        audio=MediaRef(path=str(clip)),
        script=_caption_text(captions) if captions.exists() else None,
        lead_in_ms=0,
        tail_ms=0,
    )
    fps = round(1000 / Footage.open(clip, clip.name).table(0, 10_000).frame_ms())
    control, phones = speak_again(scene, fps)
    frames = list(frames_of(clip))
    seen = watch(frames)
    report = judge_sync(seen, without_blinks(control), phones, background_ssim=background_ssim(frames))
    write_mouth_sheet(frames, seen, phones, fps, folder / "mouths.png")
    source = "aligned with the captions" if scene.script else "recognised"
    print(f"{clip}: lips against the sound, phones {source}")
    return _tell(report, judge_mouth(frames, seen, phones, fps), folder, ALIGNED)


def look_at_footage(clip: Path, text: str, folder: Path) -> int:
    """The person in `clip` says `text`; eyes are their own, so blinks are not judged."""
    footage = Footage.open(clip, clip.name)
    scale = min(1.0, 1920 / max(footage.width, footage.height))
    canvas = Canvas(width=int(footage.width * scale) // 2 * 2, height=int(footage.height * scale) // 2 * 2)
    consent = Consent(
        id="look",
        person=f"the person in {clip.name}",
        granted_at=date.today().isoformat(),
        purpose="judging here",
    )
    face = VideoFace(video=MediaRef(path=str(clip.resolve()), name=clip.name), fit="trim", consent=consent)
    scene = Scene(id="look", script=text, face=face)
    spec = RenderSpec(title="Look", canvas=canvas, scenes=(scene,))
    spoken_video = folder / "said.mp4"
    finished = render_video(spec, spoken_video, Context(cache=folder / "cache", tell=lambda line: None))
    control, phones = speak_again(scene, canvas.fps)
    control = without_blinks(control)
    frames = list(frames_of(spoken_video))
    seen = watch(frames)
    frontal = frontal_frames(seen)
    report = judge_sync(seen, control, phones, frames=frontal)
    sources = _sources(footage, canvas, len(frames))
    _sheet([sources, frames], seen, folder / "mouths.png")
    print(f"{clip} says {text!r}: {spoken_video}")
    print(f"  frontal frames judged       {frontal.mean():8.0%}")
    print(f"  frames without a face       {sum(b - a + 1 for a, b in finished.lost_face_frames):8d}")
    print(f"  upper face against source   {_upper_face_ssim(frames, sources, seen):8.3f}  SSIM, worst of 12")
    for warning in finished.warnings:
        print(f"  {warning.code}: {warning.message}")
    return _tell(report, judge_mouth(frames, seen, phones, canvas.fps), folder, EXACT)


def _sources(footage: Footage, canvas: Canvas, count: int) -> list[Pixels]:
    """Returns the frames that the engine started from."""
    from avatar.engines.motion.footage import FrameReader
    from avatar.engines.motion.framing import Framing
    from avatar.engines.motion.timeline import frames_of_steps, lay_out

    table = footage.table(0, count * 1000 / canvas.fps + 400)
    steps = frames_of_steps(table, 0, canvas.fps, count)
    order = steps[lay_out("trim", len(steps), count, canvas.fps, np.zeros(len(steps), np.float32))]
    framing = Framing.cover(footage, (canvas.width, canvas.height))
    return list(FrameReader(footage, table, framing.picture, 4).read(order.tolist()))


def _upper_face_ssim(frames: Sequence[Pixels], sources: Sequence[Pixels], seen: Observation) -> float:
    worst = 1.0
    for index in range(0, len(frames), max(1, len(frames) // 12)):
        points = seen.landmarks[index]
        if np.isfinite(points[6, 1]):
            mask: npt.NDArray[np.bool_] = np.zeros(frames[index].shape[:2], bool)
            mask[: max(8, int(points[6, 1]))] = True
            worst = min(worst, ssim_in_mask(frames[index], sources[index], mask))
    return worst


def _sheet(rows: Sequence[Sequence[Pixels]], seen: Observation, target: Path) -> None:
    """Mouths close up, one column per moment, one row per version."""
    columns = []
    for index in np.linspace(0, seen.frames - 1, TILES).astype(int):
        points = seen.landmarks[index]
        if np.isfinite(points[0, 0]):
            half = int(0.9 * np.linalg.norm(points[263, :2] - points[33, :2]))
            x, y = (int(value) for value in points[13, :2])
            cuts = [row[index][max(0, y - half) : y + half, max(0, x - half) : x + half] for row in rows]
            columns.append(
                np.vstack([cv2.resize(cut, (320, 320), interpolation=cv2.INTER_CUBIC) for cut in cuts])
            )
    if columns:
        cv2.imwrite(str(target), np.hstack(columns))


def _caption_text(captions: Path) -> str:
    lines = captions.read_text(encoding="utf-8").splitlines()
    return " ".join(
        line for line in lines if line.strip() and "-->" not in line and not line.strip().isdigit()
    )


def _tell(report: SyncReport, mouth: MouthReport, folder: Path, limits: SyncLimits) -> int:
    for name in (
        "aperture_r", "lag_ms", "gain", "rest_e", "bilabials_closed", "open_vowels", "silence_motion",
        "width_r", "blink_r", "background_ssim", "tracked",
    ):  # fmt: skip
        value = getattr(report, name)
        print(f"  {name:<26}  {'not judged' if value is None else f'{value:8.3f}'}")
    for one in fields(mouth):
        value = getattr(mouth, one.name)
        print(f"  {one.name:<26}  {'not judged' if value is None else f'{value:8.3f}'}")
    failures = sync_failures(report, limits) + mouth_failures(mouth)
    print("\n".join(f"  ✗ {line}" for line in failures) or "  ✓ every limit holds")
    print(f"Look at {folder}/mouths.png with your own eyes too.")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
