"""`soundstage ask "…"`: one sentence to the Brain, in this process, with or without a running server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from agent.events import ToolReturned
from agent.outcome import GOING_ON
from agent.understanding import Grammar
from app.cli.printing import Printer
from app.cli.progress import AnswerView
from app.cli.state import JsonFlag, invocation, run
from app.cli.words import words_of
from app.composition import Services, opened, working
from policy import Principal
from soundstage.errors import Invalid, SoundstageError


def register(cli: typer.Typer) -> None:
    @cli.command()
    def ask(
        context: typer.Context,
        sentence: Annotated[
            str,
            typer.Argument(
                help='What you want, e.g. "Make a video where Nova says: Hello"; "-" reads it.',
                autocompletion=sentences,
            ),
        ],
        session: Annotated[str | None, typer.Option(help="Continue this session.")] = None,
        wait: Annotated[bool, typer.Option(help="Wait until the video is done.")] = True,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Tell what would change, and change nothing.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Say a sentence to the agent, and wait for the video it makes."""
        called = invocation(context)
        printer = called.printer(as_json)
        words = words_of(sentence)
        if not words.strip():
            raise Invalid("agent.nothing_said", "The sentence is empty.", 'Try: soundstage ask "help".')

        async def work() -> bool:
            async with opened(called.settings()) as services, working(services, drive=False):
                return await _answer(services, printer, words, session, wait=wait, dry_run=dry_run)

        raise typer.Exit(0 if run(work()) else 1)


def sentences(incomplete: str) -> list[str]:
    """For the shell's completion: the examples of the grammar that begin so."""
    return [one for one in Grammar.load().examples() if one.lower().startswith(incomplete.lower())]


async def _answer(
    services: Services, printer: Printer, words: str, session: str | None, *, wait: bool, dry_run: bool
) -> bool:
    opened = await services.brain.sessions.open(Principal.local_admin(), session, local_files=True)
    conversation = replace(opened, dry_run=dry_run)
    view = AnswerView(printer)
    try:
        with view:
            async for event in services.brain.respond(conversation, words, follow=wait):
                view.show(event)
                if wait and isinstance(event, ToolReturned) and event.result.get("state") in GOING_ON:
                    await services.studio.dispatcher.start()
    except asyncio.CancelledError:
        if view.made_render_id is not None:
            await cancel_and_say(services, printer, view.made_render_id)
        raise
    return not view.failed


async def cancel_and_say(services: Services, printer: Printer, render_id: str) -> None:
    """After Ctrl-C: the render that was waited for is cancelled, and its end awaited."""
    try:
        view = await services.studio.renders.cancel(render_id)
        async for _ in services.watch.follow(render_id):
            pass
    except SoundstageError as error:
        printer.error(error)
        return
    printer.failure("render.cancelled", f"“{view.title}” was cancelled.", "Nothing partial is left.")
