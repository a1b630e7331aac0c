"""`soundstage talk`: speaks to the agent with microphone and loudspeaker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import Annotated, Any

import typer

from agent.voice.echo import EchoCanceller
from app.cli.connection import server_of, studio
from app.cli.printing import Printer
from app.cli.saved_logins import Login
from app.cli.state import Invocation, JsonFlag, invocation, output, run
from soundstage.errors import NotFound, SoundstageError, Unavailable
from soundstage.tasks import cancel_all

FRAME_MS = 20


def register(cli: typer.Typer) -> None:
    @cli.command()
    def talk(
        persona: Annotated[str, typer.Option("--persona", help="Who answers: soundstage personas")] = "nova",
        session: Annotated[str, typer.Option("--session", help="A conversation to go on with.")] = "",
        headphones: Annotated[
            bool, typer.Option("--headphones", help="The microphone does not hear the loudspeaker.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Speak to the agent, and be answered aloud; speak again to interrupt."""
        run(_talk(invocation(), output(as_json), persona, session, cancel_echo=not headphones))


async def _talk(
    called: Invocation, printer: Printer, persona: str, session: str, *, cancel_echo: bool
) -> None:
    login = server_of(called)
    if login is None:
        raise NotFound(
            "server.not_running",
            "No server runs on this state folder, and a voice session needs one.",
            "Start it with `soundstage up`, or name one with `--server`.",
        )
    devices = _devices()
    async with studio(called) as api:
        body = {"agent_id": persona, "session_id": session or None}
        opened = await api.post("/api/voice/session", body)
        echo = _canceller(opened, printer) if cancel_echo else None
        try:
            await _converse(login, opened, devices, echo, printer)
        finally:
            with contextlib.suppress(SoundstageError):
                await api.delete(f"/api/voice/session/{opened['session_id']}")


async def _converse(
    login: Login, opened: dict[str, Any], devices: Any, echo: EchoCanceller | None, printer: Printer
) -> None:
    """Passes sound between the devices and the server until one of them ends."""
    from soundstage.http.sockets import ConnectionClosed, WebSocketException, open_web_socket

    loop = asyncio.get_running_loop()
    microphone: asyncio.Queue[bytes] = asyncio.Queue()
    loudspeaker = _Loudspeaker(echo)

    def take(data: Any, *_: Any) -> None:
        sound = bytes(data) if echo is None else echo.clean(bytes(data))
        loop.call_soon_threadsafe(microphone.put_nowait, sound)

    url = f"{opened['url']}?token={opened['token']}"
    try:
        async with open_web_socket(url, {"Authorization": f"Bearer {login.key}"}) as socket:
            with (
                _stream(devices.RawInputStream, opened["input_hz"], take) as recording,
                _stream(devices.RawOutputStream, opened["output_hz"], loudspeaker.fill) as playing,
            ):
                if echo is not None:
                    echo.set_delay(recording.latency + playing.latency)

                async def send() -> None:
                    while True:
                        await socket.send(await microphone.get())

                sending = asyncio.create_task(send())
                try:
                    async for message in socket:
                        if isinstance(message, bytes):
                            loudspeaker.play(message)
                        else:
                            _show(json.loads(message), loudspeaker, printer)
                finally:
                    await cancel_all([sending])
    except ConnectionClosed:
        return
    except (OSError, WebSocketException) as error:
        raise Unavailable(
            "voice.no_socket", f"The sound cannot reach the server: {error}.", "Try again in a moment."
        ) from error


class _Loudspeaker:
    """Sound that waits to be played. The device asks from a thread of its own."""

    def __init__(self, echo: EchoCanceller | None) -> None:
        self._echo = echo
        self._lock = threading.Lock()
        self._sound = bytearray()

    def play(self, sound: bytes) -> None:
        with self._lock:
            self._sound += sound

    def stop(self) -> None:
        with self._lock:
            self._sound.clear()

    def fill(self, data: Any, *_: Any) -> None:
        """Fills a buffer of the device; silence where there is nothing to play."""
        with self._lock:
            sound = bytes(self._sound[: len(data)])
            del self._sound[: len(data)]
        data[:] = sound.ljust(len(data), b"\0")
        if self._echo is not None:
            self._echo.play(bytes(data))


def _canceller(opened: dict[str, Any], printer: Printer) -> EchoCanceller | None:
    """Returns None, with a note, where the library is missing."""
    try:
        return EchoCanceller(opened["input_hz"], opened["output_hz"])
    except ImportError:
        printer.note("Use headphones: echo is cancelled with the extra `voice` (`uv sync --extra voice`).")
        return None


def _show(event: dict[str, Any], loudspeaker: _Loudspeaker, printer: Printer) -> None:
    if event["type"] == "stop":
        loudspeaker.stop()
    if printer.as_json:
        printer.value(event)
        return
    match event["type"]:
        case "ready":
            printer.line("Speak; Ctrl-C ends the session.")
        case "transcript":
            printer.line(f"you    {event['text']}")
        case "unclear" if not event["text"]:
            printer.line("…      I did not understand that.")
        case "caption":
            printer.line(f"agent  {event['text']}")
        case "error":
            printer.note(f"{event['message']} {event['hint']}")


def _devices() -> Any:
    """Returns the library for sound devices. Raises `voice.no_device`."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise Unavailable(
            "voice.no_device",
            f"Sound devices cannot be used here: {error}.",
            "On Debian: apt-get install libportaudio2, and `uv sync --inexact --extra voice`.",
        ) from error
    return sounddevice


def _stream(open_stream: Any, sample_hz: int, callback: Any) -> Any:
    """Opens a device; it works while the block runs. Raises `voice.no_device`."""
    samples = sample_hz * FRAME_MS // 1000
    try:
        return open_stream(
            samplerate=sample_hz, blocksize=samples, channels=1, dtype="int16", callback=callback
        )
    except Exception as error:
        # PortAudio's errors have no common base of their own.
        raise Unavailable(
            "voice.no_device",
            f"The sound device cannot be opened: {error}.",
            "Connect a microphone and a loudspeaker, or use the page in a browser.",
        ) from error
