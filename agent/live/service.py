"""Answers messages with text, voice, mouth and feeling of a persona; called by the live routes."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from avatar.spec import is_spoken
from avatar.spec.speech_sheet import SpeechSheet

from agent.events import TurnBegan, plain_text
from agent.live.feelings import Feeling, feelings, strongest
from agent.live.lexicon import lexicon_of
from agent.live.schemas import EmotionSample, LiveEvent, LiveState, MessageAnswer, PersonaConfig, StateEvent
from agent.live.timeline import ERROR, RESPONSE, STATE, performance, stream_of, wire_events
from agent.sessions.service import Conversation, SessionService
from agent.turns.runner import TurnRunner
from policy import Principal
from soundstage.database import Database
from soundstage.errors import Conflict, SoundstageError
from soundstage.events import EventStore
from soundstage.tasks import cancel_all, create_task_in, finish
from soundstage.telemetry import get_logger, metrics
from studio.personas.library import PersonaLibrary
from studio.personas.pictures import image_url
from studio.personas.schemas import Persona
from studio.personas.speaking import PersonaSpeech

log = get_logger(__name__)

StillThere = Callable[[], Awaitable[bool]]


CURVE_HZ = 10
"""Samples per second of sound."""
QUIET_SHARE = 0.6
"""The share of an intensity where the voice is silent."""


MAX_CHARS = 900
"""About a minute: what is longer is read on the page."""
MORE = "The rest is on the page."

_MARKS = re.compile(r"[*_`#\[\]{}<>|•⟦⟧]+")
_ADDRESS = re.compile(r"https?://\S+|/api/\S+")
_ID = re.compile(r"\s?\(?\b[a-z]{2,5}_[0-9a-z]{26}\b\)?")
_END = re.compile(r"[.!?…:;]\s|\n")


def speakable_text(answer: str) -> str:
    """Returns the text for the voice; "" when nothing in it can be spoken.

    Addresses, ids and marks (which the voice would take for its own) are left out, lines become sentences.
    """
    lines = []
    for line in answer.splitlines():
        sentence = " ".join(_MARKS.sub(" ", _ID.sub("", _ADDRESS.sub(" ", line))).split())
        if is_spoken(sentence):
            lines.append(sentence if sentence[-1] in ".!?…:;," else sentence + ".")
    text = " ".join(lines)
    if len(text) <= MAX_CHARS:
        return text
    cut = text[:MAX_CHARS]
    ends = [found.end() for found in _END.finditer(cut)]
    shortened = cut[: ends[-1]] if ends else cut.rpartition(" ")[0] or cut
    shortened = shortened.rstrip(" ,;:")
    return f"{shortened}{'' if shortened[-1:] in '.!?…' else '.'} {MORE}"


def emotion_curve(feelings: Sequence[Feeling], sheet: SpeechSheet) -> list[EmotionSample]:
    """Returns `CURVE_HZ` samples per second, the first at the start and one at the very end of the sound.

    `time` is the share of the duration, 0 to 1: multiply it by `duration` for milliseconds. The intensity is
    that of the sentence, carried by the loudness of the voice.
    """
    steps = max(1, round(sheet.duration_ms * CURVE_HZ / 1000))
    ends_ms = sentence_ends(feelings, sheet)
    curve = []
    place = 0
    for step in range(steps + 1):
        at_ms = sheet.duration_ms * step / steps
        while place < len(feelings) - 1 and at_ms >= ends_ms[place]:
            place += 1
        loudness = QUIET_SHARE + (1 - QUIET_SHARE) * _level(sheet, at_ms)
        feeling = feelings[place]
        curve.append(
            EmotionSample(
                time=round(step / steps, 4),
                emotion=feeling.emotion,
                intensity=round(feeling.intensity * loudness, 3),
            )
        )
    return curve


def sentence_ends(feelings: Sequence[Feeling], sheet: SpeechSheet) -> list[float]:
    """Returns when each sentence ends, in milliseconds.

    The voice's words are the text's, but numbers and marks may be counted otherwise: sentences meet them by
    the share of the characters that lies before them.
    """
    total = sum(len(feeling.text) for feeling in feelings) or 1
    ends = [done / total for done in accumulate(len(feeling.text) for feeling in feelings)]
    total_chars = sum(len(word.text) for word in sheet.words)
    if not total_chars:
        return [share * sheet.duration_ms for share in ends]
    word_ends = [done / total_chars for done in accumulate(len(word.text) for word in sheet.words)]
    # The word whose middle is nearest to the end of the sentence is its last one.
    words = [min(range(len(word_ends)), key=lambda place: abs(word_ends[place] - share)) for share in ends]
    return [float(sheet.words[place].end_ms) for place in words]


def _level(sheet: SpeechSheet, at_ms: float) -> float:
    """Returns the loudness around this moment, over a fifth of a second."""
    if not sheet.level:
        return 1.0
    middle = int(at_ms * sheet.level_hz / 1000)
    around = sheet.level[max(0, middle - 2) : middle + 3] or sheet.level[-1:]
    return sum(around) / len(around)


@dataclass
class LiveSessions:
    """The sessions are the agent's own: what is said here stands in their turns, and chat goes on with them.

    The state (idle, listening, thinking, speaking) is of this process: after a restart it is idle.
    """

    database: Database
    events: EventStore
    sessions: SessionService
    runner: TurnRunner
    library: PersonaLibrary
    speech: PersonaSpeech
    _states: dict[str, LiveState] = field(default_factory=dict, init=False)
    _busy: set[str] = field(default_factory=set, init=False)
    _quiet: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _waits: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    """Waits until the sound of an answer is over, with those that were cancelled and still write."""

    async def open(self, principal: Principal, persona_id: str) -> tuple[str, PersonaConfig]:
        """Opens a session with a persona; returns its id and the persona. Raises `persona.not_found`."""
        persona = self.library.get(persona_id)
        conversation = await self.sessions.open(principal, persona_id=persona.id)
        return conversation.id, config_of(persona)

    async def message(
        self, principal: Principal, session_id: str, message: str, still_there: StillThere
    ) -> MessageAnswer:
        """Returns the answer with the persona's voice.

        No sound is made for a client that is gone when the text is there; the text stays in the session.
        Raises `session.not_found`, `session.no_persona`, `session.busy`, `consent.…`, `speech.…`; once a
        message is answered, the error names the turn that holds the text.
        """
        conversation = await self.sessions.open(principal, session_id)
        persona = self._persona_of(conversation)
        await self.speech.check(persona)
        if session_id in self._busy:
            raise Conflict(
                "session.busy", "The message before is still being answered.", "Wait for its answer."
            )
        self._busy.add(session_id)
        began_s = time.perf_counter()
        try:
            answer = await self._answer(conversation, persona, message, still_there)
            if answer.audio is not None:
                metrics.VOICE_FIRST_AUDIO.observe(time.perf_counter() - began_s)
            return answer
        finally:
            self._busy.discard(session_id)

    async def set_listening(self, principal: Principal, session_id: str, state: LiveState) -> None:
        """Sets whether the persona listens; only an idle or listening one changes.

        Repeated states emit no event.
        """
        await self.sessions.open(principal, session_id)
        present = self._states.get(session_id, "idle")
        if present in ("idle", "listening") and state != present:
            await self._set_state(session_id, state)

    async def follow(
        self, principal: Principal, session_id: str, after: int | None = None
    ) -> AsyncGenerator[LiveEvent, None]:
        """Yields the present state, then all events; with `after`, first those after that event.

        Mouth shapes and feelings of an answer come at once when it begins to be spoken, in the order of
        `atMs`, so that no network jitter reaches the lips.
        """
        self._persona_of(await self.sessions.open(principal, session_id))
        cursor = await self.events.last_id() if after is None else after
        yield StateEvent(state=self._states.get(session_id, "idle"))
        async with aclosing(self.events.follow(stream_of(session_id), cursor)) as events:
            async for event in events:
                for one in wire_events(event):
                    yield one

    def states(self) -> Collection[LiveState]:
        """Returns the states of the sessions that are not idle."""
        return self._states.values()

    async def close(self) -> None:
        """Cancels the waits for the end of sounds."""
        await cancel_all(list(self._waits))

    async def _answer(
        self, conversation: Conversation, persona: Persona, message: str, still_there: StillThere
    ) -> MessageAnswer:
        session_id = conversation.id
        turn: int | None = None
        try:
            await self._set_state(session_id, "thinking")
            turn, text = await self._ask(conversation, message)
            await self._append(session_id, RESPONSE, {"turn": turn, "text": text})
            if not await still_there():
                await self._set_state(session_id, "idle", turn)
                return MessageAnswer(
                    response=text, audio=None, emotion="neutral", duration=0, emotionCurve=[]
                )
            return await self._speak(session_id, persona, turn, text)
        except SoundstageError as error:
            reported = _after_the_text(error, session_id, turn) if turn else error
            await self._append_failure(session_id, turn, reported)
            raise reported from error
        except BaseException:
            # Cancelled, or a defect: the state must not stay at thinking.
            with suppress(SoundstageError):
                await finish(self._set_state(session_id, "idle", turn))
            raise

    async def _ask(self, conversation: Conversation, message: str) -> tuple[int, str]:
        """Returns the number of the turn, and the text of the answer with its failures."""
        turn, sentences = 0, []
        events = await self.runner.ask(conversation, message)
        async with aclosing(events):
            async for item in events:
                if isinstance(item.event, TurnBegan):
                    turn = item.event.turn
                sentences.append(plain_text(item.event))
        return turn, "\n".join(filter(None, sentences))

    async def _speak(self, session_id: str, persona: Persona, turn: int, answer: str) -> MessageAnswer:
        text = speakable_text(answer)
        lexicon = lexicon_of(persona.style.language)
        found = feelings(text, lexicon)
        emotion, language = strongest(found), None if lexicon is None else lexicon.language
        if not text:
            await self._set_state(session_id, "idle", turn)
            return MessageAnswer(
                response=answer,
                audio=None,
                emotion=emotion,
                duration=0,
                emotionCurve=[],
                emotionLanguage=language,
            )
        speech = await self.speech.say(persona, text)
        curve = emotion_curve(found, speech.sheet)
        await self._set_state(
            session_id,
            "speaking",
            turn,
            {"duration_ms": speech.sheet.duration_ms, **performance(speech.sheet, curve)},
        )
        self._quiet_after(session_id, turn, speech.sheet.duration_ms / 1000)
        sound = base64.b64encode(speech.sound).decode("ascii")
        return MessageAnswer(
            response=answer,
            audio=f"data:audio/wav;base64,{sound}",
            emotion=emotion,
            duration=speech.sheet.duration_ms,
            emotionCurve=curve,
            emotionLanguage=language,
        )

    def _persona_of(self, conversation: Conversation) -> Persona:
        if conversation.persona_id is None:
            raise Conflict(
                "session.no_persona",
                f"The session {conversation.id} is held with no persona.",
                "Start another session, and name a `personaId`.",
            )
        return self.library.get(conversation.persona_id)

    def _quiet_after(self, session_id: str, turn: int, seconds: float) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            with suppress(SoundstageError):
                await self._set_state(session_id, "idle", turn)

        self._hush(session_id)
        task = self._quiet[session_id] = create_task_in(self._waits, wait())
        task.add_done_callback(lambda done: self._forget(session_id, done))

    def _hush(self, session_id: str) -> None:
        """Cancels the wait for the end of the sound before."""
        if (task := self._quiet.pop(session_id, None)) is not None and task is not asyncio.current_task():
            task.cancel()

    def _forget(self, session_id: str, task: asyncio.Task[None]) -> None:
        if self._quiet.get(session_id) is task:
            del self._quiet[session_id]

    async def _append_failure(self, session_id: str, turn: int | None, error: SoundstageError) -> None:
        data = {"turn": turn, "code": error.code, "message": error.message, "hint": error.hint}
        try:
            await self._append(session_id, ERROR, data)
            await self._set_state(session_id, "idle", turn)
        except SoundstageError as other:
            # The failure itself reaches the caller; other readers of the session miss it.
            self._states.pop(session_id, None)
            log.warning("live.failure_not_stored", session=session_id, code=other.code)

    async def _set_state(
        self,
        session_id: str,
        state: LiveState,
        turn: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        if state in ("thinking", "listening"):
            self._hush(session_id)
        if state == "idle":
            self._states.pop(session_id, None)
        else:
            self._states[session_id] = state
        await self._append(session_id, STATE, {"state": state, "turn": turn, **(more or {})})

    async def _append(self, session_id: str, kind: str, data: Mapping[str, Any]) -> None:
        async with self.database.transaction() as session:
            await self.events.append(session, stream_of(session_id), kind, data)


def config_of(persona: Persona) -> PersonaConfig:
    voice = persona.voice
    named = getattr(voice, "voice_id", None) or getattr(voice, "voice", "")
    return PersonaConfig(
        id=persona.id,
        name=persona.name,
        title=persona.title,
        description=persona.description,
        imageUrl=image_url(persona),
        voiceId=f"{voice.kind}:{named}",
        language=persona.style.language,
        face=persona.face.kind,
    )


def _after_the_text(error: SoundstageError, session_id: str, turn: int) -> SoundstageError:
    """Returns the error with a hint that the message is answered: asking again would run its tools twice."""
    hint = f"It is answered: turn {turn} of the session {session_id} has the text. {error.hint}".strip()
    return SoundstageError(error.code, error.message, hint, error.status, headers=error.headers)
