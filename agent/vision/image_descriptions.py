"""Has the worker measure a picture or a frame, and a model describe it; called by the tool `vision`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.spec import Finished, Notice, PictureReport

from farm.failures import TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskInput
from soundstage.blobs import BlobStore
from soundstage.database import new_id
from soundstage.errors import Invalid, NotFound, SoundstageError, TooLarge, Unavailable, Upstream
from soundstage.telemetry import get_logger
from studio.renders.running import run_task

if TYPE_CHECKING:
    from agent.vision.model_describer import ModelDescriber

LOOK_TIME_LIMIT_S = 60.0
WAIT_S = 180.0
LOOK_PRIORITY = 100
"""A person waits for the answer; it takes seconds."""
MAX_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class ImageDescription:
    """The measurements of an image, and the description (`text`) by a model, where one was asked."""

    measurements: PictureReport
    notices: tuple[Notice, ...] = ()
    text: str | None = None
    model: str | None = None


class ImageDescriptionService:
    """Describes images. The worker reads them, because a broken image must not reach this process."""

    def __init__(self, scheduler: Scheduler, blobs: BlobStore, describer: ModelDescriber | None) -> None:
        self._scheduler = scheduler
        self._blobs = blobs
        self._describer = describer

    def would_send(self, question: str | None = None, *, ask_model: bool = False) -> bool:
        """Returns whether `look` would give the picture to a model elsewhere for these words alone."""
        return self._describer is not None and not self._describer.unasked and bool(ask_model or question)

    async def look(
        self, sha256: str, ms: int = 0, question: str | None = None, *, ask_model: bool = False
    ) -> ImageDescription:
        """Returns what a stored picture shows, or a stored video at `ms`.

        A model that runs elsewhere gets the picture only with `ask_model` or a question.

        Raises the worker's errors (`picture.too_small`, `media.unreadable` …), `vision.not_found` and
        `vision.busy`.
        """
        if not await self._blobs.exists(sha256):
            raise not_found()
        describer = self._describer
        if describer is not None and not (describer.unasked or ask_model or question):
            describer = None
        shown = ("--shown", "out/shown.jpg") if describer is not None else ()
        result = await self._measure(sha256, ms, shown)
        if result.sight is None:
            raise Upstream(
                "vision.no_answer", "The worker has not said what it saw.", "Update the worker: `make`."
            )
        text = "" if describer is None else await self._describe(describer, result, question)
        name = describer.name if describer is not None and text else None
        return ImageDescription(result.sight, result.warnings, text or None, name)

    async def take(self, path: Path) -> str:
        """Stores a file of this machine and gives its hash; what nothing refers to is removed later."""
        if not await asyncio.to_thread(path.is_file):
            raise NotFound("photo.not_found", f"There is no file {str(path)!r}.", "Check the path.")
        size = (await asyncio.to_thread(path.stat)).st_size
        if size == 0:
            raise Invalid("picture.empty", f"The file {path.name!r} is empty.", "Choose another one.")
        if size > MAX_BYTES:
            raise TooLarge(
                "vision.too_large", f"{path.name!r} is larger than 2 GiB.", "Cut it or scale it down."
            )
        return (await self._blobs.put_file(path)).sha256

    async def _measure(self, sha256: str, ms: int, more: tuple[str, ...]) -> Finished:
        task = SegmentTask(
            id=new_id("look"),
            kind="look",
            inputs=(TaskInput(sha256, "media"),),
            arguments=("--ms", str(ms), *more),
            priority=LOOK_PRIORITY,
            time_limit_s=LOOK_TIME_LIMIT_S,
        )
        try:
            async with asyncio.timeout(WAIT_S):
                return await run_task(self._scheduler, task)
        except TimeoutError as error:
            raise Unavailable(
                "vision.busy",
                "The workers have no time to look at it now.",
                "Try again when a video is done.",
            ) from error
        except TaskFailed as error:
            raise error.as_error(422) from error

    async def _describe(self, describer: ModelDescriber, result: Finished, question: str | None) -> str:
        """Returns the description by the model; "" when it fails: the measurements are returned anyway."""
        shown = next((file for file in result.files if file.role == "shown"), None)
        if shown is None:
            return ""
        # The worker's copy stays until unused files are removed: another request may use it now.
        try:
            return await describer.describe(await self._blobs.read(shown.sha256), question)
        except SoundstageError as error:
            get_logger(__name__).warning("a picture was not described", code=error.code)
            return ""


def not_found() -> NotFound:
    """The same for a file that is not there and for one that is not shown to the caller."""
    return NotFound("vision.not_found", "There is no such stored file.", "Upload the picture first.")
