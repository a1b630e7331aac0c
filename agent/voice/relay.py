"""Passes on what persons and workers send in voice sessions, and does what they ask for."""

from __future__ import annotations

from fastapi import WebSocket
from pydantic import ValidationError

from agent.voice.recordings import Recordings
from agent.voice.schemas import (
    INPUT_HZ,
    PERSON_MESSAGE,
    WORKER_MESSAGE,
    Ask,
    Cancel,
    Described,
    FaceFailed,
    FromPerson,
    Judge,
    Measured,
    Mute,
    Played,
    Presence,
    Recorded,
    RecordedAll,
    Speak,
    TellBroadcast,
    TellState,
    Transcribe,
)
from agent.voice.session import Session, failure_message, send_bytes, socket_messages
from agent.voice.speech import SessionSpeech
from agent.voice.turns import SessionTurns
from soundstage.errors import Invalid
from soundstage.telemetry import get_logger, metrics

MAX_SOUND_BYTES = 64_000
"""Two seconds of sound in one message."""
DELAYS = {"first_sound": metrics.VOICE_FIRST_AUDIO, "barge_in": metrics.VOICE_BARGE_IN}
log = get_logger(__name__)


class Relay:
    """Stands between the person and the worker of each session."""

    def __init__(self, turns: SessionTurns, speech: SessionSpeech, recordings: Recordings) -> None:
        self._turns = turns
        self._speech = speech
        self._recordings = recordings

    async def receive_from_person(self, session: Session, socket: WebSocket) -> None:
        async for message in socket_messages(socket):
            if isinstance(message, bytes):
                if len(message) > MAX_SOUND_BYTES or len(message) % 2:
                    error = Invalid(
                        "voice.bad_sound",
                        "This sound cannot be used.",
                        f"Send 16-bit PCM, mono, {INPUT_HZ} samples a second, in messages of at most two "
                        "seconds.",
                    )
                    await session.show(failure_message(error))
                elif not session.muted:
                    await send_bytes(session.worker, message)
                continue
            await self._take_request(session, message)

    async def _take_request(self, session: Session, message: str) -> None:
        """Does what a message of the person asks for."""
        try:
            request = PERSON_MESSAGE.validate_json(message)
        except ValidationError:
            error = Invalid(
                "voice.bad_message",
                "This message is not understood here.",
                'Send sound as binary messages; as text {"type": "interrupt"}, `mute` or `say`.',
            )
            await session.show(failure_message(error))
            return
        if isinstance(request, Mute):
            await session.mute(request.muted)
        else:
            await session.instruct(request.model_dump())

    async def receive_from_worker(self, session: Session, socket: WebSocket) -> None:
        async for message in socket_messages(socket):
            if isinstance(message, bytes):
                if session.person is not None:
                    await session.person.send_sound(message)
                continue
            try:
                request = WORKER_MESSAGE.validate_json(message)
            except ValidationError as error:
                log.warning("voice.bad_worker_message", session=session.id, errors=error.error_count())
                continue
            if isinstance(request, Ask):
                session.start(self._turns.answer(session, request))
            elif isinstance(request, Speak):
                session.start(self._speech.speak(session, request))
            elif isinstance(request, Transcribe):
                session.start(self._speech.transcribe(session, request))
            elif isinstance(request, Judge):
                session.start(self._turns.judge(session, request))
            elif isinstance(request, Cancel):
                session.start(self._turns.cancel(session, request.ref))
            elif isinstance(request, TellState):
                await session.set_state(request.data.state)
            elif isinstance(request, Presence):
                await session.note_presence(connected=request.connected)
            elif isinstance(request, FromPerson):
                await self._take_request(session, request.message)
            elif isinstance(request, Described):
                waiting = session.offers.get(request.ref)
                if waiting is not None and not waiting.done():
                    waiting.set_result(request.sdp)
            elif isinstance(request, Played):
                session.start(self._turns.note_played(session, request))
            elif isinstance(request, Measured):
                DELAYS[request.delay].observe(request.seconds)
            elif isinstance(request, Recorded):
                await self._recordings.add(session, request)
            elif isinstance(request, RecordedAll):
                if session.recording is not None:
                    session.recording.has_all.set()
            elif isinstance(request, TellBroadcast):
                if session.broadcast is not None:
                    session.broadcast.state, session.broadcast.error = request.state, request.error
            elif isinstance(request, FaceFailed):
                if session.broadcast is not None:
                    session.broadcast.state = "failed"
                failure = request.model_dump(include={"code", "message", "hint"})
                await session.fail_face({"type": "error", **failure})
            else:
                await session.show({"type": request.type, **request.data})
