"""Has the worker look into uploaded files; what each holds, or why it cannot be read, stands on its asset."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from avatar.spec import Failed, Finished

from farm.failures import CANCELLED, TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskInput
from soundstage.background import ItemWorker
from soundstage.database import Database, new_id
from soundstage.database.tenants import tenant_bypass_context
from soundstage.errors import Unavailable
from studio.assets.models import Asset
from studio.assets.repository import Assets
from studio.renders.running import run_task

PROBE = "probe"
"""Key in an asset's metadata under which the look into the file is told; callers cannot write it."""
MEASURED = ("width", "height", "fps", "video_codec", "audio_codec", "sample_rate_hz", "channels")
"""Keys in an asset's metadata that probing fills where they are empty."""

PROBE_TIME_LIMIT_S = 600.0
PROBE_PRIORITY = 50
"""Before segments, after portraits: it takes a second, and an editor waits for the length of a clip."""
AT_ONCE = 1
POLL_S = 5.0


class AssetProber:
    """Has the worker read each new asset once; the database records which are unread, across restarts."""

    def __init__(self, db: Database, scheduler: Scheduler, state_dir: Path) -> None:
        self._db = db
        self._scheduler = scheduler
        self.worker = ItemWorker(
            "prober",
            self.due,
            self.probe,
            max_active=AT_ONCE,
            poll_s=POLL_S,
            lock=db.leader_lock("prober", state_dir),
            context=tenant_bypass_context,
        )

    async def due(self, in_flight: Collection[str], limit: int) -> Sequence[str]:
        """Ids of assets that wait to be looked into, oldest first."""
        async with self._db.session() as session:
            return await Assets(session).list_unprobed(in_flight, limit)

    async def probe(self, asset_id: str) -> None:
        """Looks into one file. That it cannot be read is an answer too; only a stop leaves it for later."""
        async with self._db.session() as session:
            asset = await Assets(session).find(asset_id)
        if asset is None:
            return
        task = SegmentTask(
            id=new_id("probe"),
            kind="probe",
            inputs=(TaskInput(asset.sha256, "media"),),
            priority=PROBE_PRIORITY,
            time_limit_s=PROBE_TIME_LIMIT_S,
        )
        try:
            found: Finished | Failed = await run_task(self._scheduler, task)
        except TaskFailed as error:
            if error.failure.code == CANCELLED.code:
                raise Unavailable(
                    "asset.probe_stopped", f"The look into {asset_id} was stopped.", "It is done again."
                ) from error
            found = error.failure
        async with self._db.transaction() as session:
            row = await Assets(session).find(asset_id)
            if row is not None:
                _write(row, found)


def label_details(labels: dict[str, Any], had: dict[str, Any]) -> dict[str, Any]:
    """Returns metadata as people set it, with what was measured before where they say nothing of it."""
    measured = {key: had[key] for key in (*MEASURED, PROBE) if key in had}
    return {**measured, **{key: value for key, value in labels.items() if key != PROBE}}


def _write(asset: Asset, found: Finished | Failed) -> None:
    if isinstance(found, Failed):
        problem = found.model_dump(mode="json", include={"code", "message", "hint"})
        asset.details = {**asset.details, PROBE: {"state": "unreadable", **problem}}
        return
    facts = (
        found.media.model_dump(mode="json", include=set(MEASURED), exclude_none=True) if found.media else {}
    )
    progress: dict[str, Any] = {"state": "read"}
    if found.warnings:
        progress["warnings"] = [notice.message for notice in found.warnings]
    asset.details = {**facts, **asset.details, PROBE: progress}
    if asset.duration_ms is None and found.media is not None and found.media.kind != "image":
        asset.duration_ms = found.duration_ms
