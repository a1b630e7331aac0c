"""Wire types of cloned voices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from avatar.spec import Consent, Voice
from pydantic import BaseModel, Field, model_validator

from soundstage.one_line import OneLine
from studio.consents.schemas import ConsentDraft
from studio.voices.states import VoiceState

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$"
CONSENT_FIELDS = ("person", "purpose", "granted_at", "evidence")
"""Of a form, which has no fields within fields."""


class VoiceLabels(BaseModel, extra="forbid"):
    """Labels of a sample: the person, the consent, and the words that are spoken in it."""

    name: str = Field(pattern=NAME)
    said: OneLine = Field(min_length=1, max_length=2000, description="the words of the sample")
    service: str | None = Field(
        default=None, max_length=500, description="its address; the only one that is set up when left out"
    )
    consent: ConsentDraft | None = Field(default=None, description="recorded together with the voice")
    consent_id: str | None = Field(default=None, max_length=40, description="one that is on record already")
    service_consent: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="what the service calls the consent, where it wants a recording of its own (OpenAI)",
    )

    @model_validator(mode="after")
    def _one_consent(self) -> VoiceLabels:
        if self.consent is not None and self.consent_id is not None:
            raise ValueError("name either `consent` or `consent_id`")
        return self


class VoiceDraft(VoiceLabels):
    """A cloned voice from a sound that was uploaded as an asset."""

    asset: str = Field(max_length=80, description="id of the uploaded sample")


class VoiceForm(VoiceLabels):
    """The same as fields of a form, beside the file."""

    unlisted: bool = Field(
        default=False,
        description="`service` need not be set up: the sample goes where it says; for the user of the "
        "server's own machine alone",
    )
    key_env: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$",
        description="variable of the server with the key of `service`; for the user of its machine alone",
    )

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, fields: dict[str, Any]) -> dict[str, Any]:
        consent = {name: fields[name] for name in CONSENT_FIELDS if name in fields}
        rest = {name: value for name, value in fields.items() if name not in consent}
        return rest | ({"consent": consent} if consent else {})


class VoiceOrder(VoiceLabels):
    """Content that an Idempotency-Key stands for: the labels, and the hash of the sample."""

    sample_sha256: str


class VoiceView(BaseModel):
    """`voice` is what a persona or scene takes as it is."""

    id: str
    name: str
    state: VoiceState
    service: str
    voice_id: str = Field(description="what the service calls it")
    said: str
    consent: Consent
    sample_sha256: str | None
    sample_bytes: int
    duration_ms: int | None
    created_at: datetime
    removed_at: datetime | None
    voice: Voice


class SpeechServiceView(BaseModel):
    """A speech service of the operator's, which may clone voices."""

    address: str = Field(description="what a new voice names as `service`")


class VoiceLicence(BaseModel):
    """States what a voice may be used for. `to_accept`: a person agrees before a presenter gets it."""

    name: str
    limits: str
    source: str | None = None
    to_accept: bool


class VoiceTrialDraft(BaseModel, extra="forbid"):
    """A voice as a persona has it, and what it shall say."""

    voice: Voice
    text: OneLine | None = Field(default=None, min_length=1, max_length=300)
    language: str = Field(default="en-us", min_length=2, max_length=35)


class VoiceTrialView(BaseModel):
    voice: Voice
    licence: VoiceLicence
    text: str
    language: str
    duration_ms: int
    wav_base64: str = Field(description="the sample: 16-bit mono WAV")


class VoiceAdoption(BaseModel, extra="forbid"):
    voice: Voice
    licence_accepted: bool = False


class VoiceFileView(BaseModel):
    """A voice file that is in its place; `voice` is what a persona or scene takes."""

    voice: Voice
    sha256: str
    language: str = Field(description="as its card names it, such as en_us; empty where it names none")
    licence: VoiceLicence
