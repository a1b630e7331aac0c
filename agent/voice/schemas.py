"""Wire types of voice sessions: REST bodies, and the messages on their sockets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

Requestable = Literal["websocket", "livekit", "webrtc"]
TransportName = Literal[Requestable, "broadcast"]
VoiceState = Literal["waiting", "listening", "thinking", "speaking"]
INPUT_HZ = 16_000
"""Sound of the person: 16-bit PCM, mono, little-endian."""
OUTPUT_HZ = 24_000
"""Sound of the agent, in the same format."""
MAX_FREE_S = 60
"""The longest free speech, in seconds."""
MAX_RECORDED_S = 30
"""The longest piece of sound of a recording, in seconds."""
Expected = Literal["", "answer", "text"]
"""What the last answer asks for: nothing, one of several things, or a free text such as a script."""
Delay = Literal["first_sound", "barge_in"]
"""From the end of what a person said to the answer's sound; from an interruption to silence."""
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
    transport: Requestable | None = Field(None, description="empty: that of the setting `voice.transport`")
    video: bool = Field(
        False, description="whether the presenter comes as a video track; not with `websocket`"
    )
    origin: str | None = Field(
        None,
        max_length=300,
        description="of a page of another site that shows the session, one of `http.cors_origins`; its "
        "socket needs the token alone",
    )


class VoiceSession(BaseModel):
    """A voice session; its id is that of the conversation."""

    session_id: str
    room: str
    transport: TransportName = "websocket"
    video: bool = Field(False, description="whether the presenter comes as a video track")
    state: VoiceState
    muted: bool
    persona_id: str | None
    connected: bool = Field(description="whether the person is connected")
    recorded: bool = Field(False, description="whether a video of it is being recorded")
    created_at: datetime


class VoiceSessionOpened(VoiceSession):
    """`token` opens the socket at `url` once, until `token_expires_at`; with LiveKit it joins the room."""

    url: str
    token: str
    token_expires_at: datetime
    input_hz: int = INPUT_HZ
    output_hz: int = OUTPUT_HZ
    ice_servers: list[str] = Field(default_factory=list, description="STUN servers, for `webrtc`")


class VoiceRoom(BaseModel):
    """A room of LiveKit, or the one connection of another transport."""

    room: str
    session_id: str
    transport: TransportName
    participants: int


class VoiceStatus(BaseModel):
    """The transports that this server offers, and how much is in use."""

    workers: int
    sessions: int
    transports: list[Requestable]


BroadcastState = Literal["waiting", "connecting", "live", "failed"]


class BroadcastRequest(BaseModel, extra="forbid"):
    """Begins a broadcast of a presenter to a target of the settings."""

    to: str = Field(max_length=80, description="a name of `voice.broadcasts`")
    agent_id: str | None = Field(None, min_length=1, max_length=80, description="id of the presenter")


class Broadcast(BaseModel):
    """A presenter who is broadcast. `waiting`: for a voice worker; `failed`: it is tried again."""

    id: str
    to: str
    persona_id: str
    state: BroadcastState
    speaking: bool
    error: str = Field("", description="why the target does not take it, or the last text was not said")
    created_at: datetime


class BroadcastText(BaseModel, extra="forbid"):
    """A text that the presenter says, word for word."""

    text: str = Field(min_length=1, max_length=4000)


class Offer(BaseModel, extra="forbid"):
    """A session description (SDP) of the person's browser, for the transport `webrtc`."""

    sdp: str = Field(min_length=1, max_length=100_000)
    type: Literal["offer"] = "offer"
    token: str = Field(max_length=200, description="the token of the session")


class OfferAnswer(BaseModel):
    sdp: str
    type: Literal["answer"] = "answer"


class RecordingRequest(BaseModel, extra="forbid"):
    """Records a session for a video of it."""

    with_person: bool = Field(
        True, description="whether the person is heard; else what they said is shown as text"
    )


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


class Transcribe(BaseModel, extra="forbid"):
    """The worker has heard free speech: 16-bit PCM at 16 kHz in base64; `transcribed` comes back."""

    type: Literal["transcribe"]
    ref: int
    sound: str = Field(max_length=MAX_FREE_S * 2 * INPUT_HZ * 4 // 3 + 4)


class Judge(BaseModel, extra="forbid"):
    """The worker has heard a sentence that is not in the grammar; `judged` comes back with its effect."""

    type: Literal["judge"]
    ref: int
    text: str = Field(min_length=1, max_length=2000)


class StateData(BaseModel, extra="forbid"):
    state: VoiceState


class TellState(BaseModel, extra="forbid"):
    """The state of the session has changed."""

    type: Literal["state"]
    data: StateData


class Tell(BaseModel, extra="forbid"):
    """Shows something to the person; passed on as it is."""

    type: Literal["partial", "transcript", "unclear", "caption", "stop"]
    data: dict[str, Any] = Field(default_factory=dict)


class Presence(BaseModel, extra="forbid"):
    """The person has joined the worker's room or peer connection, or left it."""

    type: Literal["presence"]
    connected: bool


class FromPerson(BaseModel, extra="forbid"):
    """A message of the person on the worker's data channel: a `PersonMessage` as JSON."""

    type: Literal["person"]
    message: str = Field(max_length=4000)


class Described(BaseModel, extra="forbid"):
    """The worker's answer to an offer; empty where the offer could not be used."""

    type: Literal["described"]
    ref: int
    sdp: str


class Played(BaseModel, extra="forbid"):
    """The words of the answer `ref` that were played before an interruption."""

    type: Literal["played"]
    ref: int
    text: str = Field(max_length=20_000)


class Measured(BaseModel, extra="forbid"):
    """A delay that the worker measured; the server counts it."""

    type: Literal["measured"]
    delay: Delay
    seconds: float = Field(ge=0, le=3600)


class FaceFailed(BaseModel, extra="forbid"):
    """The presenter cannot be shown as a video; the sound goes on."""

    type: Literal["face_failed"]
    code: str = Field(max_length=100)
    message: str = Field(max_length=2000)
    hint: str = Field(max_length=2000)


class Recorded(BaseModel, extra="forbid"):
    """A sentence of a session that is recorded, `began_at` in Unix time: 16-bit PCM in base64, or no sound
    for what was written.
    """

    type: Literal["recorded"]
    side: Literal["agent", "person"]
    text: str = Field(max_length=20_000)
    began_at: float = Field(gt=0)
    sound: str = Field("", max_length=2 * MAX_FREE_S * 2 * OUTPUT_HZ * 4 // 3 + 4)
    sample_hz: int = Field(OUTPUT_HZ, ge=8000, le=48_000)


class RecordedAll(BaseModel, extra="forbid"):
    """The worker has stopped recording, and sent all of it."""

    type: Literal["recorded_all"]


class TellBroadcast(BaseModel, extra="forbid"):
    """The state of the connection to the target of a broadcast."""

    type: Literal["broadcast"]
    state: BroadcastState
    error: str = Field("", max_length=2000)


WorkerMessage = Annotated[
    Ask
    | Cancel
    | Speak
    | Transcribe
    | Judge
    | TellState
    | Tell
    | Presence
    | FromPerson
    | Described
    | Played
    | Measured
    | FaceFailed
    | Recorded
    | RecordedAll
    | TellBroadcast,
    Field(discriminator="type"),
]
WORKER_MESSAGE: TypeAdapter[WorkerMessage] = TypeAdapter(WorkerMessage)
