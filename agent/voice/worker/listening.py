"""Turns a person's sound into utterances, and interrupts the agent when they speak; a pipecat processor."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputTextRawFrame,
    InterimTranscriptionFrame,
    StartFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.time import time_now_iso8601

from agent.transcription.recognition import Transcript
from agent.voice.recogniser import CommandRecogniser, Recognition
from agent.voice.schemas import INPUT_HZ, MAX_FREE_S, Expected
from agent.voice.spoken_grammar import SpokenGrammar
from agent.voice.worker.engines import Recognisers
from agent.voice.worker.link import SessionLink
from agent.voice.worker.rivals import Choice, find_choice
from agent.voice.worker.sureness import (
    CHANGING,
    DOUBTFUL,
    confidence_needed,
    is_outside,
    is_sure,
    is_sure_outside,
    with_comparison,
)
from soundstage.telemetry import get_logger

BEFORE_SPEECH_S = 0.7
"""Sound before the detector's start that a recogniser hears too: the detector needs 0.2 s to be sure."""
SECOND = INPUT_HZ * 2
"""Bytes of a second of sound."""
CHUNK = SECOND // 10
UNFINISHED_S = 0.7
"""So long an incomplete sentence may pause."""
STALLED_S = 3.0
"""An utterance ends when no sound, not even silence, has come for so long after speech."""
LONGEST_S = 20.0
INTERRUPTING_WORDS = 2
"""From so many words on the agent stops speaking: “mhm” is none of them."""
FREE_PAUSE_S = 1.0
"""So long may people pause in free speech."""
FREE_NEEDED = 0.6
"""From this mean confidence of its words on free speech is taken for what was said."""
LEAST_LOST_S = 0.6
"""Speech of so long after the detector's start deserves an answer; a cough is shorter."""
NOT_UNDERSTOOD = "Sorry, I did not understand that."
YES = frozenset({"yes", "yes please", "yeah", "right", "that is right"})
GO_ON = YES | {"go on", "please go on", "continue"}


class _Mark(Enum):
    """Marks in the queue of sound where the detector heard speech end, or begin again."""

    STOP = auto()
    START = auto()


@dataclass(frozen=True, slots=True)
class Utterance:
    """Holds what was last said, word for word, with its sound from a moment on (Unix time)."""

    text: str = ""
    pcm: bytes = b""
    began_at: float = 0.0


