"""`soundstage chat`: a conversation at the prompt; Ctrl-C ends an answer, Ctrl-D the conversation."""

from __future__ import annotations

import asyncio
import atexit
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.cli.saved_logins import load_logins, logins_file
from app.cli.state import EXIT_TERMINATED, Invocation, JsonFlag, Stopped, invocation, output
from soundstage.errors import NotFound, SoundstageError
from soundstage.tasks import cancel_all

if TYPE_CHECKING:
    from app.cli.answers import Conversation
    from app.cli.printing import Printer
    from app.cli.studio_api import StudioApi

T = TypeVar("T")

PROMPT = "> "
LEAVE = frozenset({"bye", "exit", "quit"})
HISTORY_LINES = 1000


def register(cli: typer.Typer) -> None:
    @cli.command()
    def chat(
        session: Annotated[str | None, typer.Option(help="Continue this session.")] = None,
        debug: Annotated[
            bool, typer.Option("--debug", help="Show what tools are given and give back, secrets masked.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Talk to the agent. Ctrl-C ends an answer, Ctrl-D the conversation, arrow keys bring lines back."""
        called = invocation()
        printer = output(as_json)
        # The parent process may have set it to be ignored, as shells do in the background.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _terminated)
        with _Background() as background, _history(_history_file(called)):
            talk = _Talk(called, printer, debug)
            background.run(talk.open(session))
            try:
                _converse(background, talk, printer)
                _finish_videos(background, talk, printer)
            finally:
                background.run(talk.close())


def _converse(background: _Background, talk: _Talk, printer: Printer) -> None:
    printer.note("Say “help” to see what can be asked for. Ctrl-C ends an answer, Ctrl-D the conversation.")
    for line in _lines(printer):
        try:
            background.run(talk.say(line))
        except SoundstageError as error:
            printer.error(error)
        except (KeyboardInterrupt, CancelledError):
            printer.note("\nThis answer is cancelled; the conversation goes on.")
    if talk.session_id is not None:
        printer.note(f"Go on with: soundstage chat --session {talk.session_id}")


def _finish_videos(background: _Background, talk: _Talk, printer: Printer) -> None:
    """Waits for the videos that no other process would finish; Ctrl-C leaves them to the next server."""
    try:
        background.run(talk.finish_videos())
    except SoundstageError as error:
        printer.error(error)
    except (KeyboardInterrupt, CancelledError):
        printer.note("\nIt is left as it is, and goes on with the next `soundstage up`.")


def _lines(printer: Printer) -> Iterator[str]:
    """Yields what is typed, without empty lines, until the end of the input or a word of leaving."""
    prompt = PROMPT if sys.stdin.isatty() else ""
    while True:
        try:
            line = input(prompt).strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            printer.note("\nCtrl-D ends the conversation.")
            continue
        if line.lower() in LEAVE:
            return
        if line:
            yield line


class _Talk:
    """One conversation and the connection behind it, in the background's loop."""

    def __init__(self, called: Invocation, printer: Printer, debug: bool) -> None:
        self._called = called
        self._printer = printer
        self._debug = debug
        self._stack = AsyncExitStack()
        self._conversation: Conversation | None = None
        self._api: StudioApi | None = None

    @property
    def session_id(self) -> str | None:
        return None if self._conversation is None else self._conversation.session_id

    async def open(self, session_id: str | None) -> None:
        from app.cli.answers import Conversation
        from app.cli.connection import studio

        api = await self._stack.enter_async_context(studio(self._called))
        try:
            await api.start_making(dispatch=False)
            self._api, self._conversation = api, Conversation(api, session_id, debug=self._debug)
            await self._conversation.check()
        except BaseException:
            await self._stack.aclose()
            raise

    async def say(self, line: str) -> None:
        from app.cli.progress import AnswerView

        if self._conversation is None:
            raise RuntimeError("a conversation is opened before anything is said")
        from soundstage.tracing import trace

        with trace(inherit=False), AnswerView(self._printer, debug=self._debug) as view:
            await self._conversation.say(line, view.show)

    async def finish_videos(self) -> None:
        """Waits for the videos of this conversation where the studio ends with it."""
        from app.cli.studio_api import ENDED
        from app.cli.words import segment

        if self._api is None or self._conversation is None or not self._api.is_embedded:
            return
        for render_id in dict.fromkeys(self._conversation.begun_renders):
            path = f"/api/renders/{segment(render_id)}"
            try:
                render = await self._api.get(path)
            except SoundstageError as error:
                if error.status != NotFound.default_status:
                    raise
                continue
            if render["state"] in ENDED:
                continue
            self._printer.note(
                f"“{render['title']}” is still being made, and no server runs that would go on with it: "
                "waiting for it. Ctrl-C leaves it."
            )
            async for _ in self._api.progress(render_id):
                pass
            render = await self._api.get(path)
            why = render["error"]["message"] if render["error"] else ", ".join(render["out_files"])
            self._printer.note(f"“{render['title']}” is {render['state']}. {why}".rstrip())

    async def close(self) -> None:
        await self._stack.aclose()


class _Background:
    """An event loop in a thread of its own: videos are made while the prompt waits for a line."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chat", daemon=True)

    def __enter__(self) -> _Background:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        # What libraries have left running (the end of event streams) would complain of a closed loop.
        self._loop.run_until_complete(cancel_all(asyncio.all_tasks(self._loop)))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for it; Ctrl-C cancels it, waits until it has tidied up, and is raised then."""
        ended: Future[T] = Future()
        begun: Future[asyncio.Task[T]] = Future()

        def begin() -> None:
            task = self._loop.create_task(work)
            task.add_done_callback(lambda _: _pass_on(task, ended))
            begun.set_result(task)

        self._loop.call_soon_threadsafe(begin)
        try:
            return ended.result()
        except (KeyboardInterrupt, Stopped):
            self._loop.call_soon_threadsafe(begun.result().cancel)
            ended.exception()
            raise


def _pass_on(task: asyncio.Task[T], ended: Future[T]) -> None:
    """The future is done when the task is: asyncio's own bridge counts as cancelled before that."""
    if task.cancelled():
        ended.set_exception(CancelledError())
    elif (error := task.exception()) is not None:
        ended.set_exception(error)
    else:
        ended.set_result(task.result())


def _history_file(called: Invocation) -> Path:
    """Beside the state of this machine, or beside the login of a server elsewhere."""
    state_dir = called.settings().state_dir
    is_elsewhere = called.server is not None or (not state_dir.is_dir() and bool(load_logins()))
    here = logins_file().parent if is_elsewhere else state_dir
    return here / "chat_history"


@contextmanager
def _history(path: Path) -> Iterator[None]:
    """Lines of earlier conversations, for the arrow keys; readable by their owner alone."""
    try:
        import readline
    except ImportError:
        # Some Pythons come without it; then there are no arrow keys.
        yield
        return
    if not sys.stdin.isatty():
        yield
        return
    readline.set_history_length(HISTORY_LINES)
    with suppress(OSError):
        readline.read_history_file(path)

    def keep() -> None:
        with suppress(OSError):
            path.touch(mode=0o600)
            readline.write_history_file(path)

    atexit.register(keep)
    try:
        yield
    finally:
        atexit.unregister(keep)
        keep()


def _terminated(_: int, __: FrameType | None) -> None:
    raise Stopped(EXIT_TERMINATED)
