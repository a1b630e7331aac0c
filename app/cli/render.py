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

        wanted = moment_of(ready_by) if ready_by else None

        async def work() -> bool:
            async with opened(called.settings()) as services, working(services, drive=wait):
                view = await _create(services, spec, persona, script, project, title, wanted)
                async with forecasts_told(services.studio.renders, printer, view, wait=wait):
                    return await watch_to_the_end(services, printer, view, wait=wait)

        raise typer.Exit(0 if run(work()) else 1)


async def _create(
    services: Services,
    spec: Path | None,
    persona: str,
    script: str | None,
    project: str | None,
    title: str | None,
    ready_by: datetime | None,
) -> RenderView:
    requested_by = Principal.local_admin().name
    if spec is not None:
        found = await asyncio.to_thread(_read_spec, spec)
        return await services.studio.renders.create_from_file(
            found, spec.parent, requested_by=requested_by, ready_by=ready_by
        )
    words = None if script is None else words_of(script)
    request = RenderRequest(persona=persona, script=words, project=project, title=title, ready_by=ready_by)
    return await services.studio.renders.create(request, requested_by=requested_by)


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
