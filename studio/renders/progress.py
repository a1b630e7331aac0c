"""Adds up the progress of all scenes of a render into what people see: stage, frames, frames per
second, ETA.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from avatar.spec import (
    EngineUse,
    Finished,
    FrameProgress,
    LipsyncSpec,
    Notice,
    PreviewFrame,
    RenderSpec,
    Scene,
    StageStarted,
)

from farm.tasks import TaskEvent
from studio.renders.schemas import Preview, Progress

CHARS_PER_S = 14.0
"""About 160 English words per minute. A guess until the voice is made and the worker knows its frames."""
ASSEMBLY_SHARE = 0.03


@dataclass(slots=True)
class _SceneProgress:
    done: int
    total: int
    fps: float = 0.0
    finished: bool = False
    engines: tuple[EngineUse, ...] = ()


@dataclass(slots=True)
class ProgressBoard:
    """One per render being made. `stage` is the latest that any worker told."""

    scenes: dict[str, _SceneProgress] = field(default_factory=dict)
    stage: str = "queued"
    notices: list[Notice] = field(default_factory=list)
    _fresh_notices: list[Notice] = field(default_factory=list)
    preview: Preview | None = None
    """What people see now; set by who keeps the pictures."""
    _fresh_preview: PreviewFrame | None = None
    _assembly: tuple[int, int] = (0, 0)
    _began: float = field(default_factory=time.monotonic)

    @classmethod
    def for_spec(cls, spec: RenderSpec | LipsyncSpec) -> ProgressBoard:
        if isinstance(spec, LipsyncSpec):
            return cls({"lipsync": _SceneProgress(0, 0)})
        return cls(
            {scene.id: _SceneProgress(0, estimate_frames(scene, spec.canvas.fps)) for scene in spec.scenes}
        )

    def hear(self, scene_id: str, event: TaskEvent) -> None:
        """Takes in one event of the task that makes this scene."""
        scene, line = self.scenes[scene_id], event.line
        if isinstance(line, StageStarted):
            self.stage = line.stage
            if line.total_frames is not None and line.stage == "frames":
                scene.total = line.total_frames
        elif isinstance(line, FrameProgress):
            self.stage = line.stage
            scene.done, scene.total, scene.fps = line.done_frames, line.total_frames, line.fps
        elif isinstance(line, PreviewFrame):
            self._fresh_preview = line
        elif isinstance(line, Notice):
            self.note(line if line.scene else line.model_copy(update={"scene": scene_id}))
        if event.result is not None:
            self.finish(scene_id, event.result)

    def hear_assembly(self, event: TaskEvent) -> None:
        line = event.line
        if isinstance(line, StageStarted):
            self.stage = line.stage
        elif isinstance(line, FrameProgress):
            self.stage, self._assembly = line.stage, (line.done_frames, line.total_frames)
        elif isinstance(line, Notice):
            self.note(line)

    def finish(self, scene_id: str, result: Finished) -> None:
        """A segment that was there already may have been made for a scene of another name."""
        scene = self.scenes[scene_id]
        scene.done = scene.total = result.frames
        scene.fps, scene.finished = 0.0, True
        scene.engines = tuple(use.model_copy(update={"scene": scene_id}) for use in result.engines)

    @property
    def fresh_notices(self) -> list[Notice]:
        """Returns the notices that no report has had yet, in their order."""
        return list(self._fresh_notices)

    def mark_reported(self, notices: Sequence[Notice]) -> None:
        """Removes the notices that a report has had from the fresh ones."""
        del self._fresh_notices[: len(notices)]

    def take_preview(self) -> PreviewFrame | None:
        """The latest picture, when one came since the last call."""
        fresh, self._fresh_preview = self._fresh_preview, None
        return fresh

    def complete(self) -> Progress:
        """All is there."""
        return self.snapshot().model_copy(update={"stage": "done", "fps": 0.0, "eta_s": 0.0})

    def snapshot(self) -> Progress:
        done = sum(scene.done for scene in self.scenes.values())
        total = sum(scene.total for scene in self.scenes.values())
        fps = sum(scene.fps for scene in self.scenes.values() if not scene.finished)
        return Progress(
            stage=self.stage,
            frames_done=done,
            frames_total=total,
            fps=round(fps, 1),
            eta_s=self._eta(done, total, fps),
            scenes_done=sum(scene.finished for scene in self.scenes.values()),
            scenes_total=len(self.scenes),
            preview=self.preview,
            engines=[use for scene in self.scenes.values() for use in scene.engines],
        )

    def _eta(self, done: int, total: int, fps: float) -> float | None:
        if total and done >= total:
            spent = time.monotonic() - self._began
            first, last = self._assembly
            left = 1.0 - first / last if last else 1.0
            return round(spent * ASSEMBLY_SHARE * left, 1)
        return round((total - done) / fps, 1) if fps > 0 and total else None

    def note(self, notice: Notice) -> None:
        """Once, however many tell it."""
        if notice not in self.notices:
            self.notices.append(notice)
            self._fresh_notices.append(notice)


def estimate_frames(scene: Scene, fps: float) -> int:
    """An estimate until the worker reports; 0 for supplied sound, whose length is not measured here."""
    if scene.audio is not None or not scene.script:
        return 0
    silence_ms = scene.lead_in_ms + scene.tail_ms
    return round((len(scene.script) / CHARS_PER_S + silence_ms / 1000) * fps)
