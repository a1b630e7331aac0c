"""Makes scenes of a document that was read: what is said, and what of a slide is seen beside the speaker."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from avatar.spec import (
    AvatarLayout,
    Box,
    Camera,
    Canvas,
    Crop,
    ImageOverlay,
    ListItem,
    ListOverlay,
    MediaRef,
    Overlay,
    SetBackground,
    TextOverlay,
    TitleOverlay,
    is_spoken,
)
from avatar.spec.acting import read_acting_mark
from pydantic import BaseModel, Field

from studio.imports.read_document import END, STRONG
from studio.renders.specs import title_of
from studio.scenes.dividing import SCENE_MS, SCENE_TITLE_CHARS, scenes_of
from studio.scenes.schemas import SceneDraft
from studio.scenes.speaking_time import speaking_ms

TITLE_CARD_MS = 4000
MAX_ITEMS, ITEM_CHARS, HEADING_CHARS = 12, 200, 120
# Beside a speaker on the left, where lists are as well; in an upright picture above the speaker.
_BESIDE = (
    Box(x=0.46, y=0.22, width=0.49, height=0.6),
    Box(x=0.46, y=0.08, width=0.49, height=0.1),
)
_ABOVE = (
    Box(x=0.06, y=0.13, width=0.88, height=0.25),
    Box(x=0.06, y=0.04, width=0.88, height=0.07),
)

_MARK = re.compile(r"(?<!\\)\[(?P<mark>[^\W\d_][^\[\]\n]{0,80})\]")
_PAUSE = re.compile(r"pause(?:[\s:=]+\d+(?:[.,]\d+)?\s*(?:ms|s)?)?", re.IGNORECASE)
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


class Shown(BaseModel, extra="forbid"):
    """A picture or a list beside the speaker. `box` and `crop` are fractions: x, y, width, height; left, top,
    right, bottom. `after`: so many paragraphs stand before a picture in running text.
    """

    kind: Literal["picture", "list"]
    file: str = ""
    name: str = ""
    items: tuple[str, ...] = ()
    box: tuple[float, float, float, float] | None = None
    crop: tuple[float, float, float, float] | None = None
    after: int = 0


class Card(BaseModel, extra="forbid"):
    title: str
    subtitle: str = ""


class Section(BaseModel, extra="forbid"):
    """A slide (then it has an `aspect`), or what stands below a heading."""

    title: str = ""
    script: tuple[str, ...] = ()
    shown: tuple[Shown, ...] = ()
    aspect: float | None = Field(default=None, gt=0)
    notes: bool = False
    card: Card | None = None


class Document(BaseModel, extra="forbid"):
    """A document as `read_document.py` writes it."""

    title: str = ""
    sections: tuple[Section, ...] = ()
    left_out: dict[str, int] = {}


def scene_drafts(document: Document, pictures: Mapping[str, MediaRef], canvas: Canvas) -> list[SceneDraft]:
    """Returns the scenes in order; `pictures` are those of the document that can be shown, by file."""
    drafts: list[SceneDraft] = []
    for section in document.sections:
        if section.aspect is not None:
            drafts += _slide(section, pictures, canvas)
        else:
            drafts += _prose(section, pictures, canvas)
    return drafts


def as_script(text: str) -> str:
    """Returns prose as a script: what only looks like a mark is spoken. Marks that exist stay, for people
    write speaker notes with them.
    """

    def bracket(match: re.Match[str]) -> str:
        return match[0] if _is_mark(match["mark"]) else f"\\{match[0]}"

    marked = _TAG.sub(r"\\<", _MARK.sub(bracket, text))
    if STRONG in marked:
        # Markdown has told what is emphasis, and the other stars are stars.
        marked = marked.replace("*", "\\*")
        return (
            re.sub(f"{STRONG}([^{STRONG}{END}]*){END}", r"*\1*", marked).replace(STRONG, "").replace(END, "")
        )
    return marked


def _is_mark(text: str) -> bool:
    if _PAUSE.fullmatch(text.strip()):
        return True
    try:
        # Imported scenes have one speaker: [Speaker 2] is what a transcript writes.
        mark = read_acting_mark(text)
        return mark is not None and mark[0] != "speaker"
    except ValueError:
        return False


def _slide(section: Section, pictures: Mapping[str, MediaRef], canvas: Canvas) -> list[SceneDraft]:
    script = "\n\n".join(as_script(line) for line in section.script if is_spoken(line))
    title = section.title[:SCENE_TITLE_CHARS]
    if section.card is not None:
        return [_title_slide(section.card, script if section.notes else "", title, canvas)]
    shown = _overlays(section, pictures, canvas)
    if not script and not shown:
        return []
    if not script:
        # Only pictures: they are shown for as long as a title is.
        return [
            SceneDraft(
                title=title,
                duration_ms=TITLE_CARD_MS,
                layout=AvatarLayout(visible=False),
                background=SetBackground(),
                overlays=tuple(shown),
            )
        ]
    return [
        SceneDraft(
            title=title or title_of(script)[:SCENE_TITLE_CHARS],
            script=script,
            overlays=tuple(shown),
            camera=_camera(canvas) if shown else None,
        )
    ]


def _title_slide(card: Card, script: str, title: str, canvas: Canvas) -> SceneDraft:
    words = TitleOverlay(title=card.title[:200] or title or "…", subtitle=card.subtitle[:300])
    if not script:
        return SceneDraft(
            title=title,
            duration_ms=TITLE_CARD_MS,
            layout=AvatarLayout(visible=False),
            background=SetBackground(),
            camera=Camera(push_in=0.06),
            overlays=(words,),
        )
    beside = words.model_copy(update={"box": _region(canvas)[0], "align": "left"})
    return SceneDraft(title=title, script=script, camera=_camera(canvas), overlays=(beside,))


def _overlays(section: Section, pictures: Mapping[str, MediaRef], canvas: Canvas) -> list[Overlay]:
    """The lists and pictures of a slide, moved together into the place beside the speaker."""
    shown = [
        one
        for one in section.shown
        # Without notes the points are what is said; they are seen all the same.
        if (one.kind == "list" and one.items) or one.file in pictures
    ]
    region, title_box = _region(canvas)
    lists = [one for one in shown if one.kind == "list"]
    if len(shown) == len(lists) == 1:
        box = region if canvas.width < canvas.height else None
        return [_list(lists[0], section.title, box)]
    overlays: list[Overlay] = []
    if shown and section.title:
        overlays.append(TextOverlay(box=title_box, text=section.title[:200], size=0.055))
    frame = _frame([one.box for one in shown if one.box is not None])
    for one in shown:
        box = _placed(one.box, frame, region, section.aspect or 16 / 9, canvas)
        overlays.append(_list(one, "", box) if one.kind == "list" else _picture(one, pictures[one.file], box))
    return overlays


def _prose(section: Section, pictures: Mapping[str, MediaRef], canvas: Canvas) -> list[SceneDraft]:
    """A section as one scene, or several where it takes more than a minute to say."""
    text = "\n\n".join(as_script(line) for line in section.script)
    if not is_spoken(text):
        return []
    if section.title:
        length = speaking_ms(text)
        parts = list(scenes_of(text, round(length / SCENE_MS) if length > 2 * SCENE_MS else 1))
        parts = [
            one.model_copy(update={"title": section.title if number == 0 else one.title})
            for number, one in enumerate(parts)
        ]
    else:
        parts = list(scenes_of(text))
    drafts = [SceneDraft(title=one.title[:SCENE_TITLE_CHARS], script=one.script) for one in parts]
    return _with_pictures(drafts, section, pictures, canvas)


def _with_pictures(
    drafts: Sequence[SceneDraft], section: Section, pictures: Mapping[str, MediaRef], canvas: Canvas
) -> list[SceneDraft]:
    """The first picture that stands in the text of a scene is seen beside its speaker."""
    first: dict[int, Shown] = {}
    for one in section.shown:
        if one.file in pictures:
            number = one.after * len(drafts) // (len(section.script) + 1)
            first.setdefault(min(number, len(drafts) - 1), one)
    region, _ = _region(canvas)
    return [
        draft
        if number not in first
        else draft.model_copy(
            update={
                "overlays": (_picture(first[number], pictures[first[number].file], region),),
                "camera": _camera(canvas),
            }
        )
        for number, draft in enumerate(drafts)
    ]


def _camera(canvas: Canvas) -> Camera:
    return Camera(framing="half" if canvas.width < canvas.height else "side_left")


def _region(canvas: Canvas) -> tuple[Box, Box]:
    """Returns the place of slides, and that of their titles."""
    return _ABOVE if canvas.width < canvas.height else _BESIDE


def _frame(boxes: Sequence[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """The smallest box around all of them."""
    left = min((box[0] for box in boxes), default=0.0)
    top = min((box[1] for box in boxes), default=0.0)
    right = max((box[0] + box[2] for box in boxes), default=1.0)
    bottom = max((box[1] + box[3] for box in boxes), default=1.0)
    return left, top, max(right - left, 0.01), max(bottom - top, 0.01)


def _placed(
    box: tuple[float, float, float, float] | None,
    frame: tuple[float, float, float, float],
    region: Box,
    aspect: float,
    canvas: Canvas,
) -> Box:
    """A box of the slide in the region, where the frame of all of them fits into it."""
    if box is None:
        return region
    # How wide and high a unit of the slide is in the picture, in fractions of it.
    wide, high = 1.0, canvas.width / canvas.height / aspect
    scale = min(region.width / (frame[2] * wide), region.height / (frame[3] * high))
    left = region.x + (region.width - frame[2] * wide * scale) / 2
    top = region.y + (region.height - frame[3] * high * scale) / 2
    return Box(
        x=round(left + (box[0] - frame[0]) * wide * scale, 4),
        y=round(top + (box[1] - frame[1]) * high * scale, 4),
        width=round(max(box[2] * wide * scale, 0.01), 4),
        height=round(max(box[3] * high * scale, 0.01), 4),
    )


def _list(shown: Shown, heading: str, box: Box | None) -> ListOverlay:
    items = tuple(ListItem(text=_shortened(text, ITEM_CHARS)) for text in shown.items[:MAX_ITEMS])
    return ListOverlay(heading=_shortened(heading, HEADING_CHARS), items=items, box=box)


def _picture(shown: Shown, media: MediaRef, box: Box) -> ImageOverlay:
    crop = None
    if shown.crop is not None and any(shown.crop):
        left, top, right, bottom = (min(max(edge, 0.0), 0.95) for edge in shown.crop)
        crop = Crop(x=left, y=top, width=max(1 - left - right, 0.05), height=max(1 - top - bottom, 0.05))
    return ImageOverlay(box=box, image=media, crop=crop, corner_radius=0.02)


def _shortened(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1].rstrip() + "…"


def title_for(document: Document, drafts: Sequence[SceneDraft], name: str) -> str:
    """The title of a project: the document's own, else that of its file or its first scene."""
    stem = re.sub(r"[_-]+", " ", name.rpartition(".")[0] or name).strip()
    first = next((draft.title for draft in drafts if draft.title), "")
    return (document.title or stem or first or "Untitled")[:200]
