"""Builds RenderSpecs of requests: a script and a persona, or a project with its scenes."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from avatar.spec import (
    Camera,
    Canvas,
    Captions,
    CaptionStyle,
    LipsyncSpec,
    Music,
    Output,
    Overlay,
    RenderSpec,
    Requirements,
    Scene,
    Speaker,
    Transition,
    at_rate,
)
from pydantic import ValidationError

from soundstage.errors import Invalid
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import Persona
from studio.personas.vrm import require_rendered
from studio.projects.schemas import Look
from studio.renders.languages import language_of_script
from studio.renders.schemas import RenderRequest
from studio.scenes.schemas import SceneBody, is_filled
from studio.scenes.speaking_time import speaking_ms

Spec = TypeVar("Spec", bound=RenderSpec | LipsyncSpec)

TITLE_CHARS = 60
MAX_READ = 2000
"""Characters of a script that its title may come of."""
# As `avatar.speech.markup` reads them; what is no known mark is not spoken either.
_MARK = re.compile(
    r"(?<!\\)\[[^\W\d_][^\[\]\n]{0,80}\]|(?<!\\)</?[A-Za-z][^<>]*>|<!--.*?-->|<\?[^<>]*\?>", re.DOTALL
)
_EMPHASIS = re.compile(r"(?<![\w*\\])(?P<open>\*{1,2})(?=[^\s*])(?P<body>[^*\n]*?[^\s*\\])(?P=open)(?![\w*])")
_NUMBER_TITLE = re.compile(r"(?:scene|szene)\s*\d+", re.IGNORECASE)
"""A title that is a number says nothing, and another one once scenes have moved."""
_ESCAPE = re.compile(r"\\([\[\]*<>\\])")
JOINT_MS = 60
SHORTEST_SCENE_MS = 100


SCENE_CHARS = 3000
"""About three minutes of speech: long enough to hide the joints, short enough to retry."""

_PARAGRAPH = re.compile(r"\n\s*\n")
# After an end mark and its closing quotes. The full-width marks of Chinese and Japanese need no space behind
# them.
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？؟।])\s*")


def split_script(script: str, limit: int = SCENE_CHARS) -> list[str]:
    """Parts of at most about `limit` characters, cut at the best place there is; a short script comes back
    whole.

    A sentence longer than `limit` is cut at a space, or anywhere when there is none.
    """
    script = script.strip()
    if len(script) <= limit:
        return [script] if script else []
    parts: list[str] = []
    for paragraph in _PARAGRAPH.split(script):
        parts += _gather(_pieces(paragraph.strip(), limit), limit, " ")
    return _gather(parts, limit, "\n\n")


def _pieces(paragraph: str, limit: int) -> list[str]:
    pieces: list[str] = []
    start = 0
    for match in _SENTENCE.finditer(paragraph):
        pieces.append(paragraph[start : match.end()].strip())
        start = match.end()
    pieces.append(paragraph[start:].strip())
    return [short for piece in pieces if piece for short in _chop(piece, limit)]


def _chop(text: str, limit: int) -> list[str]:
    chopped = []
    while len(text) > limit:
        cut = text.rfind(" ", 1, limit)
        cut = cut if cut > 0 else limit
        chopped.append(text[:cut].strip())
        text = text[cut:].strip()
    return [*chopped, text] if text else chopped


def _gather(pieces: list[str], limit: int, joint: str) -> list[str]:
    """Joins neighbours while they fit."""
    gathered: list[str] = []
    for piece in pieces:
        if gathered and len(gathered[-1]) + len(joint) + len(piece) <= limit:
            gathered[-1] += joint + piece
        elif piece:
            gathered.append(piece)
    return gathered


def spec_of_script(request: RenderRequest, library: PersonaLibrary) -> RenderSpec:
    """A spec of one persona saying one script; a long script becomes several scenes."""
    persona = library.get(request.persona)
    if request.rate_wpm is not None:
        persona = persona.model_copy(update={"voice": at_rate(persona.voice, request.rate_wpm)})
    script = (request.script or "").strip()
    if not script and request.audio is None:
        raise Invalid(
            "script.empty", "There is nothing to say: the script is empty.", "Write at least one word."
        )
    parts = split_script(script) if request.audio is None else [script]
    bodies = [
        SceneBody(
            script=part,
            audio=request.audio,
            language=request.language,
            background=request.background,
            lead_in_ms=300 if number == 0 else JOINT_MS,
            tail_ms=500 if number == len(parts) - 1 else JOINT_MS,
        )
        for number, part in enumerate(parts)
    ]
    scenes = tuple(scene_of(f"scene-{number + 1}", body, persona) for number, body in enumerate(bodies))
    if request.duration_s is not None:
        scenes = _lasting(scenes, request.duration_s)
    captions = Captions(
        mode=request.captions or Captions().mode, style=request.caption_style or CaptionStyle()
    )
    return _checked(
        title=request.title or title_of(script) or persona.name,
        canvas=request.canvas or Canvas(),
        scenes=scenes,
        output=Output(captions=captions),
    )


def spec_of_project(
    title: str,
    look: Look,
    scenes: Sequence[tuple[str, str, SceneBody]],
    library: PersonaLibrary,
    overlays: tuple[Overlay, ...] = (),
    music: Music | None = None,
    *,
    first: int = 1,
) -> RenderSpec:
    """`scenes` are (id, title, body) in order; `overlays` lie over all; `first` is the number of the first
    scene in its project. Raises `project.no_scenes` and `scene.empty`.
    """
    if not scenes:
        raise Invalid(
            "project.no_scenes", f"The project {title!r} has no scenes.", "Add a scene with a script."
        )
    spec_scenes = []
    for number, (scene_id, scene_title, body) in enumerate(scenes, start=first):
        if not is_filled(body):
            raise Invalid(
                "scene.empty",
                f"{_scene_name(number, scene_title)} has no words yet.",
                "Write what is said in it, give it a recording, or say how long it stays silent.",
            )
        guests = [library.get(speaker.persona) for speaker in body.speakers]
        spec_scenes.append(scene_of(scene_id, body, library.get(body.persona or look.persona), guests))
    return _checked(
        title=title,
        canvas=look.canvas,
        scenes=tuple(spec_scenes),
        overlays=overlays,
        music=music,
        output=look.output,
        seed=look.seed,
        pronunciation=look.pronunciation,
    )


def _scene_name(number: int, title: str) -> str:
    """“Scene 2”, with its title where that says more."""
    named = f"Scene {number}"
    return named if not title or _NUMBER_TITLE.fullmatch(title.strip()) else f"{named} ({title})"


def scene_of(scene_id: str, body: SceneBody, persona: Persona, guests: Sequence[Persona] = ()) -> Scene:
    """Returns the scene of a spec; what the body leaves open is the persona's. `guests` are the personas of
    its `speakers`.
    """
    requirements = persona.requirements
    pronunciation: dict[str, str] = {}
    for guest in guests:
        requirements = requirements.raise_to(guest.requirements)
        pronunciation |= guest.style.pronunciation
    return _scene(
        id=scene_id,
        script=body.script.strip() or None,
        audio=body.audio,
        language=body.language or language_of_script(body.script, persona),
        pronunciation={**pronunciation, **persona.style.pronunciation, **body.pronunciation},
        face=require_rendered(persona.face, persona.name),
        voice=persona.voice,
        movement=persona.style.movement,
        mood=body.mood or persona.style.mood,
        layout=body.layout or persona.style.layout,
        speakers=tuple(
            Speaker(
                name=guest.id,
                face=require_rendered(guest.face, guest.name),
                voice=guest.voice,
                movement=guest.style.movement,
                mood=speaker.mood or guest.style.mood,
                layout=speaker.layout or guest.style.layout,
            )
            for speaker, guest in zip(body.speakers, guests, strict=True)
        ),
        background=body.background or persona.style.background,
        overlays=body.overlays,
        camera=body.camera or Camera(),
        transition=body.transition or Transition(),
        sounds=body.sounds or (),
        lead_in_ms=body.lead_in_ms,
        tail_ms=body.tail_ms,
        duration_ms=body.duration_ms,
        requirements=requirements,
    )


def raise_requirements(spec: Spec, requirements: Requirements | None) -> Spec:
    """Returns the spec with the requirements of the request in each of its scenes, where they are more."""
    if requirements is None:
        return spec
    if isinstance(spec, LipsyncSpec):
        return spec.model_copy(update={"requirements": spec.requirements.raise_to(requirements)})
    scenes = tuple(
        scene.model_copy(update={"requirements": scene.requirements.raise_to(requirements)})
        for scene in spec.scenes
    )
    return spec.model_copy(update={"scenes": scenes})


def preview_scene(spec: RenderSpec, request: RenderRequest) -> str:
    """Returns the id of the scene that a preview shows. Raises Invalid `render.scene_unknown`."""
    scene_id = request.scene or spec.scenes[0].id
    if scene_id not in {scene.id for scene in spec.scenes}:
        raise Invalid(
            "render.scene_unknown", f"This video has no scene {scene_id!r}.", "Name one of its scenes."
        )
    return scene_id


def title_of(script: str) -> str:
    """Returns the first words of the script without its marks, cut at a space."""
    line = _without_marks(script[:MAX_READ])
    if len(line) <= TITLE_CHARS:
        return line.rstrip(".!?,;: ")
    return (line[: TITLE_CHARS - 1].rpartition(" ")[0].rstrip(".!?,;: ") or line[: TITLE_CHARS - 1]) + "…"


def _without_marks(script: str) -> str:
    """Returns on one line what is spoken of a script: `[pause]`, `*emphasis*` and SSML are taken out."""
    text = _MARK.sub(" ", _EMPHASIS.sub(r"\g<body>", script))
    if _MARK.search(script):
        text = html.unescape(text)
    line = " ".join(_ESCAPE.sub(r"\1", text).split())
    # A mark stood between a word and its full stop.
    return re.sub(r" +([.,;:!?…])", r"\1", line)


def _lasting(scenes: tuple[Scene, ...], duration_s: float) -> tuple[Scene, ...]:
    """The scenes with their shares of a wished length, by the time that it takes to say them."""
    natural = [scene.lead_in_ms + speaking_ms(scene.script or "") + scene.tail_ms for scene in scenes]
    wished_ms = duration_s * 1000
    # Cut at whole moments of the video, so that the shares add up to it.
    ends = [round(wished_ms * sum(natural[: number + 1]) / sum(natural)) for number in range(len(natural))]
    shares = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    return tuple(
        scene.model_copy(update={"duration_ms": max(SHORTEST_SCENE_MS, share)})
        for scene, share in zip(scenes, shares, strict=True)
    )


def _scene(**fields: Any) -> Scene:
    try:
        return Scene(**fields)
    except ValidationError as error:
        raise _invalid(error) from error


def _checked(**fields: Any) -> RenderSpec:
    try:
        return RenderSpec(**fields)
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> Invalid:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return Invalid(
        "spec.invalid", f"This makes no valid spec: {where}: {first['msg']}.", "Change that field."
    )
