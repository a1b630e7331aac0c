"""Fills a project's open values from its brand kit; called for every video of a project that has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from avatar.spec import (
    AvatarLayout,
    Box,
    ColourBackground,
    ImageBackground,
    ImageOverlay,
    LowerThirdOverlay,
    Music,
    Overlay,
    SpecModel,
    TimeAnchor,
    TitleOverlay,
    VideoOverlay,
)

from studio.brands.schemas import BrandKit, BrandValue, Card, ClipCard, LowerThird, PictureCard, Source
from studio.personas.schemas import Persona
from studio.projects.schemas import Look
from studio.scenes.schemas import SceneBody

Model = TypeVar("Model", bound=SpecModel)
NamedScene = tuple[str, str, SceneBody]
"""Id, title and body."""

INTRO, OUTRO = "brand-intro", "brand-outro"
CARD_COLOUR = "#10202c"
HEADINGS = frozenset({"title", "lower_third"})
"""Kinds of overlays whose words are in the font of headings."""


@dataclass(frozen=True, slots=True)
class Film:
    """Holds all that a video of a project consists of. `values`: sources of values that the kit has too."""

    title: str
    subtitle: str
    look: Look
    scenes: Sequence[NamedScene]
    overlays: tuple[Overlay, ...] = ()
    music: Music | None = None
    values: list[BrandValue] = field(default_factory=list)


def apply_brand(kit: BrandKit, film: Film, personas: Mapping[str, Persona]) -> Film:
    """Returns the film with the values of the kit where project and scenes have none of their own; a value
    that equals the default counts as none. A project without scenes stays so.
    """
    if not film.scenes:
        return film
    values: list[BrandValue] = []
    look = _look(kit, film.look, values)
    introduced = _introduced(film.scenes, look, personas) if kit.lower_third is not None else {}
    scenes = [
        (scene_id, title, _scene(kit, scene_id, body, introduced.get(scene_id), values))
        for scene_id, title, body in film.scenes
    ]
    for scene_id, card in ((INTRO, kit.intro), (OUTRO, kit.outro)):
        if card is not None:
            added = (scene_id, "", _card_scene(kit, card, film))
            scenes = [added, *scenes] if scene_id == INTRO else [*scenes, added]
            values.append(BrandValue(scene=None, field=scene_id.removeprefix("brand-"), source="brand"))
    if kit.logo is not None:
        values.append(BrandValue(scene=None, field="logo", source="brand"))
    if kit.music is not None:
        source: Source = "brand" if film.music is None else "project"
        values.append(BrandValue(scene=None, field="music", source=source))
    return Film(film.title, film.subtitle, look, scenes, _logo(kit), film.music or kit.music, values)


def _look(kit: BrandKit, look: Look, values: list[BrandValue]) -> Look:
    if kit.captions is None:
        return look
    captions = _merged(look.output.captions, kit.captions, "captions", values)
    return look.model_copy(update={"output": look.output.model_copy(update={"captions": captions})})


def _merged(own: Model, brand: Model, where: str, values: list[BrandValue]) -> Model:
    """Returns `own` with the fields of `brand` where its own are the defaults."""
    defaults = type(own)()
    fields: dict[str, Any] = {}
    for name in type(own).model_fields:
        mine, theirs, default = (getattr(one, name) for one in (own, brand, defaults))
        if isinstance(mine, SpecModel):
            fields[name] = _merged(mine, theirs, f"{where}.{name}", values)
        elif theirs != default:
            source: Source = "brand" if mine == default else "project"
            values.append(BrandValue(scene=None, field=f"{where}.{name}", source=source))
            fields[name] = theirs if mine == default else mine
    return own.model_copy(update=fields)


def _scene(
    kit: BrandKit, scene_id: str, body: SceneBody, speaker: Persona | None, values: list[BrandValue]
) -> SceneBody:
    update: dict[str, Any] = {}
    if kit.background is not None:
        own = body.background is not None
        values.append(BrandValue(scene=scene_id, field="background", source="scene" if own else "brand"))
        update["background"] = body.background or kit.background
    overlays = [
        _overlay(kit, overlay, f"overlays[{number}]", scene_id, values)
        for number, overlay in enumerate(body.overlays)
    ]
    if kit.lower_third is not None and speaker is not None:
        named = any(isinstance(overlay, LowerThirdOverlay) for overlay in body.overlays)
        values.append(BrandValue(scene=scene_id, field="lower_third", source="scene" if named else "brand"))
        overlays += [] if named else [_lower_third(kit, kit.lower_third, speaker)]
    return body.model_copy(update={**update, "overlays": tuple(overlays)})


def _overlay(kit: BrandKit, overlay: Overlay, where: str, scene_id: str, values: list[BrandValue]) -> Overlay:
    fields = type(overlay).model_fields
    update: dict[str, Any] = {}
    for name, value in _overlay_values(kit, overlay.kind).items():
        if name not in fields:
            continue
        open_ = getattr(overlay, name) == fields[name].default
        values.append(
            BrandValue(scene=scene_id, field=f"{where}.{name}", source="brand" if open_ else "scene")
        )
        if open_:
            update[name] = value
    return overlay.model_copy(update=update)


def _overlay_values(kit: BrandKit, kind: str) -> dict[str, Any]:
    font = kit.fonts.heading if kind in HEADINGS else kit.fonts.body
    values = {
        "colour": kit.colours.text,
        "accent": kit.colours.accent,
        "background": kit.colours.panel,
        "font": font,
    }
    return {name: value for name, value in values.items() if value is not None}


def _introduced(
    scenes: Sequence[NamedScene], look: Look, personas: Mapping[str, Persona]
) -> Mapping[str, Persona]:
    """Returns the scenes in which a presenter is seen to speak for the first time."""
    found: dict[str, Persona] = {}
    seen: set[str] = set()
    for scene_id, _, body in scenes:
        speaker = personas.get(body.persona or look.persona)
        if speaker is None or speaker.id in seen or not _is_seen_to_speak(body):
            continue
        seen.add(speaker.id)
        found[scene_id] = speaker
    return found


def _is_seen_to_speak(body: SceneBody) -> bool:
    hidden = body.layout is not None and not body.layout.visible
    away = body.camera is not None and body.camera.framing == "voice_over"
    return bool(body.script.strip() or body.audio) and not hidden and not away


def _lower_third(kit: BrandKit, style: LowerThird, speaker: Persona) -> Overlay:
    return LowerThirdOverlay(
        name=speaker.name,
        role=speaker.title,
        side=style.side,
        start=TimeAnchor(ms=style.start_ms),
        end=TimeAnchor(ms=style.start_ms + style.duration_ms),
        **_overlay_values(kit, "lower_third"),
    )


def _logo(kit: BrandKit) -> tuple[Overlay, ...]:
    if kit.logo is None:
        return ()
    logo = kit.logo
    return (ImageOverlay(box=logo.box, image=logo.image, opacity=logo.opacity, fade_ms=0),)


def _card_scene(kit: BrandKit, card: Card, film: Film) -> SceneBody:
    """Returns a silent scene without a presenter."""
    plain = ColourBackground(colour=CARD_COLOUR)
    body = SceneBody(
        layout=AvatarLayout(visible=False),
        background=plain,
        duration_ms=card.duration_ms,
        lead_in_ms=0,
        tail_ms=0,
    )
    if isinstance(card, PictureCard):
        return body.model_copy(update={"background": ImageBackground(image=card.image)})
    if isinstance(card, ClipCard):
        clip = VideoOverlay(video=card.video, box=Box(), fit="cover", fade_ms=0, gain_db=card.gain_db)
        return body.model_copy(update={"overlays": (clip,)})
    words = {name: _named(getattr(card, name), film) for name in ("title", "subtitle")}
    colours = {key: one for key, one in _overlay_values(kit, "title").items() if key != "background"}
    title = TitleOverlay(
        title=words["title"][:200] or film.title, subtitle=words["subtitle"][:300], **colours
    )
    return body.model_copy(update={"background": kit.background or plain, "overlays": (title,)})


def _named(text: str, film: Film) -> str:
    return text.replace("{title}", film.title).replace("{subtitle}", film.subtitle).strip()
