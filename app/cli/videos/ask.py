"""`soundstage ask "…"`: one sentence to the agent, and what came of it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.state import JsonFlag, invocation, output, run
from app.cli.words import segment, words_of
from soundstage.errors import Invalid, SoundstageError

if TYPE_CHECKING:
    from app.cli.printing import Printer
    from app.cli.studio_api import StudioApi


def register(cli: typer.Typer) -> None:
    @cli.command()
    def ask(
        sentence: Annotated[
            str,
            typer.Argument(
                help='What you want, e.g. "Make a video where Nova says: Hello"; "-" reads it from stdin.',
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
        called = invocation()
        printer = output(as_json)
        words = words_of(sentence)
        if not words.strip():
            raise Invalid("agent.nothing_said", "The sentence is empty.", 'Try: soundstage ask "help".')

        async def work() -> bool:
            import asyncio

            from app.cli.answers import Conversation
            from app.cli.connection import studio
            from app.cli.progress import AnswerView

            async with studio(called) as api:
                await api.start_making(dispatch=False)
                conversation = Conversation(api, session, follow=wait, dry_run=dry_run)
                view = AnswerView(printer)
                try:
                    with view:
                        await conversation.say(words, view.show)
                except asyncio.CancelledError:
                    if view.render_id is not None:
                        await cancel_and_say(api, printer, view.render_id)
                    raise
                if view.choices and not printer.as_json:
                    answer = shlex.quote(view.choices[0])
                    printer.note(f"Answer with: soundstage ask --session {conversation.session_id} {answer}")
                return not view.failed

        raise typer.Exit(0 if run(work()) else 1)


def sentences(incomplete: str) -> list[str]:
    """For the shell's completion: the examples of the grammar that begin so."""
    from agent.sentences import example_sentences

    return [one for one in example_sentences() if one.lower().startswith(incomplete.lower())]


async def cancel_and_say(api: StudioApi, printer: Printer, render_id: str) -> None:
    """After Ctrl-C: the render that was waited for is cancelled, and its end awaited."""
    try:
        view: dict[str, Any] = await api.post(f"/api/renders/{segment(render_id)}/cancel")
        async for _ in api.progress(render_id):
            pass
    except SoundstageError as error:
        printer.error(error)
        return
    printer.failure("render.cancelled", f"“{view['title']}” was cancelled.", "Nothing partial is left.")
