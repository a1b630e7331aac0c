"""Time from an edit of a scene to its picture, by a worker that waits loaded and by one that is started, and
to a preview of it that can be played.

Edits are a sentence apart; the picture is that at the edited word, as the editor of the page asks for it. The
previewed scene is about ten seconds long.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent))

from results import add_figure, add_json_option, percentile, write_figures

import studio.models  # noqa: F401 - the tables
from farm.local import LocalOptions, LocalScheduler
from policy.audit import AuditLog
from policy.audit.head import HeadFile
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.database.tenants import tenant_scope
from soundstage.events import EventStore
from soundstage.settings import Settings
from studio.projects.schemas import ProjectDraft
from studio.renders.schemas import RenderRequest
from studio.scenes.schemas import SceneDraft
from studio.wiring import Studio, build_studio, worker_cache
from tests.support.waiting import eventually_async

ROOT = Path(__file__).parents[1]
WORKER = ROOT / "avatar/.venv/bin/avatar"
SENTENCES = (
    "The moon pulls the sea towards it, and the earth turns below.",
    "So high water comes twice a day, at almost every coast.",
    "It comes fifty minutes later each day, because the moon moves on.",
)
TITLE = {"kind": "title", "title": "High water", "start": {"at": "time", "ms": 0}}


async def measure(studio: Studio, stills: int, *, loaded: bool) -> tuple[list[float], list[float]]:
    """Returns seconds and processor seconds of each picture."""
    project = (await studio.projects.create(ProjectDraft(title="Tides", persona="nova"))).slug
    body = {"script": SENTENCES[0], "overlays": [TITLE]}
    scene = (await studio.scenes.create(project, SceneDraft.model_validate(body))).id
    scheduler = studio.stills.previews.scheduler
    assert isinstance(scheduler, LocalScheduler)
    standby = scheduler._standbys["still"]
    await studio.stills.open(project, scene, 0)
    times, work = [], []
    for number in range(stills):
        if loaded:
            await eventually_async(lambda: standby.is_ready, "a loaded worker")
        else:
            await standby.close()
        edited = f"Edit {number} of a worker that is {'loaded' if loaded else 'started'}."
        script = " ".join([edited, *SENTENCES[: number % len(SENTENCES) + 1]])
        await studio.scenes.change(project, scene, SceneDraft(script=script))
        begun, used = time.perf_counter(), processor_s()
        await studio.stills.open(project, scene, 1)
        times.append(time.perf_counter() - begun)
        work.append(processor_s() - used)
    return times, work


def processor_s() -> float:
    """Processor seconds of this process and of children that have ended."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


async def measure_previews(studio: Studio, count: int) -> tuple[list[float], list[float]]:
    """Returns the same of previews of a scene, and asserts that they are of about ten seconds."""
    project = (await studio.projects.create(ProjectDraft(title="Previews", persona="nova"))).slug
    scene = (await studio.scenes.create(project, SceneDraft(script=SENTENCES[0]))).id
    await studio.dispatcher.start()
    times, work = [], []
    for number in range(count):
        await studio.scenes.change(
            project, scene, SceneDraft(script=" ".join([f"Preview {number}.", *SENTENCES]))
        )
        begun, used = time.perf_counter(), processor_s()
        view = await studio.renders.create(RenderRequest(project=project, preview=True, scene=scene))
        ended = await studio.renders.wait(view.id)
        times.append(time.perf_counter() - begun)
        work.append(processor_s() - used)
        assert ended.state == "done" and 8000 < (ended.duration_ms or 0) < 16_000, ended
    await studio.dispatcher.close()
    return times, work


async def run(folder: Path, stills: int, previews: int) -> dict[str, tuple[list[float], list[float]]]:
    settings = Settings.model_validate(
        {"state_dir": folder / "state", "out_dir": folder / "out", "personas_dir": ROOT / "personas"}
    )
    db = Database(f"sqlite:///{folder / 'bench.db'}")
    await db.create_tables()
    (folder / "work").mkdir()
    blobs = BlobStore.open(str(folder / "blobs"))
    scheduler = LocalScheduler(blobs, LocalOptions((str(WORKER),), folder / "work", worker_cache(settings)))
    await scheduler.start()
    audit = AuditLog(db, HeadFile(settings.state_dir))
    studio = build_studio(settings, db, EventStore(db), blobs, scheduler, audit, worker_version="1")
    with tenant_scope("default"):
        found = {
            name: await measure(studio, stills, loaded=name == "loaded") for name in ("loaded", "started")
        }
        found["preview"] = await measure_previews(studio, previews)
    await scheduler.close()
    await db.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stills", type=int, default=30, help="pictures of each way (default 30)")
    parser.add_argument("--previews", type=int, default=12, help="previews of a scene (default 12)")
    add_json_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(Path(folder), options.stills, options.previews))
    ratio = percentile(found["loaded"][0], 0.95) / percentile(found["started"][0], 0.95)
    for name, (times, work) in found.items():
        middle, late = (percentile(times, share) * 1000 for share in (0.5, 0.95))
        used_ms = percentile(work, 0.5) * 1000
        print(f"{name}: p50 {middle:.0f} ms, p95 {late:.0f} ms; processor p50 {used_ms:.0f} ms")
    print(f"p95 of a loaded worker: {ratio:.2f} of that of one that is started")
    late_ms = percentile(found["loaded"][0], 0.95) * 1000
    add_figure("edit to picture, p95; a worker that is started", late_ms, "ms", goal="< 500", ratio=ratio)
    preview_s = percentile(found["preview"][0], 0.95)
    add_figure("edit to a preview of a scene of 10 s, p95", preview_s, "s", goal="< 4")
    write_figures("avatar", options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
