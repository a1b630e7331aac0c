"""Measured times of tasks: written when one succeeds, read for estimates."""

from __future__ import annotations

from farm.history.models import FarmRun
from farm.history.repository import FarmRuns
from farm.needs import Needs
from farm.placement.history import MAX_RUNS, Estimate, History
from farm.tasks import SegmentTask, TaskKind
from soundstage.database import Database


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
