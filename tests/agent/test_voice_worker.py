"""The voice worker: what it does with what the server asks for."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    InputTextRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.websocket.client import WebsocketClientParams
from waiting import eventually_async

from agent.voice.recogniser import Recognition
from agent.voice.schemas import MORE, WORKER_MESSAGE
from agent.voice.spoken_grammar import SpokenGrammar
from agent.voice.worker import service
from agent.voice.worker.link import SessionLink, Sound
from agent.voice.worker.listening import NOT_UNDERSTOOD, Listening
from agent.voice.worker.playback import Playback
from agent.voice.worker.recorder import Recorder
from agent.voice.worker.service import VoiceWorker
from agent.voice.worker.socket_transport import SocketTransport
from agent.voice.worker.speaking import SENTENCE, Speaking


async def test_a_grammar_is_built_once_for_all_sessions_that_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[Mapping[str, Any]] = []

    def build(names: Mapping[str, Any]) -> SpokenGrammar:
        built.append(names)
        if names == {"persona": ["Broken"]}:
            raise ValueError("no grammar")
        return SpokenGrammar.of(["hello"])

    monkeypatch.setattr(service, "grammar_of", build)
    worker = VoiceWorker("http://127.0.0.1:1", "token")
    grammars = await asyncio.gather(*(worker._grammar({"persona": ["Nova"]}) for _ in range(50)))
    assert len(built) == 1 and len({id(grammar) for grammar in grammars}) == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="no grammar"):
            await worker._grammar({"persona": ["Broken"]})
    assert len(built) == 3, "one that failed is built again"


async def test_a_session_is_not_served_twice_at_a_time_and_again_when_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served: list[str] = []
    release = asyncio.Event()

    async def run_session(session_id: str, *_: object) -> None:
        served.append(session_id)
        await release.wait()

    worker = VoiceWorker("http://127.0.0.1:1", "token")
    monkeypatch.setattr(worker, "_run_session", run_session)
    message = {"type": "serve", "session_id": "ses_1"}
    worker._serve(message)
    worker._serve(message)
    await asyncio.sleep(0)
    assert served == ["ses_1"]
    release.set()
    await eventually_async(lambda: len(served) == 2 and not worker._sessions, "the second, asked meanwhile")


async def test_sound_that_comes_before_the_pipeline_has_started_is_dropped() -> None:
    transport = SocketTransport("ws://127.0.0.1:1", WebsocketClientParams(audio_in_enabled=True))
    sound = InputAudioRawFrame(audio=bytes(640), sample_rate=16_000, num_channels=1)
    await transport.input().push_audio_frame(sound)
    assert transport.input() is transport.input()


class RecordingFace:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def begin(self, number: int) -> None:
        self.calls.append(f"begin {number}")

    def hush(self) -> None:
        self.calls.append("hush")


class RecordingLink:
    """Notes what the person is shown."""

    session_id = "ses_1"

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []
        self.delays: list[tuple[str, float]] = []
        self.person_began_at = self.person_ended_at = 0.0
        self.face = RecordingFace()
        self.recorded: list[dict[str, Any]] = []
        self.recorder = Recorder(self._send)

    async def _send(self, message: dict[str, Any]) -> None:
        self.recorded.append(message)

    async def report_delay(self, delay: str, since: float) -> None:
        self.delays.append((delay, since))

    async def report_played(self, text: str) -> None:
        self.messages.append(("played", text))

    async def tell(self, kind: str, **data: Any) -> None:
        self.messages.append((kind, data.get("text")))


async def test_a_yes_after_a_written_sentence_answers_no_older_question() -> None:
    async def say_more() -> bool:
        return False

    link = RecordingLink()
    listening = Listening(None, SpokenGrammar.of(["hello"]), {}, link, say_more)  # type: ignore[arg-type]
    doubtful, yes = Recognition("delete the project tides", 0.6), Recognition("yes", 1.0)
    await listening._ask_back(doubtful)
    await listening._take_up(yes)
    assert link.messages[-2:] == [("transcript", "delete the project tides"), ("state", None)]
    await listening._ask_back(doubtful)
    written = InputTextRawFrame("what videos do I have")
    await listening.process_frame(written, FrameDirection.DOWNSTREAM)
    await listening._take_up(yes)
    assert ("transcript", "yes") in link.messages
    assert link.messages.count(("transcript", "delete the project tides")) == 1


async def test_long_speech_that_is_no_sentence_is_answered_once_until_one_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def say_more() -> bool:
        return False

    spoken: list[str] = []

    async def push(frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        if isinstance(frame, TTSSpeakFrame):
            spoken.append(frame.text)

    link = RecordingLink()
    listening = Listening(None, SpokenGrammar.of(["hello"]), {}, link, say_more)  # type: ignore[arg-type]
    monkeypatch.setattr(listening, "push_frame", push)
    nothing, hello = Recognition("", 0.0), Recognition("hello", 1.0)
    for speech_s in (0.3, 1.0, 2.0):
        listening._speech_s = speech_s
        await listening._take_up(nothing)
    assert spoken == [NOT_UNDERSTOOD], "a cough, or the second in a row"
    await listening._take_up(hello)
    await listening._take_up(nothing)
    assert spoken == [NOT_UNDERSTOOD], "it does not interrupt its own answer"
    for frame in (BotStartedSpeakingFrame(), BotStoppedSpeakingFrame()):
        await listening.process_frame(frame, FrameDirection.DOWNSTREAM)
    await listening._take_up(nothing)
    for frame in (BotStartedSpeakingFrame(), BotStoppedSpeakingFrame()):
        await listening.process_frame(frame, FrameDirection.DOWNSTREAM)
    await listening._take_up(nothing)
    assert spoken == [NOT_UNDERSTOOD] * 2, "its own words are no answer"
    assert [text for kind, text in link.messages if kind == "unclear"] == [""] * 6


async def test_an_announcement_waits_until_the_person_has_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def say_more() -> bool:
        return False

    spoken: list[str] = []

    async def push(frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        if isinstance(frame, TTSSpeakFrame):
            spoken.append(frame.text)

    link = SessionLink("ses_1", lambda: asyncio.sleep(0))
    listening = Listening(None, SpokenGrammar.of(["hello"]), {}, link, say_more)  # type: ignore[arg-type]
    monkeypatch.setattr(listening, "push_frame", push)

    async def announce(text: str) -> None:
        frame = await link.deserialize(json.dumps({"type": "announce", "text": text}))
        assert isinstance(frame, TTSSpeakFrame)
        await listening.process_frame(frame, FrameDirection.DOWNSTREAM)

    await announce("It is half done.")
    assert spoken == ["It is half done."]
    recognising = asyncio.Event()

    @asynccontextmanager
    async def use(*_: object) -> AsyncIterator[None]:
        await recognising.wait()
        raise RuntimeError("nothing was understood")
        yield

    monkeypatch.setattr(listening, "_recognisers", SimpleNamespace(use=use))
    listening._begin(0.0)
    await announce("It is ready.")
    assert spoken == ["It is half done."], "it spoke while the person did"
    recognising.set()
    assert listening._hearing is not None
    await listening._hearing
    assert spoken == ["It is half done.", "It is ready."]


@pytest.mark.parametrize(
    ("text", "interrupts"), [("yes", False), ("what videos", True)], ids=["one word", "two words"]
)
async def test_a_short_sound_of_agreement_does_not_interrupt(
    monkeypatch: pytest.MonkeyPatch, text: str, interrupts: bool
) -> None:
    async def nothing(*_: object) -> bool:
        return False

    link = RecordingLink()
    listening = Listening(None, SpokenGrammar.of([text]), {}, link, nothing)  # type: ignore[arg-type]
    monkeypatch.setattr(listening, "push_frame", nothing)
    monkeypatch.setattr(listening, "broadcast_interruption", nothing)
    await listening.process_frame(BotStartedSpeakingFrame(), FrameDirection.DOWNSTREAM)
    await listening._note_partial(text, is_free=False)
    assert (("stop", None) in link.messages) == interrupts


async def test_two_sentences_of_an_answer_are_said_and_the_rest_when_the_person_wants_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoken: list[str] = []

    async def speak(text: str) -> Sound:
        spoken.append(text)
        return Sound(text, b"", 24_000, {})

    async def nothing(*_: object) -> None:
        return None

    link = SimpleNamespace(speak=speak, tell=nothing, face=None)
    speaking = Speaking(link)  # type: ignore[arg-type]
    monkeypatch.setattr(speaking, "push_frame", nothing)

    async def queue(frame: Frame, *_: object) -> None:
        await speaking.process_frame(frame, FrameDirection.DOWNSTREAM)

    monkeypatch.setattr(speaking, "queue_frame", queue)
    answer = (LLMFullResponseStartFrame(), LLMTextFrame("One. Two.\nThree. Four."), LLMFullResponseEndFrame())
    for frame in answer:
        await queue(frame)
    assert spoken == ["One.", "Two.", MORE]
    assert await speaking.say_more() and spoken[3:] == ["Three.", "Four."]
    assert not await speaking.say_more()
    for frame in (*answer, InterruptionFrame()):
        await queue(frame)
    assert not await speaking.say_more(), "an interruption drops the rest"


async def test_a_person_who_goes_on_in_another_window_stays_present_in_the_room() -> None:
    """LiveKit may tell of the new participant before or after the one it replaces has left."""
    rtc = pytest.importorskip("livekit.rtc", reason="needs LiveKit: run `uv sync --inexact --extra voice`")
    from agent.voice.worker.livekit_transport import RoomTransport, room_params

    active, gone = "participant_active", "participant_disconnected"

    async def presences(*events: tuple[str, str, str]) -> list[bool]:
        transport = RoomTransport(
            SessionLink("ses_1", never), "ws://127.0.0.1:1", "token", "r", room_params(60)
        )
        room = rtc.Room()
        transport._client._room = room
        found: list[bool] = []
        transport.watch("person", found.append)
        for event, identity, sid in events:
            room.emit(event, SimpleNamespace(identity=identity, sid=sid))
        return found

    first, second = ("person", "PA_1"), ("person", "PA_2")
    assert await presences((active, *first), (gone, *first), (active, *second)) == [True, False, True]
    assert await presences((active, *first), (active, *second), (gone, *first)) == [True, True]
    both_left = await presences((active, *first), (active, *second), (gone, *first), (gone, *second))
    assert both_left == [True, True, False]
    assert await presences((active, "somebody else", "PA_3"), (gone, *first)) == []


async def never() -> None:
    raise AssertionError("nobody interrupts")


async def test_an_answer_reports_its_first_sound_and_the_silence_after_an_interruption(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def say_more() -> bool:
        return False

    link = RecordingLink()
    playback = Playback(link)  # type: ignore[arg-type]
    listening = Listening(None, SpokenGrammar.of(["hello"]), {}, link, say_more)  # type: ignore[arg-type]
    monkeypatch.setattr(listening, "_hear", lambda _: asyncio.sleep(0))
    # No pipeline runs whose tasks it would restart.
    monkeypatch.setattr(playback, "_start_interruption", lambda: asyncio.sleep(0))

    async def pass_on(processor: FrameProcessor, *frames: Frame) -> None:
        for frame in frames:
            await processor.process_frame(frame, FrameDirection.DOWNSTREAM)

    caption = {"type": "caption", "data": {"text": "Hello you.", "words": [], "duration_ms": 1000}}
    piece = OutputAudioRawFrame(bytes(1920), 24_000, 1)
    await pass_on(
        listening,
        VADUserStartedSpeakingFrame(start_secs=0.25, timestamp=100.0),
        VADUserStoppedSpeakingFrame(stop_secs=0.25, timestamp=102.0),
    )
    await listening._pass_on("hello", 1.0)
    captioned = OutputTransportMessageFrame(caption)
    captioned.metadata[SENTENCE] = 7
    await pass_on(playback, LLMFullResponseStartFrame(), captioned, piece, piece)
    assert link.delays == [("first_sound", 101.75)]
    assert link.face.calls == ["begin 7"], "once for both pieces of the sentence"
    await pass_on(playback, InterruptionFrame(), InterruptionFrame())
    assert link.delays[1:] == [("barge_in", 99.75)], "the second has nothing to interrupt"
    assert link.face.calls[1:] == ["hush", "hush"]


class SpeakingLink:
    """Notes what is spoken."""

    face = None

    def __init__(self) -> None:
        self.sentences: list[str] = []

    async def speak(self, sentence: str) -> SimpleNamespace:
        self.sentences.append(sentence)
        return SimpleNamespace(text=sentence, sheet={}, pcm=b"", sample_hz=24_000)

    async def tell(self, *_: object, **__: object) -> None: ...


async def test_of_an_answer_two_sentences_are_spoken_and_the_rest_when_somebody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = SpeakingLink()
    speaking = Speaking(link)  # type: ignore[arg-type]
    rest: list[str] = []

    async def queue(frame: TTSSpeakFrame) -> None:
        rest.append(frame.text)

    monkeypatch.setattr(speaking, "queue_frame", queue)
    monkeypatch.setattr(speaking, "push_frame", lambda *_: asyncio.sleep(0))
    text = "There are three videos. One is ready.\nAnother waits: nobody works.\nThe third has failed."
    for frame in (LLMFullResponseStartFrame(), LLMTextFrame(text), LLMFullResponseEndFrame()):
        await speaking.process_frame(frame, FrameDirection.DOWNSTREAM)
    assert link.sentences == ["There are three videos.", "One is ready.", MORE]
    assert await speaking.say_more()
    assert rest == ["Another waits: nobody works.", "The third has failed."]
    assert not await speaking.say_more(), "once"


async def test_sentences_are_recorded_as_far_as_they_were_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    link = RecordingLink()
    playback = Playback(link)  # type: ignore[arg-type]
    monkeypatch.setattr(playback, "_start_interruption", lambda: asyncio.sleep(0))

    async def say(text: str, pieces: int) -> None:
        words = [
            {"text": word, "start_ms": 40 * place, "end_ms": 40 * place + 40}
            for place, word in enumerate(text.split())
        ]
        data = {"text": text, "words": words, "duration_ms": 40 * len(words)}
        frames = [OutputTransportMessageFrame({"type": "caption", "data": data})]
        for frame in (*frames, *(OutputAudioRawFrame(b"\1\0" * 960, 24_000, 1) for _ in range(pieces))):
            await playback.process_frame(frame, FrameDirection.DOWNSTREAM)

    await say("Not recorded yet.", 2)
    link.recorder.start()
    # Its beginning is missing.
    await playback.process_frame(OutputAudioRawFrame(bytes(1920), 24_000, 1), FrameDirection.DOWNSTREAM)
    await say("Hello you.", 3)
    await say("This is interrupted soon.", 2)
    await playback.process_frame(InterruptionFrame(), FrameDirection.DOWNSTREAM)
    await link.recorder.add_person("stop it", 7.0, b"\2\0" * 1600)
    await link.recorder.add_person("and written", 9.0)
    await say("The connection is replaced here.", 1)
    await say("It ends.", 1)
    await link.recorder.stop()
    await say("Nobody records this.", 3)
    assert link.recorded.pop() == {"type": "recorded_all"}
    assert [(one["side"], one["text"]) for one in link.recorded] == [
        ("agent", "Hello you."),
        ("agent", "This is"),
        ("person", "stop it"),
        ("person", "and written"),
        ("agent", "The"),
        ("agent", "It"),
    ]
    sizes = [len(base64.b64decode(one["sound"])) for one in link.recorded]
    assert sizes == [3840, 3840, 3200, 0, 1920, 1920]
    assert [one["sample_hz"] for one in link.recorded[:3]] == [24_000, 24_000, 16_000]
    for message in link.recorded:
        WORKER_MESSAGE.validate_python(message)


async def test_a_long_sentence_is_recorded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.voice.worker.recorder.MAX_RECORDED_S", 0.08)
    link = RecordingLink()
    link.recorder.start()
    words = [{"text": str(place), "start_ms": 40 * place} for place in range(5)]
    await link.recorder.begin({"text": "0 1 2 3 4", "words": words, "duration_ms": 200})
    for _ in range(5):
        await link.recorder.add(bytes(1920), 24_000)
    await link.recorder.end()
    assert [one["text"] for one in link.recorded] == ["0 1", "2 3", "4"]