class Listening(FrameProcessor):
    """Hears one sentence at a time; pushes it as `TranscriptionFrame`.

    A complete sentence ends with the detector's silence; an incomplete one may pause for `UNFINISHED_S`.
    `say_more` says the rest of the last answer; it returns False where there is none.
    """

    def __init__(
        self,
        recognisers: Recognisers,
        grammar: SpokenGrammar,
        things: Mapping[str, Sequence[str]],
        link: SessionLink,
        say_more: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__()
        self._recognisers = recognisers
        self._grammar = grammar
        self._things = things
        """Names of what exists, by kind."""
        self._link = link
        self._say_more = say_more
        self._before: deque[bytes] = deque()
        self._sound: asyncio.Queue[bytes | _Mark] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._speaking = False
        self._doubtful = ""
        self._choice: Choice | None = None
        """Two sentences that were asked about."""
        self._may_apologise = True
        """Once until an answer has been spoken: who talks to others hears it once."""
        self._is_answering = False
        self._announcements: list[TTSSpeakFrame] = []
        """They wait while the person speaks."""
        self._ended_at = 0.0
        self._speech_s = 0.0
        """Seconds of the last utterance, from the detector's start to its end."""
        self._utterance = Utterance()
        self._cepstral_mean = ""
        """Of this person, microphone and room."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                self._take(frame.audio)
                return
            case VADUserStartedSpeakingFrame() if direction is FrameDirection.DOWNSTREAM:
                self._begin(frame.timestamp - frame.start_secs)
            case VADUserStoppedSpeakingFrame() if direction is FrameDirection.DOWNSTREAM:
                self._ended_at = frame.timestamp - frame.stop_secs
                if self._sound is not None:
                    self._sound.put_nowait(_Mark.STOP)
            case InputTextRawFrame():
                self.forget_question()
                self._link.person_began_at = self._link.person_ended_at = time.time()
                if self._speaking:
                    await self.interrupt()
                await self._link.recorder.add_person(frame.text, time.time())
                await self._link.tell("state", state="thinking")
            case TTSSpeakFrame() if self._sound is not None:
                self._announcements.append(frame)
                return
            case BotStartedSpeakingFrame():
                self._speaking = True
                await self._link.tell("state", state="speaking")
            case BotStoppedSpeakingFrame():
                self._speaking = False
                self._may_apologise |= self._is_answering
                self._is_answering = False
                await self._link.tell("state", state="listening")
            case EndFrame() | CancelFrame():
                if self._hearing is not None:
                    self._hearing.cancel()
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            # Sound that came earlier was dropped on the way here.
            await self._link.tell("state", state="listening")

    def forget_question(self) -> None:
        """Takes no later “yes” for an answer to “Did you say …?”: the person has gone on by hand."""
        self._doubtful, self._choice = "", None

    async def interrupt(self) -> None:
        """Silences the agent and cancels its answer."""
        await self._link.tell("stop")
        await self.broadcast_interruption()  # type: ignore[no-untyped-call]

    def _take(self, sound: bytes) -> None:
        if self._sound is not None:
            self._sound.put_nowait(sound)
            return
        self._before.append(sound)
        while sum(map(len, self._before)) > BEFORE_SPEECH_S * SECOND:
            self._before.popleft()

    def _begin(self, at: float) -> None:
        if self._sound is not None:
            self._sound.put_nowait(_Mark.START)
            return
        self._link.person_began_at, self._ended_at = at, 0.0
        self._sound = asyncio.Queue()
        for sound in self._before:
            self._sound.put_nowait(sound)
        self._before.clear()
        self._hearing = asyncio.create_task(self._hear(self._sound))

    async def _hear(self, sound: asyncio.Queue[bytes | _Mark]) -> None:
        expects: Expected = "" if self._choice else self._link.expects
        choice, self._choice = self._choice, None
        only = choice.grammar if choice else None
        began_at = self._link.person_began_at - BEFORE_SPEECH_S
        try:
            async with self._recognisers.use(self._grammar) as recogniser:
                await asyncio.to_thread(recogniser.begin, self._cepstral_mean, only)
                try:
                    await self._follow(recogniser, sound, expects, only or self._grammar)
                finally:
                    # What comes from here on belongs to the next utterance.
                    self._sound = None
                    result = await asyncio.to_thread(recogniser.end)
                    self._cepstral_mean, pcm = recogniser.cepstral_mean, recogniser.sound
                    self._utterance = Utterance(result.text, pcm, began_at)
                if choice and result.is_accepted:
                    await self._take_up_choice(choice.meanings[result.text])
                    return
                if choice:
                    result = await asyncio.to_thread(recogniser.hear_all)
                    self._utterance = replace(self._utterance, text=result.text)
                rival = await asyncio.to_thread(find_choice, recogniser, self._grammar, result)
                wide = None
                if not rival and not expects and not await self._is_sure(result):
                    wide = await self._hear_widely(recogniser)
                    result = result if wide is None else with_comparison(result, wide)
            if wide is not None and is_outside(result, wide):
                await self._take_up_wide(wide)
            elif rival and expects != "text" and not self._speaking:
                await self._ask_choice(rival, result)
            elif expects and not await self._is_command(result, expects):
                await self._take_up_free(await self._link.transcribe(pcm))
            else:
                await self._take_up(result)
        except Exception:
            # Nobody awaits this task; the next utterance begins anew.
            get_logger(__name__).exception("voice.utterance_lost", session=self._link.session_id)
        finally:
            # The next utterance may have begun meanwhile.
            if self._sound is sound:
                self._sound = None
            waiting, self._announcements = self._announcements, []
            for frame in waiting:
                await self.push_frame(frame)

    async def _follow(
        self,
        recogniser: CommandRecogniser,
        sound: asyncio.Queue[bytes | _Mark],
        expects: Expected,
        grammar: SpokenGrammar,
    ) -> None:
        """Has the sound recognised until the utterance is over. Free speech ends with a longer pause."""
        is_free = expects == "text"
        unfinished_s = FREE_PAUSE_S if is_free else UNFINISHED_S
        longest_s = MAX_FREE_S if is_free else LONGEST_S
        clock = asyncio.get_running_loop().time
        text, size, stopped_at, silent_since, waiting = "", 0, 0, 0.0, b""
        self._speech_s = 0.0
        while size < longest_s * SECOND:
            if silent_since and not waiting:
                patience_s = 0.0 if not is_free and grammar.is_complete(text) else unfinished_s
                # By the sound: where it comes late, the person may have gone on in what still has to come.
                is_stalled = sound.empty() and clock() - silent_since >= STALLED_S
                if is_stalled or size - stopped_at >= patience_s * SECOND:
                    return
            if len(waiting) < CHUNK and not (waiting and silent_since):
                try:
                    async with asyncio.timeout_at(silent_since + STALLED_S if silent_since else None):
                        item = await sound.get()
                except TimeoutError:
                    continue
                if isinstance(item, bytes):
                    waiting, size = waiting + item, size + len(item)
                else:
                    silent_since, stopped_at = clock() if item is _Mark.STOP else 0.0, size
                    self._speech_s = size / SECOND - BEFORE_SPEECH_S
                continue
            # The recogniser holds the interpreter: in short pieces, others get their turn between them.
            before, text = text, await asyncio.to_thread(recogniser.hear, waiting[:CHUNK])
            waiting = waiting[CHUNK:]
            if text and text != before:
                await self._note_partial(text, is_free=is_free)

    async def _note_partial(self, text: str, *, is_free: bool) -> None:
        # Of free speech the grammar makes some sentence of its own.
        if not is_free:
            await self._link.tell("partial", text=text)
        if self._speaking and len(text.split()) >= INTERRUPTING_WORDS:
            await self.interrupt()
        await self.push_frame(InterimTranscriptionFrame(text, self._user, time_now_iso8601()))

    async def _is_command(self, result: Recognition, expects: Expected) -> bool:
        """Returns whether a sentence of the grammar was said where free speech is expected too."""
        if self._doubtful and result.is_accepted and result.text in YES:
            return True
        needed = CHANGING if expects == "text" else await asyncio.to_thread(confidence_needed, result.text)
        return bool(result.text) and result.confidence >= needed

    async def _ask_choice(self, choice: Choice, result: Recognition) -> None:
        self._doubtful, self._choice = "", choice
        confidence = round(result.confidence, 3)
        await self._link.tell("unclear", text=result.text, confidence=confidence, choices=choice.sentences)
        await self.push_frame(TTSSpeakFrame(choice.question))

    async def _take_up_choice(self, text: str) -> None:
        """Has the sentence answered that the person chose, where it is one of both."""
        if text:
            await self._pass_on(text, 1.0)
        else:
            await self._link.tell("unclear", text="", confidence=1.0)

    async def _take_up_free(self, found: Transcript) -> None:
        """Takes up free speech; what is not sure is asked back first."""
        result = Recognition(found.text, found.confidence)
        self._utterance = replace(self._utterance, text=found.text)
        if not found.words:
            await self._ask_back(Recognition("", 0.0))
        elif found.confidence < FREE_NEEDED:
            await self._ask_back(result)
        else:
            await self._pass_on(result.text, round(result.confidence, 3))

    async def _is_sure(self, result: Recognition) -> bool:
        """Returns whether a sentence of the grammar is taken up without a question."""
        if result.text in YES and self._doubtful:
            return True
        return await asyncio.to_thread(is_sure, result)

    async def _hear_widely(self, recogniser: CommandRecogniser) -> Recognition | None:
        """Returns the last sound as a sentence that need not be in the grammar."""
        async with self._recognisers.use_sentences(self._things) as sentences:
            if sentences is None:
                return None
            return await asyncio.to_thread(recogniser.hear_widely, sentences.decode)

    async def _take_up_wide(self, found: Recognition) -> None:
        """Has a sentence answered that only reads; one that changes something is asked back first."""
        self._utterance = replace(self._utterance, text=found.text)
        effect = await self._link.judge(found.text)
        if is_sure_outside(found, effect):
            await self._pass_on(found.text, round(found.confidence, 3))
        else:
            await self._ask_back(found if effect else Recognition("", 0.0))

    async def _take_up(self, result: Recognition) -> None:
        if not await self._is_sure(result):
            await self._ask_back(result)
        elif result.text in YES and self._doubtful:
            await self._pass_on(self._doubtful, 1.0)
        else:
            await self._pass_on(result.text, round(result.confidence, 3))

    async def _pass_on(self, text: str, confidence: float) -> None:
        """Has an utterance answered."""
        self._doubtful, self._is_answering, self._may_apologise = "", True, False
        # One that was too long, or whose sound stopped coming, has no end but now.
        self._link.person_ended_at = self._ended_at or time.time()
        await self._link.tell("transcript", text=text, confidence=confidence)
        last = self._utterance
        await self._link.recorder.add_person(last.text, last.began_at, last.pcm)
        if self._speaking:
            await self.interrupt()
        if text in GO_ON and await self._say_more():
            return
        await self._link.tell("state", state="thinking")
        await self.push_frame(TranscriptionFrame(text, self._user, time_now_iso8601(), finalized=True))

    async def _ask_back(self, result: Recognition) -> None:
        is_doubtful = bool(result.text) and result.confidence >= DOUBTFUL and not self._speaking
        self._doubtful = text = result.text if is_doubtful else ""
        await self._link.tell("unclear", text=text, confidence=round(result.confidence, 3))
        if text:
            await self.push_frame(TTSSpeakFrame(f"Did you say: {text}?"))
        elif self._may_apologise and not self._speaking and self._speech_s >= LEAST_LOST_S:
            self._may_apologise = False
            await self.push_frame(TTSSpeakFrame(NOT_UNDERSTOOD))

    @property
    def _user(self) -> str:
        return self._link.session_id or ""
