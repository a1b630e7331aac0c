"""Implements FaceEngine with neural networks: LivePortrait, LatentSync, or one after the other.

Frames come in order from one stream, in bounded memory; several threads compose them into the scene.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from avatar.engines.base import EngineReport, Layer, Pixels
from avatar.engines.card import answering_card, open_card
from avatar.engines.card_memory import OUT_OF_MEMORY, out_of_memory
from avatar.engines.card_mode import MOUTH, PORTRAIT, Mode, RequestedMode, choose_mode, share_of
from avatar.engines.latentsync.engine import Job, LatentSync, OpenTracker
from avatar.engines.liveportrait.beside_speech import Driving
from avatar.engines.liveportrait.engine import batch_of
from avatar.engines.motion.cutout import Cutout
from avatar.engines.neural import models
from avatar.engines.neural.choice import Chosen
from avatar.engines.neural.driving import Watching, driving_template
from avatar.engines.neural.holder import ModelHolder
from avatar.engines.neural.intermediate_video import read_pictures, write_pictures
from avatar.engines.neural.moving import (
    DrawnFaceTracker,
    Still,
    photo_pictures,
    still_of,
    tracker_if_there,
    video_pictures,
)
from avatar.engines.precision import Precision
from avatar.engines.registry import engine_info
from avatar.engines.resume_cache import NO_CACHE, ResumeCache
from avatar.errors import Unavailable
from avatar.face.tracker import open_aligning_tracker, open_tracker
from avatar.spec import MediaRef, PhotoFace, VideoFace
from avatar.tracks import ControlTrack

LOW_BATCH = 2


@dataclass(frozen=True, slots=True)
class DrawingContext:
    """The services and files that a neural face needs. sound: the scene's speech. folder: for temporary
    files. resume_cache: frames finished by an interrupted run of the same input.
    """

    resolve: Callable[[MediaRef], Path]
    cache: Path
    sound: Path
    folder: Path
    models: Path
    holder: ModelHolder
    check: Callable[[], None]
    seed: int = 1
    low: bool = False
    resume_cache: ResumeCache = NO_CACHE


class NeuralFace:
    """Implements `avatar.engines.base.FaceEngine`. `mode`: how much GPU memory it takes, chosen at opening.
    `_wide`: it computes in fp32, because fp16 overflowed on this GPU.

    Raises Unavailable `gpu.not_opened`, `gpu.out_of_memory` for a card that is there and cannot be used.
    """

    base: Pixels | None = None

    def __init__(
        self,
        face: PhotoFace | VideoFace,
        size: tuple[int, int],
        fps: int,
        chosen: Chosen,
        context: DrawingContext,
        *,
        alpha: bool,
    ) -> None:
        self.size = size
        self.info = engine_info(chosen.engine)
        self._face, self._fps, self._engine, self._context = face, fps, chosen.engine, context
        self._cutout = Cutout() if alpha else None
        self._report = EngineReport()
        self._running: Generator[Pixels] | None = None
        requested: RequestedMode = "low" if context.low else "auto"
        self._wide = context.holder.wide
        self._precision: Precision = "fp32" if self._wide else "auto"
        self.mode: Mode = choose_mode(chosen.engine, open_card(chosen.engine), requested, wide=self._wide)

    @property
    def takes_least(self) -> bool:
        """Returns whether no mode takes less GPU memory."""
        return self.mode == "low"

    def items(self, track: ControlTrack) -> Iterator[Pixels]:
        """Yields finished frames, BGR or BGRA. Raises `gpu.out_of_memory` with the numbers, `gpu.lost`,
        `gpu.not_finite`.
        """
        self._running = self._pictures(track)
        return self._running

    def draw(self, item: Pixels) -> Layer:
        return Layer(item)

    def report(self) -> EngineReport:
        return self._report

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
        if self._cutout is not None:
            self._cutout.close()

    def _pictures(self, track: ControlTrack) -> Generator[Pixels]:
        try:
            with answering_card(), self._stream(track) as pictures:
                for picture in pictures:
                    self._context.check()
                    yield self._layer(picture)
        except torch.OutOfMemoryError as error:
            raise out_of_memory(error, low=self.takes_least, engine=self._engine) from error
        except Unavailable as error:
            if error.code != OUT_OF_MEMORY:
                raise
            # The stage that ran out of memory knows itself alone.
            raise out_of_memory(error.__cause__, low=self.takes_least, engine=self._engine) from error

    def _layer(self, picture: Pixels) -> Pixels:
        return picture if self._cutout is None else np.dstack([picture, self._cutout.mask(picture)])

    def _stream(self, track: ControlTrack) -> AbstractContextManager[Iterator[Pixels]]:
        if isinstance(self._face, VideoFace):
            return self._of_video(self._face, track)
        return self._of_photo(self._face, track)

    @contextmanager
    def _of_video(self, face: VideoFace, track: ControlTrack) -> Iterator[Iterator[Pixels]]:
        path = self._context.resolve(face.video)
        job = self._job(face, track, path, face.video.name or path.name, self.size)
        find = partial(open_aligning_tracker, self._context.models)
        if self._engine == PORTRAIT:
            portrait = self._portrait()
            batch = self._batch(portrait)
            context = self._context
            yield video_pictures(
                job, track, portrait.animator, batch, self._report, context.check, context.resume_cache, find
            )
            return
        with self._mouth(job, find) as pictures:
            yield pictures

    @contextmanager
    def _of_photo(self, face: PhotoFace, track: ControlTrack) -> Iterator[Iterator[Pixels]]:
        together = self._engine != PORTRAIT and self._fit_together()
        portrait = self._portrait(beside=(self._mouth_name(),) if together else ())
        still = still_of(
            face,
            self.size,
            self._context.resolve,
            self._context.cache,
            portrait.animator.networks.sizes.output_px,
        )

        chosen = (one for one in still.prepared.notices if one.code in ("face.several", "portrait.rotated"))
        self._report.notices.extend(chosen)
        driving = self._driving(face, portrait, track)

        def move_portrait() -> Iterator[Pixels]:
            batch, context = self._batch(portrait), self._context
            return photo_pictures(
                still, track, portrait.animator, batch, context.check, context.resume_cache, driving
            )

        if self._engine == PORTRAIT:
            yield (still.resize_back(picture) for picture in move_portrait())
            return
        with ExitStack() as stack:
            drawn = (
                move_portrait
                if together
                else stack.enter_context(self._pictures_on_disk(move_portrait(), still, track.frames))
            )
            job = self._job(_stand_in(face), track, Path(), face.image.name or "the photo", still.work_size)
            job = replace(job, drawn=drawn)
            # As it was decided above: LivePortrait is drawing, and a neighbour may have come since.
            beside = (PORTRAIT,) if together else ()
            # A head that a driving video moves leaves its place: without a tracker the mouth would stay
            # there.
            following = open_tracker if driving is not None else tracker_if_there
            mouth = self._mouth(job, lambda: DrawnFaceTracker(still, following()), beside)
            pictures = stack.enter_context(mouth)
            yield (still.resize_back(picture) for picture in pictures)

    def _driving(
        self, face: PhotoFace, portrait: models.PortraitModel, track: ControlTrack
    ) -> Driving | None:
        if face.driving is None:
            return None
        context = self._context
        path = context.resolve(face.driving)
        watching = Watching(
            portrait.animator,
            self._batch(portrait),
            context.cache,
            partial(open_aligning_tracker, context.models),
            self._report,
            context.check,
        )
        template = driving_template(path, face.driving.name or path.name, watching)
        return Driving.over(template, self._fps, track.frames)

    @contextmanager
    def _pictures_on_disk(
        self, pictures: Iterator[Pixels], still: Still, frames: int
    ) -> Iterator[Callable[[], Iterator[Pixels]]]:
        """Writes all pictures of the first stage to disk, and moves its networks off the card."""
        path = self._context.folder / "moved.mkv"
        try:
            write_pictures(path, pictures, still.work_size, self._fps, frames)
            self._context.holder.put_away(PORTRAIT)
            yield lambda: read_pictures(path)
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _mouth(
        self, job: Job, tracker: OpenTracker, beside: tuple[str, ...] = ()
    ) -> Iterator[Iterator[Pixels]]:
        mouth = self._context.holder.lend(
            self._mouth_name(),
            lambda: models.load_mouth(self._context.models, self.mode, self._precision),
            share_of(MOUTH, self.mode, wide=self._wide).working_mib,
            beside=beside,
        )
        settings = models.mouth_settings(self._context.seed)
        engine = LatentSync(mouth.networks, mouth.ways_in(self.mode), settings, tracker=tracker)
        context = self._context
        with engine.pictures(
            job, context.folder, self._report, context.check, context.resume_cache
        ) as pictures:
            yield pictures

    def _portrait(self, beside: tuple[str, ...] = ()) -> models.PortraitModel:
        return self._context.holder.lend(
            PORTRAIT,
            lambda: models.load_portrait(self._context.models, self._precision),
            share_of(PORTRAIT, self.mode, wide=self._wide).working_mib,
            beside=beside,
        )

    def _batch(self, portrait: models.PortraitModel) -> int:
        maximum = batch_of(portrait.animator)
        return min(maximum, LOW_BATCH) if self.takes_least else maximum

    def _mouth_name(self) -> str:
        """Parked networks are other ones for the holder: they weigh less, and stay off the card."""
        return f"{MOUTH} low" if self.takes_least else MOUTH

    def _fit_together(self) -> bool:
        shares = [share_of(part, self.mode, wide=self._wide) for part in (PORTRAIT, MOUTH)]
        return self._context.holder.fits(sum(share.working_mib + share.weights_mib for share in shares))

    def _job(self, face: VideoFace, track: ControlTrack, path: Path, name: str, size: tuple[int, int]) -> Job:
        return Job(
            face=face,
            video=path,
            name=name,
            sound=self._context.sound,
            frames=track.frames,
            size=size,
            fps=self._fps,
        )


def _stand_in(face: PhotoFace) -> VideoFace:
    """The drawn pictures as LatentSync is told of them: their one face is chosen already."""
    return VideoFace(video=face.image, pauses=face.pauses)
