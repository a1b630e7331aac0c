"""The socket of one session in a worker: sound and messages to and from the server; called by processors."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
import wave
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTextRawFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    TTSSpeakFrame,
)
from pipecat.serializers.base_serializer import FrameSerializer

from agent.events import BRAIN_EVENT, Emit
from agent.transcription.recognition import TimedWord, Transcript
from agent.understanding.dialogue import Effect
from agent.voice.schemas import INPUT_HZ, SHEET, Delay, Expected
from agent.voice.worker.recorder import Recorder
from soundstage.tasks import create_task_in

if TYPE_CHECKING:
    from agent.voice.worker.face_video import FaceVideo

SPEECH_TIMEOUT_S = 30.0
TRANSCRIPTION_TIMEOUT_S = 60.0
JUDGING_TIMEOUT_S = 5.0
Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Sound:
    """The sound of a text: 16-bit mono PCM, the times of its words and mouth shapes, and its feeling."""

    text: str
    pcm: bytes
    sample_hz: int
    sheet: dict[str, Any] = field(default_factory=dict)
    phones: list[dict[str, Any]] = field(default_factory=list)
    wav: str = ""
    """The phones and the sound as it came (WAV, base64) are for a video of the presenter; a face in the page
    moves by the shapes of the sheet.
    """


class SessionLink(FrameSerializer):
    """Serializes sound as binary messages and everything else as JSON.

    Also the client of the server's requests: `answer` runs a turn there, `speak` makes a sound.
    """

    def __init__(self, session_id: str, on_interrupt: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.send: Send = _not_connected
        """Sends a message at once; set when the transport is there."""
        self.face: FaceVideo | None = None
        """The presenter as a video track, where the transport has one."""
        self.recorder = Recorder(lambda message: self.send(message))
        self._session_id = session_id
        self._on_interrupt = on_interrupt
        self._refs = count(1)
        self._answers: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._last_answer = 0
        self.expects: Expected = ""
        """What the last answer asks for."""
        self.person_began_at = self.person_ended_at = 0.0
        """When the person last began to speak or interrupted by hand, and ended or sent a text; Unix time."""

    @property
    def session_id(self) -> str | None:
        """Returns the id of the conversation."""
        return self._session_id

    async def serialize(self, frame: Frame) -> str | bytes | None:
        if isinstance(frame, OutputAudioRawFrame):
            return frame.audio
        if isinstance(frame, OutputTransportMessageFrame | OutputTransportMessageUrgentFrame):
            return None if self.should_ignore_frame(frame) else json.dumps(frame.message)
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        if isinstance(data, bytes):
            return InputAudioRawFrame(audio=data, sample_rate=INPUT_HZ, num_channels=1)
        message = json.loads(data)
        match message["type"]:
            case "event" | "answered":
                if (answer := self._answers.get(message["ref"])) is not None:
                    answer.put_nowait(message)
                    if message["type"] == "answered":
                        self.expects = message["expects"]
            case "sound" | "transcribed" | "judged":
                waiting = self._waiting.get(message["ref"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case "record":
                if message["on"]:
                    self.recorder.start()
                else:
                    await self.recorder.stop()
            case "interrupt":
                await self._on_interrupt()
            case "announce":
                return TTSSpeakFrame(message["text"])
            case "say":
                return InputTextRawFrame(message["text"])
        return None

    async def tell(self, kind: str, **data: Any) -> None:
        """Shows something to the person at once."""
        if kind == "state" and self.face is not None:
            self.face.show_state(data["state"])
        await self.send({"type": kind, "data": data})

    async def report_played(self, text: str) -> None:
        """Reports what was heard of the last answer before an interruption."""
        await self.send({"type": "played", "ref": self._last_answer, "text": text})

    async def report_delay(self, delay: Delay, since: float) -> None:
        """Reports for how long the person waited, from a Unix time until now."""
        seconds = max(0.0, time.time() - since)
        await self.send({"type": "measured", "delay": delay, "seconds": round(seconds, 3)})

    async def answer(self, utterance: str, present: Emit) -> None:
        """Has the server answer, and emits the events; when cancelled, cancels the answer there."""
        ref, events = next(self._refs), asyncio.Queue[dict[str, Any]]()
        self._last_answer = ref
        self._answers[ref] = events
        try:
            await self.send({"type": "ask", "ref": ref, "text": utterance})
            while (message := await events.get())["type"] != "answered":
                await present(BRAIN_EVENT.validate_python(message["event"]))
        except asyncio.CancelledError:
            # From a task of its own: the present one is being cancelled.
            create_task_in(self._sending, self.send({"type": "cancel", "ref": ref}))
            raise
        finally:
            del self._answers[ref]

    async def speak(self, text: str) -> Sound | None:
        """Returns the sound of a text; None where there is none, and the person was shown why."""
        message = await self._request({"type": "speak", "text": text}, SPEECH_TIMEOUT_S)
        if message is None or not message["wav"]:
            return None
        with wave.open(io.BytesIO(base64.b64decode(message["wav"]))) as file:
            pcm, sample_hz = file.readframes(file.getnframes()), file.getframerate()
        sheet = {name: message[name] for name in (*SHEET, "emotion", "intensity")}
        phones = message.get("phones", [])
        return Sound(message["text"], pcm, sample_hz, sheet, phones, message["wav"])

    async def transcribe(self, pcm: bytes) -> Transcript:
        """Has the server recognise free speech; without words where it could not."""
        message = {"type": "transcribe", "sound": base64.b64encode(pcm).decode("ascii")}
        found = await self._request(message, TRANSCRIPTION_TIMEOUT_S)
        if found is None:
            return Transcript("")
        words = tuple(TimedWord(text, 0, 0, confidence) for text, confidence in found["words"])
        return Transcript(found["text"], words)

    async def judge(self, text: str) -> Effect:
        """Returns what a sentence would lead to; nothing where the server does not say it in time."""
        found = await self._request({"type": "judge", "text": text}, JUDGING_TIMEOUT_S)
        effect: Effect = "" if found is None else found["effect"]
        return effect

    async def _request(self, message: dict[str, Any], timeout_s: float) -> dict[str, Any] | None:
        """Returns the server's answer to a message; None when none comes in time."""
        ref, waiting = next(self._refs), asyncio.get_running_loop().create_future()
        self._waiting[ref] = waiting
        try:
            await self.send({**message, "ref": ref})
            async with asyncio.timeout(timeout_s):
                answer: dict[str, Any] = await waiting
                return answer
        except TimeoutError:
            return None
        finally:
            del self._waiting[ref]


async def _not_connected(message: dict[str, Any]) -> None:
    raise RuntimeError(f"no transport for {message['type']}")
