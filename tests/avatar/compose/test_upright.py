"""Upright pictures: hands and mouths are seen, whatever the framing, and captions cover neither."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from avatar.compose.burned import BurnedCaptions
from avatar.compose.camera import stage_scene
from avatar.compose.cues import make_cues
from avatar.compose.fonts import Fonts
from avatar.compose.layout import Rect, face_of, line_chars, place
from avatar.compose.seats import box_path, room_for_arms, share_canvas
from avatar.engines.base import Reach
from avatar.engines.rig.arm_motion import HANGING, POSES
from avatar.engines.rig.engine import BODY, framing
from avatar.spec import Canvas, Captions, Scene
from avatar.tracks import Word

CANVASES = [
    Canvas(width=width, height=height) for width, height in ((1080, 1920), (1080, 1080), (1920, 1080))
]
BURNED = Captions(mode="burned")
TEXT = "On Monday we open three new rooms in the old house beside the river, and everybody is invited"
WORDS = [Word(word, 300 * number, 300 * number + 280) for number, word in enumerate(TEXT.split())]
MOUTH = Rect(-45, 40, 90, 50)
"""In units of a drawn character."""


def caption_rects(scene: Scene, canvas: Canvas) -> list[Rect]:
    """Returns where captions are seen, of two lines as those of `TEXT` mostly are."""
    fonts = Fonts.of_this_machine()
    faces = [face_of(place(one.box, canvas)) for one in share_canvas(scene.cast, canvas) if one.visible]
    cues = make_cues(WORDS, 9000, line_chars(BURNED, canvas))
    captions = BurnedCaptions(cues, BURNED, canvas, fonts, faces)
    found = [sprite for ms in range(0, 6000, 500) if (sprite := captions.at(ms)) is not None]
    return [sprite.rect for sprite in found]


def mouths(scene: Scene, canvas: Canvas) -> list[Rect]:
    found = []
    for one in share_canvas(scene.cast, canvas):
        path, reach = room_for_arms(box_path(one, (), 1, canvas, "s", print), canvas)
        box, frame = path.at(0), framing(path.size, -140.0, reach)
        sides = (frame.x + MOUTH.x * frame.scale, frame.y + MOUTH.y * frame.scale)
        size = (round(MOUTH.width * frame.scale), round(MOUTH.height * frame.scale))
        found.append(Rect(round(box.x + sides[0]), round(box.y + sides[1]), *size))
    return found


@pytest.mark.parametrize("canvas", CANVASES, ids=["9:16", "1:1", "16:9"])
@pytest.mark.parametrize("framing", ["bust", "half", "side_left", "side_right", "picture_in_picture", "two"])
def test_captions_cover_no_mouth(canvas: Canvas, framing: str) -> None:
    body = {"id": "s", "script": "x", "camera": {"framing": framing}}
    if framing == "two":
        body = {"id": "s", "script": "x", "speakers": [{"name": "mei"}]}
    scene = stage_scene(Scene.model_validate(body), canvas)
    captions = caption_rects(scene, canvas)
    assert captions
    for mouth in mouths(scene, canvas):
        assert all(mouth.within(caption).empty for caption in captions), (mouth, captions)
    for caption in captions:
        assert abs(caption.x + caption.width / 2 - canvas.width / 2) <= 2, "in the middle"


def test_lines_of_upright_captions_are_short_and_their_letters_large() -> None:
    upright, _, lying = CANVASES
    assert (line_chars(BURNED, upright), line_chars(BURNED, lying)) == (26, 42)
    lines = [line for cue in make_cues(WORDS, 9000, line_chars(BURNED, upright)) for line in cue.lines]
    assert max(map(len, lines)) <= 26
    scene = Scene.model_validate({"id": "s", "script": "x"})
    tallest = [
        max(one.height for one in caption_rects(scene, canvas)) / canvas.width for canvas in (upright, lying)
    ]
    assert tallest[0] > 1.6 * tallest[1], "as phones show it"


@pytest.mark.parametrize("name", [*POSES, "hanging"])
@pytest.mark.parametrize("room", [172.0, 200.0, 260.0, 500.0])
def test_a_hand_stays_in_the_picture(name: str, room: float) -> None:
    pose = POSES.get(name, HANGING)
    drawn = pose.within(room)
    if pose.wrist[0] + pose.hand_reach <= room:
        assert drawn == pose
    assert drawn.wrist[0] + drawn.hand_reach <= room
    assert drawn.wrist[1] >= pose.wrist[1], "it is never raised, over the face"


@pytest.mark.parametrize("name", POSES)
def test_hands_move_inwards_without_a_jump(name: str) -> None:
    drawn = [POSES[name].within(room).vector() for room in np.arange(160.0, 420.0, 1.0)]
    assert max(np.abs(one - other).max() for one, other in pairwise(drawn)) < 4.0


@pytest.mark.parametrize("size", [(1080, 1920), (1080, 2400), (1080, 1350), (640, 1080), (1920, 1080)])
def test_hanging_hands_are_below_the_picture(size: tuple[int, int]) -> None:
    for reach in (None, Reach(size[0] * 6 // 10, size[0] // 2, size[0] // 2)):
        frame = framing(size, -140.0, reach)
        assert (size[1] - frame.y) / frame.scale <= BODY + 0.01
        assert frame.scale * 310 <= size[0], "the shoulders are whole"
