"""Chooses the speech service that a sample goes to: one that the operator has set up."""

from __future__ import annotations

from dataclasses import dataclass

from avatar.spec import Consent, OpenAIVoice, QwenVoice

from soundstage.errors import Conflict, Forbidden
from soundstage.http import OwnListeners
from studio.renders.admission import Admission
from studio.voices.addresses import root_of
from studio.voices.speech_server import SpeechServer


@dataclass(frozen=True, slots=True)
class SpeechService:
    """`kind` is how it is spoken with afterwards; samples go the same way to all."""

    kind: str
    base_url: str
    api_key_env: str | None = None
    model: str = ""

    @property
    def root(self) -> str:
        return root_of(self.base_url)

    def server(self, listeners: OwnListeners) -> SpeechServer:
        return SpeechServer(self.base_url, self.api_key_env, listeners)

    def voice(self, voice_id: str, consent: Consent) -> OpenAIVoice | QwenVoice:
        """Returns what a persona or a scene takes."""
        if self.kind == "qwen":
            return QwenVoice(
                base_url=self.base_url, voice_id=voice_id, api_key_env=self.api_key_env, consent=consent
            )
        named = {"model": self.model} if self.model else {}
        return OpenAIVoice(
            base_url=self.base_url,
            voice=voice_id,
            api_key_env=self.api_key_env,
            cloned=True,
            consent=consent,
            **named,
        )


def services_of(admission: Admission, models: dict[str, str]) -> list[SpeechService]:
    """Returns the services of the operator. `models` by base URL, where a service has several."""
    return [
        SpeechService(kind, url, key, models.get(url, ""))
        for kind, url, key in sorted(
            admission.operator_services(), key=lambda one: (one[0], one[1], one[2] or "")
        )
    ]


def choose_service(admission: Admission, address: str | None, models: dict[str, str]) -> SpeechService:
    """Returns the service at `address`, or the only one. `models` as for `services_of`.

    Raises `voice.no_service`, `voice.which_service`, and `voice.service_not_allowed`.
    """
    known = services_of(admission, models)
    if not known:
        raise Conflict(
            "voice.no_service",
            "There is no speech service that could clone a voice.",
            "Set services.tts_openai.base_url to one that has /v1/audio/voices.",
        )
    roots = {one.root for one in known}
    if address is None:
        if len(roots) > 1:
            raise Conflict(
                "voice.which_service",
                f"There are {len(roots)} speech services: {', '.join(sorted(roots))}.",
                "Name one as `service`.",
            )
        return known[0]
    root = root_of(address)
    for one in known:
        if one.root == root:
            return one
    raise Forbidden(
        "voice.service_not_allowed",
        f"The speech service {root} is not one that the operator has set up.",
        "Name one that is in services.tts_openai or services.tts_qwen, or leave it out.",
    )
