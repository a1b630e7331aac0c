"""Wire types of live sessions; the names are those of the avatar pages that people have."""

# The wire names are camelCase.
# ruff: noqa: N815

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from agent.live.lexicon import Emotion
from agent.schemas import MAX_UTTERANCE_CHARS

LiveState = Literal["idle", "listening", "thinking", "speaking"]


class SessionRequest(BaseModel, extra="ignore"):
    """Ignores fields that older pages send."""

    personaId: str = Field(min_length=1, max_length=80)


class PersonaConfig(BaseModel):
    """A persona for an avatar page. `imageUrl` leads to its picture, for readers of personas."""

    id: str
    name: str
    title: str
    description: str
    imageUrl: str | None = None
    voiceId: str
    language: str
    face: str


class SessionOpened(BaseModel):
    sessionId: str
    wsUrl: str
    personaConfig: PersonaConfig


class MessageRequest(BaseModel, extra="ignore"):
    """Ignores fields that older pages send."""

    message: str = Field(min_length=1, max_length=MAX_UTTERANCE_CHARS)


class EmotionSample(BaseModel):
    """`time` is the share of the duration, 0 to 1; `intensity` runs from 0 to 1."""

    time: float
    emotion: Emotion
    intensity: float


class MessageAnswer(BaseModel):
    """`audio` is a `data:audio/wav;base64,…` URL, null when nothing can be said; `duration` is its length in
    milliseconds; `emotionCurve` holds ten samples per second of it. `emotionLanguage` is that of the words by
    which feelings were found: null where there are none for the persona's language, and all is neutral.
    """

    response: str
    audio: str | None
    emotion: Emotion
    duration: int
    emotionCurve: list[EmotionSample]
    emotionLanguage: str | None = None


class StateEvent(BaseModel):
    """The present state of the persona. `durationMs` comes with `speaking`."""

    type: Literal["state"] = "state"
    id: int | None = None
    state: LiveState
    turn: int | None = None
    durationMs: int | None = None


class ResponseEvent(BaseModel):
    """The text of the answer; it comes before its sound is made."""

    type: Literal["response"] = "response"
    id: int | None = None
    turn: int
    text: str


class VisemeEvent(BaseModel):
    """A mouth shape from `atMs` on, counted from the start of the sound."""

    type: Literal["viseme"] = "viseme"
    turn: int
    atMs: int
    viseme: str
    durationMs: int


class EmotionEvent(BaseModel):
    """A feeling from `atMs` on, counted from the start of the sound."""

    type: Literal["emotion"] = "emotion"
    turn: int
    atMs: int
    emotion: Emotion
    intensity: float


class ErrorEvent(BaseModel):
    """The answer failed, or its speech did."""

    type: Literal["error"] = "error"
    id: int | None = None
    turn: int | None = None
    code: str
    message: str
    hint: str = ""


LiveEvent = Annotated[
    StateEvent | ResponseEvent | VisemeEvent | EmotionEvent | ErrorEvent, Field(discriminator="type")
]


class ListenerState(BaseModel, extra="forbid"):
    """A message from the page: its user begins or ends to speak or write."""

    type: Literal["listening", "idle"]
