"""The job of `avatar reenact`: a source, its driving video or template, and options of the motion."""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from avatar.encode.atomic import require_writable
from avatar.engines.liveportrait.drive import Region
from avatar.engines.liveportrait.template import SUFFIXES, is_template
from avatar.errors import InvalidInput
from avatar.face.pictures import is_picture
from avatar.pipeline.files import Companions, require_other_files
from avatar.spec import Consent, MediaRef, PhotoFace, Scene, VideoFace

if TYPE_CHECKING:
    from avatar.engines.liveportrait.poses import Manner

SCENE = "reenact"


@dataclass(frozen=True, slots=True)
class ReenactOptions:
    """Options of the motion; see `avatar.engines.liveportrait.poses.Manner`. fresh: use nothing that a
    stopped run had finished.
    """

    region: Region = "all"
    relative: bool = True
    shut_lips: bool = True
    eyes: bool = False
    lips: bool = False
    stitching: bool = True
    strength: float = 1.0
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    models: Path | None = None
    fresh: bool = False
    compile: bool = False
    face_index: int | None = None

    def manner(self) -> Manner:
        from avatar.engines.liveportrait.drive import DriveStyle
        from avatar.engines.liveportrait.poses import Manner

        return Manner(DriveStyle(self.region, self.relative), self.shut_lips, self.eyes, self.lips)


@dataclass(frozen=True, slots=True)
class ReenactJob:
    """`driving` is a video, a picture or a motion template; without one, `text` is spoken."""

    source: Path
    driving: Path | None = None
    text: str | None = None
    consent: Consent | None = None
    save_template: Path | None = None
    options: ReenactOptions = field(default_factory=ReenactOptions)


def scene_of(job: ReenactJob, *, photo: bool) -> Scene:
    """Raises InvalidInput `reenact.no_driving`."""
    source = MediaRef(path=str(job.source), name=job.source.name)
    index = job.options.face_index
    face = (
        PhotoFace(image=source, face_index=index, consent=job.consent)
        if photo
        else VideoFace(video=source, face_index=index, consent=job.consent)
    )
    if job.driving is not None:
        driving = MediaRef(path=str(job.driving), name=job.driving.name)
        return Scene(id=SCENE, audio=driving, face=face, lead_in_ms=0, tail_ms=0)
    if not (job.text or "").strip():
        raise no_driving()
    if not photo:
        raise InvalidInput(
            "reenact.text_for_video",
            f"A text moves photos here, and {job.source.name} is a video.",
            "Drive it with --driving; to have it say the text, render a scene with this video and the engine"
            " latentsync or liveportrait (`soundstage render`, docs/guide/gpu-faces).",
        )
    return Scene(id=SCENE, script=job.text, face=face)


def no_driving() -> InvalidInput:
    return InvalidInput(
        "reenact.no_driving",
        "Nothing says how the face should move.",
        "Name a video or a motion template with --driving; a photo may also --say a text.",
    )


def require_other_names(job: ReenactJob, target: Path) -> None:
    """Checks that no output overwrites an input; `face.mp4` has its poster in `face.png`.

    Raises InvalidInput `output.overwrites_input`, and what `require_template` raises.
    """
    inputs = [path for path in (job.source, job.driving) if path is not None]
    require_other_files(target, _beside(target), inputs)
    if job.save_template is not None:
        require_template(job.save_template, job.driving, target)
        require_other_files(job.save_template, [job.save_template], inputs)


def _beside(target: Path) -> list[Path]:
    """Returns the result and its companions, those too that this one may not have."""
    return [target.parent / name for name in astuple(Companions.of(target))]


def require_template(template: Path, driving: Path | None, target: Path) -> None:
    """Checks `--save-template` before networks are loaded and a film is analysed.

    Raises InvalidInput `template.bad_name`, `template.no_film`, `output.is_folder`, `output.same_file`;
    Unavailable `render.write_failed`.
    """
    if template.suffix.lower() not in SUFFIXES:
        raise InvalidInput(
            "template.bad_name",
            f"Motion templates are .npz or .json files, and {template.name} is named otherwise.",
            "Name it *.npz or *.json.",
        )
    if driving is None or is_template(driving) or is_picture(driving):
        what = "a text" if driving is None else driving.name
        raise InvalidInput(
            "template.no_film",
            f"A motion template keeps what a driving video does, and {what} is none.",
            "Leave out --save-template, or name a video with --driving.",
        )
    if os.path.realpath(template) in {os.path.realpath(path) for path in _beside(target)}:
        raise InvalidInput(
            "output.same_file",
            f"The motion template {template.name} and what is made beside {target.name} would be one file.",
            "Give the template another name or folder.",
        )
    if template.is_dir():
        raise InvalidInput("output.is_folder", f"{template} is a folder.", "Name a file in it.")
    if (
        template.parent.exists() or template.parent.resolve() != target.parent.resolve()
    ):  # that one will be made
        require_writable(template)
