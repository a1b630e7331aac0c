"""`soundstage lipsync VIDEO AUDIO`: a person's own video says another sound file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from avatar.spec import Consent, LipsyncSpec, MediaRef, Pauses, VideoFace

from app.cli.render import watch_to_the_end
from app.cli.state import JsonFlag, invocation, run
from app.composition import Services, opened, working
from policy import Principal
from soundstage.database import utcnow
from studio.consents.schemas import ConsentDraft
from studio.renders.media import hashes_in, import_media
from studio.renders.schemas import RenderRequest, RenderView


def register(cli: typer.Typer) -> None:
    @cli.command()
    def lipsync(
        context: typer.Context,
        video: Annotated[Path, typer.Argument(help="The person's video.")],
        audio: Annotated[Path, typer.Argument(help="What they shall say.")],
        person: Annotated[str, typer.Option(help="Who is seen; they must have agreed.")],
        purpose: Annotated[str, typer.Option(help="What they agreed to.")],
        transcript: Annotated[str | None, typer.Option(help="The words of the sound file, if known.")] = None,
        title: Annotated[str | None, typer.Option(help="How the new video is called.")] = None,
        pauses: Annotated[
            Pauses, typer.Option(help="What LatentSync shows in long pauses of the speech.")
        ] = "filmed",
        wait: Annotated[bool, typer.Option(help="Wait until the video is done.")] = True,
        as_json: JsonFlag = False,
    ) -> None:
        """Make a video say a sound file; the person's own movement stays."""
        called = invocation(context)
        printer = called.printer(as_json)
        draft = ConsentDraft(person=person, purpose=purpose, granted_at=utcnow())

        async def work() -> bool:
            async with opened(called.settings()) as services, working(services, drive=wait):
                spec = LipsyncSpec(
                    face=VideoFace(video=MediaRef(path=str(video)), pauses=pauses),
                    audio=MediaRef(path=str(audio)),
                    transcript=transcript,
                )
                view = await _create(services, spec, draft, title or video.stem)
                return await watch_to_the_end(services, printer, view, wait=wait)

        raise typer.Exit(0 if run(work()) else 1)


async def _create(services: Services, spec: LipsyncSpec, draft: ConsentDraft, title: str) -> RenderView:
    # The files first: a consent for a file that is not there would be recorded for nothing.
    stored = await import_media(spec, Path(), services.blobs)
    recorded = await services.studio.consents.record(draft)
    consent = Consent(
        id=recorded.id,
        person=recorded.person,
        granted_at=recorded.granted_at.isoformat(),
        purpose=recorded.purpose,
    )
    agreed = stored.model_copy(update={"face": stored.face.model_copy(update={"consent": consent})})
    request = RenderRequest(lipsync=agreed, title=title)
    return await services.studio.renders.create(
        request, requested_by=Principal.local_admin().name, given=hashes_in(stored)
    )
