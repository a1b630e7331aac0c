"""Speaks a scene without pictures: its sound, and the times of its words; called while a person edits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from avatar.spec import AvatarLayout, Movement, RenderSpec, Scene
from avatar.spec.speech_sheet import SpeechSheet

from soundstage.errors import NotFound
from studio.personas.speaking import Utterance, no_voice
from studio.renders.admission import variables_of_scene
from studio.renders.service import RenderService
from studio.scene_previews.making import PreviewKind, ScenePreviews

SEEN = ("background", "overlays", "camera", "transition", "sounds", "movement", "requirements")
"""Fields of a scene that its voice does not depend on."""


def _utterance(files: Mapping[str, bytes]) -> Utterance:
    return Utterance(files["audio"], SpeechSheet.model_validate_json(files["speech"]))


SPEECH = PreviewKind(
    name="speech",
    task="speak",
    # After what conversations say (studio/personas/speaking.py), before pictures.
    priority=175,
    time_limit_s=120.0,
    roles=("audio", "speech"),
    read=_utterance,
    size=lambda spoken: len(spoken.sound),
    no_worker=no_voice,
)


@dataclass(frozen=True, slots=True)
class SceneSpeech:
    """Sound of scenes, in the voice that their film will have."""

    renders: RenderService
    previews: ScenePreviews[Utterance]

    async def open(self, project: str, scene_id: str) -> tuple[str, Utterance]:
        """Returns the key of what is said and how, and the speech.

        Raises what `RenderService.spec_of_scene` and `ScenePreviews.open` do.
        """
        scene = (await self.renders.spec_of_scene(project, scene_id)).scene(scene_id)
        variables = variables_of_scene(scene) if scene.audio is None else ()
        return await self.previews.open(_voice_alone(scene), scene_id, variables=variables)

    def sound(self, scene_id: str, key: str) -> bytes:
        """Returns the WAV file of a key that `open` has returned. Raises NotFound `speech.gone`."""
        if (spoken := self.previews.find(key)) is None:
            raise NotFound(
                "speech.gone", f"The sound of {scene_id} is no longer cached.", "Ask for the speech again."
            )
        return spoken.sound


def _voice_alone(scene: Scene) -> RenderSpec:
    """Returns a spec without what is only seen, so that another look does not speak the scene anew."""
    defaults = {name: Scene.model_fields[name].get_default() for name in SEEN}
    hidden = {"layout": AvatarLayout(visible=False), "movement": Movement()}
    speakers = tuple(one.model_copy(update=hidden) for one in scene.speakers)
    audible = scene.model_copy(update={**defaults, **hidden, "speakers": speakers})
    return RenderSpec(scenes=(audible,))
