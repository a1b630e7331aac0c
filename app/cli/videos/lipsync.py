"""`soundstage lipsync VIDEO AUDIO`: a person's own video says another sound file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.state import JsonFlag, invocation, output, run
from soundstage.errors import Invalid

if TYPE_CHECKING:
    from avatar.spec import LipsyncSpec

    from app.cli.studio_api import StudioApi
    from app.cli.videos.consents import ConsentOptions

Fit = Literal["ping_pong", "loop", "trim"]
# As in `avatar.spec`, which takes longer to load than a help page may; a test compares them.
VideoEngine = Literal["auto", "motion", "liveportrait", "latentsync"]
Pauses = Literal["filmed", "drawn"]
MAX_GPUS, MAX_MIB = 16, 1 << 20


def register(cli: typer.Typer) -> None:
    @cli.command()
    def lipsync(
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
        """Make a filmed person say a sound file that is there already; their own movement stays.

        One video, one recording, no spec and no voice; what it makes is a render like any other. For a text
        that a voice shall speak, and for more than one scene, there is `soundstage render`.
        """
        called = invocation()
        printer = output(as_json)
        from avatar.spec import LipsyncSpec, MediaRef, Requirements, VideoFace

        from app.cli.videos.consents import ConsentOptions

        options = ConsentOptions(person, purpose)
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
            from app.cli.connection import studio
            from app.cli.videos.consents import with_consent_hint
            from app.cli.videos.watching import watch_to_the_end

            async with studio(called) as api:
                await api.start_making(dispatch=wait)
                with with_consent_hint(video):
                    view = await _create(api, spec, video, options, title or video.stem)
                return await watch_to_the_end(called, api, printer, view, wait=wait)

        raise typer.Exit(0 if run(work()) else 1)


async def _create(
    api: StudioApi, spec: LipsyncSpec, video: Path, options: ConsentOptions, title: str
) -> dict[str, Any]:
    from app.cli.videos.consents import find_or_record_consent
    from app.cli.videos.own_media import upload_media

    # The files first: a consent for a file that is not there would be recorded for nothing.
    async with upload_media(api, spec, Path()) as stored:
        consent = await find_or_record_consent(api, video, options)
        face = stored.face.model_copy(update={"consent": consent})
        stored = stored.model_copy(update={"face": face})
        request = {"lipsync": stored.model_dump(mode="json"), "title": title}
        return dict(await api.post("/api/renders", request))
