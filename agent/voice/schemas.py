"""Wire types of voice sessions: REST bodies, and the messages on their sockets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

VoiceState = Literal["waiting", "listening", "thinking", "speaking"]
INPUT_HZ = 16_000
"""Sound of the person: 16-bit PCM, mono, little-endian."""
OUTPUT_HZ = 24_000
"""Sound of the agent, in the same format."""
MORE = "Shall I go on?"
"""Said after the first sentences of a long answer."""

SHEET = ("duration_ms", "words", "visemes", "level")
"""What a caption has of the speech sheet; its `level` is the loudness 25 times a second, 0 to 1."""


class VoiceSessionRequest(BaseModel, extra="ignore"):
    """Ignores fields that older clients send. A `session_id` goes on with that conversation."""

    user_id: str = Field("", max_length=200, description="kept for older clients; the key says who it is")
    agent_id: str | None = Field(
        None, min_length=1, max_length=80, description="id of the persona that answers"
    )
    session_id: str | None = Field(None, max_length=80, description="a conversation to go on with")


class VoiceSession(BaseModel):
    """A voice session; its id is that of the conversation."""

    session_id: str
    room: str
    transport: Literal["websocket"] = "websocket"
    state: VoiceState
    muted: bool
    persona_id: str | None
    connected: bool = Field(description="whether a person's socket is open")
    created_at: datetime


class VoiceSessionOpened(VoiceSession):
    """`token` opens the socket at `url` once, until `token_expires_at`."""

    url: str
    token: str
    token_expires_at: datetime
    input_hz: int = INPUT_HZ
    output_hz: int = OUTPUT_HZ


class MuteRequest(BaseModel, extra="forbid"):
    muted: bool


class Interrupt(BaseModel, extra="forbid"):
    """The person wants silence: a button, or the page's own detection of speech."""

    type: Literal["interrupt"]


class Mute(BaseModel, extra="forbid"):
    """Drops the person's sound, or lets it pass."""

    type: Literal["mute"]
    muted: bool


class Say(BaseModel, extra="forbid"):
    """The person has written a sentence; it is answered aloud, as a spoken one is."""

    type: Literal["say"]
    text: str = Field(min_length=1, max_length=4000)


PersonMessage = Annotated[Interrupt | Mute | Say, Field(discriminator="type")]
PERSON_MESSAGE: TypeAdapter[PersonMessage] = TypeAdapter(PersonMessage)


class Ask(BaseModel, extra="forbid"):
    """The worker has understood an utterance; the events of the answer come back with its `ref`."""

    type: Literal["ask"]
    ref: int
    text: str = Field(min_length=1, max_length=4000)


class Cancel(BaseModel, extra="forbid"):
    """The person interrupted this answer."""

    type: Literal["cancel"]
    ref: int


class Speak(BaseModel, extra="forbid"):
    """The worker needs the sound of a text, in the persona's voice."""

    type: Literal["speak"]
    ref: int
    text: str = Field(min_length=1, max_length=4000)


class Tell(BaseModel, extra="forbid"):
    """Shows something to the person; passed on as it is."""

    type: Literal["state", "partial", "transcript", "unclear", "caption", "stop"]
    data: dict[str, Any] = Field(default_factory=dict)


WorkerMessage = Annotated[Ask | Cancel | Speak | Tell, Field(discriminator="type")]
WORKER_MESSAGE: TypeAdapter[WorkerMessage] = TypeAdapter(WorkerMessage)
