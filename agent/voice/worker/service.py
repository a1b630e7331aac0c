"""Serves voice sessions of one server, many in a process; called by `app.voice_worker`."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import OutputTransportMessageUrgentFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker, ProcessorUnusablePolicy
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.transports.websocket.client import WebsocketClientParams
from pipecat.workers.runner import WorkerRunner

from agent.sentences import read_yaml
from agent.understanding.grammar import load_templates
from agent.voice.pronunciations import dictionary
from agent.voice.schemas import INPUT_HZ, OUTPUT_HZ
from agent.voice.spoken_grammar import SpokenGrammar, build_grammar
from agent.voice.twin import TwinService
from agent.voice.worker.engines import Recognisers
from agent.voice.worker.link import SessionLink
from agent.voice.worker.listening import Listening
from agent.voice.worker.live_face import SHARED_MEMORY, remove_left_over
from agent.voice.worker.playback import Playback
from agent.voice.worker.relayed import Drawing, serve_relayed
from agent.voice.worker.socket_transport import SocketTransport
from agent.voice.worker.speaking import Speaking
from soundstage.backoff import Backoff
from soundstage.http import open_client, web_socket_url
from soundstage.http.sockets import WebSocketException, open_web_socket
from soundstage.tasks import cancel_all, create_task_in
from soundstage.telemetry import get_logger

RECONNECT = Backoff(first_s=0.5, longest_s=10.0)
DETECTOR = VADParams(confidence=0.7, start_secs=0.2, stop_secs=0.15, min_volume=0.4)
MAX_GRAMMARS = 16
FETCH_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 30.0
"""A pipeline that has not reached the server by then ends, and the server asks again."""
log = get_logger(__name__)

Names = dict[str, list[str]]


class VoiceWorker:
    """Connects to a server, and serves each session that it names in a pipeline of its own. `drawing` is the
    command of the avatar program, for presenters as video tracks.
    """

    def __init__(self, server_url: str, token: str, drawing: Sequence[str] = ()) -> None:
        self._url = f"{web_socket_url(server_url)}/api/voice/workers"
        self._files_url = f"{server_url.rstrip('/')}/api/voice/workers"
        self._drawing = tuple(drawing)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._recognisers = Recognisers()
        self._grammars: dict[str, asyncio.Task[SpokenGrammar]] = {}
        self._sessions: dict[str, asyncio.Task[None]] = {}
        self._loading: set[asyncio.Task[None]] = set()
        self._next: dict[str, dict[str, Any]] = {}
        """The last request for a session that is served already."""

    async def run(self) -> None:
        """Serves until cancelled; connects again whenever the server has gone."""
        remove_left_over(Path(tempfile.gettempdir()), SHARED_MEMORY)
        await self._prepare()
        failures = 0
        try:
            while True:
                try:
                    async with open_web_socket(self._url, self._headers) as socket:
                        log.info("voice.connected", url=self._url)
                        failures = 0
                        async for message in socket:
                            self._serve(json.loads(message))
                except (OSError, WebSocketException) as error:
                    log.warning("voice.no_server", url=self._url, error=str(error)[:200])
                failures += 1
                await asyncio.sleep(RECONNECT.delay_s(failures))
        finally:
            await cancel_all([*self._loading, *self._sessions.values(), *self._grammars.values()])

    async def _prepare(self) -> None:
        """Loads the models before the first person speaks."""
        async with self._recognisers.use(await self._grammar({})):
            pass
        create_task_in(self._loading, self._recognisers.load_sentences())

    def _serve(self, message: dict[str, Any]) -> None:
        """Serves a session. One that is served already is served again when that ends: it may be ending, with
        another transport to follow. Where it is not, the server refuses.
        """
        if message.get("type") != "serve":
            return
        session_id = message.get("session_id", "")
        if session_id in self._sessions:
            self._next[session_id] = message
            return
        task = asyncio.create_task(
            self._run_session(
                session_id, message.get("names", {}), message.get("things", {}), message.get("transport")
            )
        )
        self._sessions[session_id] = task
        task.add_done_callback(lambda ended: self._end(session_id, ended))

    def _end(self, session_id: str, ended: asyncio.Task[None]) -> None:
        self._sessions.pop(session_id, None)
        message = self._next.pop(session_id, None)
        if message is not None and not ended.cancelled():
            self._serve(message)

    async def _run_session(
        self, session_id: str, names: Names, things: Names, transport: dict[str, Any] | None
    ) -> None:
        """Serves a session; `transport` names the one on which its sound goes past the server."""
        session = _Session(session_id, self._recognisers, await self._grammar(names), things)
        log.info("voice.session_began", session=session_id, transport=(transport or {}).get("kind"))
        try:
            if transport is None:
                await self._run_on_socket(session_id, session)
                return
            async with open_web_socket(f"{self._url}/{session_id}", self._headers) as socket:
                drawing = Drawing(self._drawing, partial(self._fetch, session_id))
                await serve_relayed(socket, session.link, transport, session.build, drawing)
        except (OSError, WebSocketException) as error:
            log.warning("voice.session_refused", session=session_id, error=str(error)[:200])
        finally:
            log.info("voice.session_ended", session=session_id)

    async def _fetch(self, session_id: str, sha256: str) -> bytes:
        """Returns a file of the presenter of a session."""
        async with open_client(headers=self._headers, timeout=FETCH_TIMEOUT_S) as client:
            answer = await client.get(f"{self._files_url}/{session_id}/files/{sha256}")
            answer.raise_for_status()
            return answer.content

    async def _run_on_socket(self, session_id: str, session: _Session) -> None:
        """Serves a session whose sound travels on its socket."""
        link = session.link
        transport = SocketTransport(
            f"{self._url}/{session_id}",
            WebsocketClientParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                add_wav_header=False,
                additional_headers=self._headers,
                serializer=link,
            ),
        )
        output = transport.output()

        async def send(message: dict[str, Any]) -> None:
            await output.send_message(OutputTransportMessageUrgentFrame(message=message))

        link.send = send
        pipeline = session.build(transport)

        @transport.event_handler("on_disconnected")  # type: ignore[untyped-decorator]
        async def on_disconnected(*_: Any) -> None:
            await pipeline.cancel()

        async def give_up() -> None:
            log.warning("voice.session_not_reached", session=session_id)
            await pipeline.cancel()

        ending: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        waiting = loop.call_later(CONNECT_TIMEOUT_S, lambda: ending.append(loop.create_task(give_up())))

        @transport.event_handler("on_connected")  # type: ignore[untyped-decorator]
        async def on_connected(*_: Any) -> None:
            waiting.cancel()

        runner = WorkerRunner(handle_sigint=False)
        try:
            await runner.add_workers(pipeline)
            await runner.run()
        finally:
            waiting.cancel()

    async def _grammar(self, names: Names) -> SpokenGrammar:
        """Returns the grammar with these names in it, built once for all sessions that wait for it; the last
        ones are kept.
        """
        key = json.dumps(names, sort_keys=True)
        found = self._grammars.get(key)
        if found is None or (found.done() and found.exception() is not None):
            self._grammars.pop(key, None)
            while len(self._grammars) >= MAX_GRAMMARS:
                self._grammars.pop(next(iter(self._grammars)))
            found = self._grammars[key] = asyncio.create_task(asyncio.to_thread(grammar_of, names))
        return await asyncio.shield(found)


class _Session:
    """Builds the pipelines of a session; a new connection of the person gets a new one."""

    def __init__(
        self, session_id: str, recognisers: Recognisers, grammar: SpokenGrammar, things: Names
    ) -> None:
        self.link = SessionLink(session_id, self._interrupt)
        self._recognisers = recognisers
        self._grammar = grammar
        self._things = things
        self._listening: Listening | None = None

    def build(self, transport: BaseTransport, *before: FrameProcessor) -> PipelineWorker:
        """Returns the pipeline between the two ends of a transport; sound passes `before` first."""
        speaking = Speaking(self.link)
        self._listening = Listening(
            self._recognisers, self._grammar, self._things, self.link, speaking.say_more
        )
        detector = VADProcessor(vad_analyzer=SileroVADAnalyzer(params=DETECTOR))
        steps = [transport.input(), *before, detector, self._listening, TwinService(self.link), speaking]
        return PipelineWorker(
            Pipeline([*steps, transport.output(), Playback(self.link)]),
            params=PipelineParams(audio_in_sample_rate=INPUT_HZ, audio_out_sample_rate=OUTPUT_HZ),
            cancel_on_idle_timeout=False,
            processor_unusable_policy=ProcessorUnusablePolicy.CANCEL,
            enable_rtvi=False,
        )

    async def _interrupt(self) -> None:
        if self._listening is not None:
            self._listening.forget_question()
            self.link.person_began_at = time.time()
            await self._listening.interrupt()


def grammar_of(names: dict[str, list[str]]) -> SpokenGrammar:
    """Returns the sentences that can be spoken where these names exist."""
    return build_grammar(load_templates(), templates_of_speech(), names, dictionary().knows)


def templates_of_speech() -> Sequence[str]:
    """Returns the templates that only speech needs: those of which the text grammar leaves the rest open."""
    return tuple(read_yaml(Path(__file__).parents[1] / "spoken.en.yaml")["sentences"])
