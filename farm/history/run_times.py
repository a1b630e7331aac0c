"""Measured times of tasks: written when one succeeds, read for estimates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farm.history.models import FarmRun
from farm.history.repository import FarmRuns
from farm.needs import Needs
from farm.placement.history import MAX_RUNS, Estimate, History
from farm.tasks import SegmentTask, TaskKind
from soundstage.database import Database

SECONDS_PER_CHARACTER = 1 / 15
"""Of speech at some 170 words a minute. Any constant would do: the same one counts past and future work."""
MIN_SECONDS = 1.0


class RunTimes:
    """`load` once; without it nothing is known. Each process has its own; the one that drives is right."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._history = History()

    async def load(self) -> None:
        history = History()
        async with self._db.session() as session:
            for run in await FarmRuns(session).all():
                history.record_run(run.stage, run.work, run.seconds)
        self._history = history

    async def record_run(self, task: SegmentTask, seconds: float) -> None:
        """Stores that a task succeeded `seconds` after its worker began."""
        if task.work <= 0:
            return
        stage = stage_of(task.kind, task.needs)
        self._history.record_run(stage, task.work, seconds)
        async with self._db.transaction() as session:
            await FarmRuns(session).add(FarmRun(stage=stage, work=task.work, seconds=seconds), MAX_RUNS)

    def estimate(self, kind: TaskKind, needs: Needs, work: float) -> Estimate | None:
        """None when nothing of the kind has ended here."""
        return self._history.estimate(stage_of(kind, needs), work)

    def estimate_s(self, task: SegmentTask) -> float | None:
        """Returns how long the task will probably run."""
        found = self.estimate(task.kind, task.needs, task.work)
        return None if found is None else found.likely_s


def stage_of(kind: TaskKind, needs: Needs) -> str:
    return f"{kind}/{needs.engine}"


def work_of(spec: Mapping[str, Any], scene_id: str | None = None) -> float:
    """Megapixels that are drawn, more or less: seconds of speech · frames per second · size of the picture;
    of one scene of a RenderSpec (as JSON), or of all.
    """
    canvas = spec.get("canvas") or {}
    pixels = canvas.get("width", 1920) * canvas.get("height", 1080) * canvas.get("fps", 25) / 1e6
    scenes = [scene for scene in spec.get("scenes") or () if scene_id in (None, scene.get("id"))]
    return float(pixels * sum(_seconds(scene) for scene in scenes) or pixels)


def _seconds(scene: Mapping[str, Any]) -> float:
    return max(MIN_SECONDS, len(scene.get("script") or "") * SECONDS_PER_CHARACTER)
