"""`soundstage lipsync VIDEO AUDIO`: a person's own video says another sound file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from avatar.spec import LipsyncSpec, MediaRef, Pauses, Requirements, VideoEngine, VideoFace
from avatar.spec.needs import MAX_GPUS, MAX_MIB

from app.cli.agreed import Said, agreed, asking_agreement
from app.cli.render import watch_to_the_end
from app.cli.state import JsonFlag, invocation, run
from app.composition import Services, opened, working
from policy import Principal
from soundstage.errors import Invalid
from studio.renders.media import hashes_in, import_media
from studio.renders.schemas import RenderRequest, RenderView

Fit = Literal["ping_pong", "loop", "trim"]


def register(cli: typer.Typer) -> None:
    @cli.command()
    def lipsync(
        context: typer.Context,
        video: Annotated[Path, typer.Argument(help="The person's video.")],
        audio: Annotated[Path, typer.Argument(help="What they shall say.")],
        person: Annotated[
            str | None, typer.Option(help="Who is seen and has agreed; else VIDEO.consent.json says it.")
        ] = None,
        purpose: Annotated[str | None, typer.Option(help="What they agreed to; with --person.")] = None,
        transcript: Annotated[str | None, typer.Option(help="The words of the sound file, if known.")] = None,
        title: Annotated[str | None, typer.Option(help="How the new video is called.")] = None,
        engine: Annotated[
            VideoEngine, typer.Option(help="What draws the mouth; auto takes the best that is at hand.")
        ] = "auto",
        pauses: Annotated[
            Pauses, typer.Option(help="What LatentSync shows in long pauses of the speech.")
        ] = "filmed",
        start_ms: Annotated[int, typer.Option(min=0, help="Where the video begins.")] = 0,
        end_ms: Annotated[int | None, typer.Option(min=1, help="Where it ends.")] = None,
        fit: Annotated[
            Fit, typer.Option(help="How a video goes on when the speech is longer.")
        ] = "ping_pong",
        face_index: Annotated[
            int | None,
            typer.Option(min=0, help="Which face: counted from the left, from 0; else the largest."),
        ] = None,
        gpus: Annotated[
            int, typer.Option(min=0, max=MAX_GPUS, help="Cards that a node of the farm must have for it.")
        ] = 0,
        vram_mib: Annotated[
            int, typer.Option(min=0, max=MAX_MIB, help="Memory that each of them must have.")
        ] = 0,
        memory_mib: Annotated[
            int, typer.Option(min=0, max=MAX_MIB, help="Memory that the node must have for it.")
        ] = 0,
        wait: Annotated[bool, typer.Option(help="Wait until the video is done.")] = True,
        as_json: JsonFlag = False,
    ) -> None:
        """Make a video say a sound file; the person's own movement stays."""
        called = invocation(context)
        printer = called.printer(as_json)
        said = Said(person, purpose)
        if end_ms is not None and end_ms <= start_ms:
            raise Invalid(
                "lipsync.empty_range",
                f"Nothing of the video lies between {start_ms} and {end_ms} ms.",
                "Let --end-ms be more than --start-ms.",
            )
        spec = LipsyncSpec(
            face=VideoFace(
                video=MediaRef(path=str(video)),
                engine=engine,
                pauses=pauses,
                start_ms=start_ms,
                end_ms=end_ms,
                fit=fit,
                face_index=face_index,
            ),
            audio=MediaRef(path=str(audio)),
            transcript=transcript,
            requirements=Requirements(gpus=gpus, vram_mib=vram_mib, memory_mib=memory_mib),
        )

        async def work() -> bool:
            async with opened(called.settings()) as services, working(services, drive=wait):
                with asking_agreement(video):
                    view = await _create(services, spec, video, said, title or video.stem)
                return await watch_to_the_end(services, printer, view, wait=wait)

        raise typer.Exit(0 if run(work()) else 1)


async def _create(services: Services, spec: LipsyncSpec, video: Path, said: Said, title: str) -> RenderView:
    # The files first: a consent for a file that is not there would be recorded for nothing.
    stored = await import_media(spec, Path(), services.blobs)
    consent = await agreed(services.studio.consents, video, said)
    face = stored.face.model_copy(update={"consent": consent})
    request = RenderRequest(lipsync=stored.model_copy(update={"face": face}), title=title)
    return await services.studio.renders.create(
        request, requested_by=Principal.local_admin().name, given=hashes_in(stored)
    )
