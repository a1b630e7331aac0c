"""`soundstage render`: a spec file, or a persona and a script, without the words around them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.state import JsonFlag, invocation, output, run
from app.cli.times import parse_time
from app.cli.words import words_of
from soundstage.errors import Invalid, NotFound

if TYPE_CHECKING:
    from avatar.spec import RenderSpec

    from app.cli.studio_api import StudioApi
    from app.cli.videos.consents import ConsentOptions


def register(cli: typer.Typer) -> None:
    @cli.command()
    def render(
        spec: Annotated[Path | None, typer.Argument(help="A RenderSpec as JSON.")] = None,
        persona: Annotated[str, typer.Option(help="Who speaks.")] = "nova",
        script: Annotated[str | None, typer.Option(help='What is said; "-" reads it from stdin.')] = None,
        project: Annotated[str | None, typer.Option(help="A project instead: id or slug.")] = None,
        title: Annotated[str | None, typer.Option(help="How the video is called.")] = None,
        person: Annotated[
            str | None, typer.Option(help="Who is seen in the spec's photo or video and has agreed.")
        ] = None,
        purpose: Annotated[str | None, typer.Option(help="What they agreed to; with --person.")] = None,
        ready_by: Annotated[
            str | None, typer.Option(help="When it is wanted (17:00); says whether it will be ready.")
        ] = None,
        wait: Annotated[bool, typer.Option(help="Wait until the video is done.")] = True,
        as_json: JsonFlag = False,
    ) -> None:
        """Make a video that says a text: of a spec file, a script or a project.

        A voice speaks the text. For one video and a finished recording there is `soundstage lipsync`.
        """
        called = invocation()
        printer = output(as_json)
        if sum(source is not None for source in (spec, script, project)) != 1:
            raise Invalid(
                "render.nothing_given",
                "Give one of: a spec file, --script, --project.",
                'Try: soundstage render --persona nova --script "Hello".',
            )

        from app.cli.videos.consents import ConsentOptions

        options = ConsentOptions(person, purpose)
        if spec is None and options.person is not None:
            raise Invalid(
                "render.agreed_without_spec",
                "Who agreed is said of the faces in a spec file, and there is none.",
                "Leave out --person and --purpose: personas and projects have consents of their own.",
            )
        deadline = parse_time(ready_by).isoformat() if ready_by else None

        async def work() -> bool:
            from app.cli.connection import studio
            from app.cli.videos.forecasts import print_forecasts
            from app.cli.videos.watching import watch_to_the_end

            async with studio(called) as api:
                await api.start_making(dispatch=wait)
                if spec is not None:
                    view = await _create_from_file(api, spec, options, deadline)
                else:
                    words = None if script is None else words_of(script)
                    request = {"persona": persona, "script": words, "project": project, "title": title}
                    view = await api.post("/api/renders", {**request, "ready_by": deadline})
                async with print_forecasts(api, printer, view, wait=wait):
                    return await watch_to_the_end(called, api, printer, view, wait=wait)

        raise typer.Exit(0 if run(work()) else 1)


async def _create_from_file(
    api: StudioApi, spec: Path, options: ConsentOptions, ready_by: str | None
) -> dict[str, Any]:
    import asyncio

    from app.cli.videos.consents import first_face_without_consent, spec_with_consents, with_consent_hint
    from app.cli.videos.own_media import upload_media

    found = await asyncio.to_thread(_read_spec, spec)
    found = await spec_with_consents(api, found, spec.parent, options)
    with with_consent_hint(first_face_without_consent(found, spec.parent)):
        async with upload_media(api, found, spec.parent) as stored:
            request = {"spec": stored.model_dump(mode="json"), "ready_by": ready_by}
            return dict(await api.post("/api/renders", request))


def _read_spec(path: Path) -> RenderSpec:
    from avatar.spec import RenderSpec
    from pydantic import ValidationError

    try:
        return RenderSpec.model_validate_json(path.read_bytes())
    except OSError as error:
        raise NotFound(
            "spec.not_found", f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Invalid(
            "spec.invalid",
            f"{path} is no RenderSpec: {where}: {first['msg']}.",
            "See docs/reference/renderspec.",
        ) from error
