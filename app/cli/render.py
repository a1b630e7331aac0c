"""`soundstage render`: a spec file, or a persona and a script, without the words around them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from avatar.spec import RenderSpec
from pydantic import ValidationError

from agent.events import Failure, Text
from agent.tools.render_lines import RenderLine
from app.cli.agreed import Said, agreed_spec, asking_agreement, nobody_agreed_to
from app.cli.ask import cancel_and_say
from app.cli.forecasts import forecasts_told
from app.cli.printing import Printer
from app.cli.progress import AnswerView
from app.cli.state import JsonFlag, invocation, run
from app.cli.times import moment_of
from app.cli.words import words_of
from app.composition import Services, opened, working
from policy import Principal
from soundstage.errors import Invalid, NotFound
from studio.renders.schemas import RenderRequest, RenderView


def register(cli: typer.Typer) -> None:
    @cli.command()
    def render(
        context: typer.Context,
        spec: Annotated[Path | None, typer.Argument(help="A RenderSpec as JSON.")] = None,
        persona: Annotated[str, typer.Option(help="Who speaks.")] = "nova",
        script: Annotated[str | None, typer.Option(help='What is said; "-" reads it.')] = None,
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
        """Make a video of a spec file, a script or a project."""
        called = invocation(context)
        printer = called.printer(as_json)
        if sum(given is not None for given in (spec, script, project)) != 1:
            raise Invalid(
                "render.nothing_given",
                "Give one of: a spec file, --script, --project.",
                'Try: soundstage render --persona nova --script "Hello".',
            )

        said = Said(person, purpose)
        if spec is None and said.person is not None:
            raise Invalid(
                "render.agreed_without_spec",
                "Who agreed is said of the faces in a spec file, and there is none.",
                "Leave out --person and --purpose: personas and projects have consents of their own.",
            )
        wanted = moment_of(ready_by) if ready_by else None

        async def work() -> bool:
            async with opened(called.settings()) as services, working(services, drive=wait):
                if spec is not None:
                    view = await _create_from_file(services, spec, said, wanted)
                else:
                    view = await _create(services, persona, script, project, title, wanted)
                async with forecasts_told(services.studio.renders, printer, view, wait=wait):
                    return await watch_to_the_end(services, printer, view, wait=wait)

        raise typer.Exit(0 if run(work()) else 1)


async def _create_from_file(
    services: Services, spec: Path, said: Said, ready_by: datetime | None
) -> RenderView:
    found = await asyncio.to_thread(_read_spec, spec)
    found = await agreed_spec(services.studio.consents, found, spec.parent, said)
    with asking_agreement(nobody_agreed_to(found, spec.parent)):
        return await services.studio.renders.create_from_file(
            found, spec.parent, requested_by=Principal.local_admin().name, ready_by=ready_by
        )


async def _create(
    services: Services,
    persona: str,
    script: str | None,
    project: str | None,
    title: str | None,
    ready_by: datetime | None,
) -> RenderView:
    words = None if script is None else words_of(script)
    request = RenderRequest(persona=persona, script=words, project=project, title=title, ready_by=ready_by)
    return await services.studio.renders.create(request, requested_by=Principal.local_admin().name)


def _read_spec(path: Path) -> RenderSpec:
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


async def watch_to_the_end(services: Services, printer: Printer, view: RenderView, *, wait: bool) -> bool:
    """Shows the progress and how it ended; True when there is a video. Ctrl-C cancels it."""
    if not wait:
        printer.value(view) if printer.as_json else printer.line(view.id)
        return True
    shown = AnswerView(printer)
    try:
        with shown:
            async for event in services.watch.follow(view.id):
                shown.show(event)
    except asyncio.CancelledError:
        await cancel_and_say(services, printer, view.id)
        raise
    ended = await services.watch.view(view.id)
    line = RenderLine.of(ended, services.settings.out_dir)
    if ended.error is not None:
        error = ended.error
        shown.show(Failure(code=error.code, message=error.message, hint=error.hint))
    elif printer.as_json:
        printer.value(line)
    else:
        shown.show(Text(text=line.sentence()))
    return ended.error is None
