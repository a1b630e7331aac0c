"""Lower thirds and lists without a box of their own cover no face, and captions lie not over them."""

from __future__ import annotations

import pytest
from avatar.compose.burned import BurnedCaptions
from avatar.compose.camera import stage_scene
from avatar.compose.cues import make_cues
from avatar.compose.fonts import Fonts
from avatar.compose.free_places import faces_of, free_place
from avatar.compose.graphics import area_of, list_sprites, lower_third
from avatar.compose.layout import Rect, line_chars, safe_area
from avatar.compose.seats import box_path, room_for_arms, share_canvas
from avatar.engines.rig.engine import framing as figure_in
from avatar.spec import Box, Canvas, Captions, ListItem, ListOverlay, LowerThirdOverlay, Scene
from avatar.tracks import Word

FONTS = Fonts.of_this_machine()
CANVASES = {
    "16:9": Canvas(width=1920, height=1080),
    "9:16": Canvas(width=1080, height=1920),
    "1:1": Canvas(width=1080, height=1080),
}
FACE = Rect(-55, -30, 110, 115)
"""Eyes to mouth, in units of a drawn character."""
LIST = ListOverlay(
    heading="What moves the water",
    items=tuple(ListItem(text=text) for text in ("The moon: it pulls", "The sun", "The coast: it decides")),
)
NAME = LowerThirdOverlay(name="Amina", role="Explains the sea")
FRAMINGS = ["bust", "half", "side_left", "side_right", "picture_in_picture", "voice_over"]


def stage(framing: str, canvas: Canvas) -> Scene:
    return stage_scene(
        Scene.model_validate({"id": "s", "script": "x", "camera": {"framing": framing}}), canvas
    )


def find_faces(scene: Scene, canvas: Canvas) -> list[Rect]:
    """Returns where the engine draws eyes, nose and mouth."""
    found = []
    for one in share_canvas(scene.cast, canvas):
        if one.visible:
            path, reach = room_for_arms(box_path(one, (), 1, canvas, "s", print), canvas)
            box, frame = path.at(0), figure_in(path.size, -140.0, reach)
            left, top = box.x + frame.x + FACE.x * frame.scale, box.y + frame.y + FACE.y * frame.scale
            size = round(FACE.width * frame.scale), round(FACE.height * frame.scale)
            found.append(Rect(round(left), round(top), *size))
    return found


def find_rects(overlay: LowerThirdOverlay | ListOverlay, canvas: Canvas) -> list[Rect]:
    if isinstance(overlay, LowerThirdOverlay):
        return [lower_third(overlay, canvas, FONTS).rect]
    panel, rows = list_sprites(overlay, canvas, FONTS)
    return [sprite.rect for sprite in (panel, *rows) if sprite is not None]


@pytest.mark.parametrize("captions", [True, False], ids=["burned", "soft"])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("shape", CANVASES)
@pytest.mark.parametrize("overlay", [NAME, LIST], ids=["lower_third", "list"])
def test_it_covers_no_face_and_stays_inside_the_safe_area(overlay, shape, framing, captions):
    canvas = CANVASES[shape]
    scene = stage(framing, canvas)
    free = free_place(overlay, canvas, FONTS, faces_of(scene, canvas), captions=captions)
    safe, faces = safe_area(canvas), find_faces(scene, canvas)
    assert len(faces) == (framing != "voice_over")
    for rect in find_rects(free, canvas):
        assert all(rect.within(face).empty for face in faces), (rect, faces)
        assert rect.within(safe) == rect


@pytest.mark.parametrize("shape", CANVASES)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_captions_make_way_for_a_list_that_had_to(framing, shape):
    canvas = CANVASES[shape]
    scene = stage(framing, canvas)
    faces = faces_of(scene, canvas)
    free = free_place(LIST, canvas, FONTS, faces, captions=True)
    taken = [*faces, area_of(free, canvas)] if free is not LIST else faces
    form = Captions(mode="burned")
    words = [Word(text, 300 * at, 300 * at + 280) for at, text in enumerate(["One", "two", "three", "four"])]
    captions = BurnedCaptions(make_cues(words, 3000, line_chars(form, canvas)), form, canvas, FONTS, taken)
    caption = captions.at(300)
    assert caption is not None
    assert all(rect.within(caption.rect).empty for rect in find_rects(free, canvas))


def test_a_box_of_ones_own_and_a_place_that_is_free_are_kept():
    canvas = CANVASES["1:1"]
    faces = faces_of(stage("side_left", canvas), canvas)
    own = NAME.model_copy(update={"box": Box(x=0.1, y=0.1, width=0.4, height=0.5)})
    assert free_place(own, canvas, FONTS, faces, captions=True) is own
    assert free_place(NAME, canvas, FONTS, [], captions=True) is NAME
    right = faces_of(stage("side_right", canvas), canvas)
    assert free_place(NAME, canvas, FONTS, right, captions=True) is NAME
    moved = free_place(NAME, canvas, FONTS, faces, captions=True)
    assert isinstance(moved, LowerThirdOverlay) and moved.side == "right"


def test_a_long_list_in_a_low_box_keeps_its_heading_larger_than_its_items():
    low = Box(x=0.06, y=0.7, width=0.88, height=0.2)
    many = LIST.model_copy(update={"box": low, "items": LIST.items * 2})
    panel, rows = list_sprites(many, CANVASES["1:1"], FONTS)
    assert panel is not None and panel.rect.height <= 0.2 * 1080 + 1
    head = rows[0].rect.y - panel.rect.y
    assert head < 0.4 * panel.rect.height, "both are smaller"
