"""Makes small pictures of scenes, by a worker that waits loaded; called while a person edits."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass, field

from avatar.spec import Canvas, EspeakVoice, Finished, FliteVoice, RenderSpec, Scene, content_hash

from farm.failures import TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.database.tenants import require_tenant
from soundstage.errors import Unavailable
from studio.renders.service import RenderService
from studio.renditions.keeping import run_spec_and_keep
from studio.renditions.refusals import rendition_refusals, rendition_stopped
from studio.renditions.single_flight import Bounds, SingleFlight

SIDE_PX = 640
"""The longer side."""
PRIORITY = 150
"""A person waits for it, and after speech."""
TIME_LIMIT_S = 30.0
WAIT_S = 20.0
BOUNDS = Bounds(running=2, pending=32, running_of_tenant=1, pending_of_tenant=8)
CACHED_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Still:
    """A picture as PNG; `key` names all that it shows."""

    key: str
    png: bytes


@dataclass(frozen=True, slots=True)
class SceneStills:
    """`program` is the worker that must be on this machine; None where the farm runs it elsewhere. Pictures
    are cached in memory alone. `close` with the process.
    """

    db: Database
    blobs: BlobStore
    renders: RenderService
    scheduler: Scheduler
    program: str | None = None
    _single_flight: SingleFlight = field(default_factory=lambda: SingleFlight("still", BOUNDS))
    _cache: OrderedDict[tuple[str, str], Still] = field(default_factory=OrderedDict)

    async def open(self, project: str, scene_id: str, word: int) -> Still:
        """Returns the picture shortly after a word of the scene has begun; words count from 0.

        Raises what `RenderService.spec_of_scene` does, the worker's own codes, and Unavailable
        `still.no_worker`, `rendition.busy`, `rendition.not_ready` and `rendition.stopped`.
        """
        spec = _quick(await self.renders.spec_of_scene(project, scene_id))
        key = content_hash([spec.model_dump(mode="json"), word])
        place = require_tenant(), key
        if (found := self._cache.get(place)) is not None:
            self._cache.move_to_end(place)
            return found
        if self.program is not None and shutil.which(self.program) is None:
            raise Unavailable(
                "still.no_worker",
                f"No picture can be drawn: the worker program {self.program} is not on this machine.",
                "Install it with `make setup`, or name it in worker.command.",
            )
        if (failure := self._single_flight.recent_failure(key)) is not None:
            raise TaskFailed(failure).as_error(502)

        async def make(_: Set[str]) -> None:
            await self._make(spec, scene_id, word, place)

        await self._single_flight.wait(key, f"scene:{scene_id}", make, WAIT_S, rendition_refusals("still"))
        if (found := self._cache.get(place)) is None:
            raise rendition_stopped()
        return found

    async def close(self) -> None:
        """Ends what is being drawn."""
        await self._single_flight.close()

    async def _make(self, spec: RenderSpec, scene_id: str, word: int, place: tuple[str, str]) -> None:
        """Has a worker draw it, and caches the picture; nothing stays in the store."""
        task = SegmentTask(
            id=new_id("still"),
            kind="still",
            scene_id=scene_id,
            arguments=("--word", str(word)),
            priority=PRIORITY,
            time_limit_s=TIME_LIMIT_S,
        )

        async def read(result: Finished) -> None:
            for file in result.files:
                if file.role == "still":
                    self._remember(place, await self.blobs.read(file.sha256))

        try:
            await run_spec_and_keep(self.db, self.blobs, self.scheduler, spec, task, read)
        except TaskFailed as error:
            self._single_flight.remember(place[1], error.failure)
            raise error.as_error(502) from error

    def _remember(self, place: tuple[str, str], png: bytes) -> None:
        self._cache[place] = Still(place[1], png)
        while sum(len(still.png) for still in self._cache.values()) > CACHED_BYTES:
            self._cache.popitem(last=False)


def _quick(spec: RenderSpec) -> RenderSpec:
    """Returns a spec of the same picture that takes less: smaller, and spoken by a built-in voice. So no
    service is asked, and times of words are those of that voice.
    """
    shrunk = min(1.0, SIDE_PX / max(spec.canvas.width, spec.canvas.height))
    canvas = Canvas(
        width=_even(spec.canvas.width * shrunk),
        height=_even(spec.canvas.height * shrunk),
        fps=spec.canvas.fps,
    )
    return spec.model_copy(update={"canvas": canvas, "scenes": tuple(map(_with_built_in_voice, spec.scenes))})


def _with_built_in_voice(scene: Scene) -> Scene:
    if scene.audio is None and isinstance(scene.voice, (FliteVoice, EspeakVoice)):
        return scene
    change: dict[str, object] = {"voice": FliteVoice()}
    if scene.script:
        change["audio"] = None
    return scene.model_copy(update=change)


def _even(pixels: float) -> int:
    return max(64, round(pixels / 2) * 2)
