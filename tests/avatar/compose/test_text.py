"""Text is drawn inside its box, in its direction, and what no font can draw is reported."""

import numpy as np
import pytest
from avatar.compose.fonts import Fonts
from avatar.compose.layout import Rect
from avatar.compose.text import TextStyle, as_runs, drawable, rgba, text_in_box, text_lines
from avatar.errors import Unavailable

FONTS = Fonts.of_this_machine()


def ink(sprite) -> np.ndarray:
    return sprite.pixels[..., 3] > 60


def test_text_fits_its_box_however_long_it_is():
    box = Rect(10, 20, 200, 100)
    for text in ("Hi", "A few more words than that", "word " * 80, "Donaudampfschifffahrtsgesellschaft"):
        sprite = text_in_box(text, box, TextStyle(panel="#00000001"), FONTS, largest_px=60)
        assert sprite.rect == box
        rows, columns = np.nonzero(ink(sprite))
        assert len(rows), text
        assert rows.min() > 2
        assert rows.max() < box.height - 2
        assert columns.min() > 2
        assert columns.max() < box.width - 2


def test_alignment_moves_the_ink():
    box = Rect(0, 0, 300, 60)
    middles = [
        np.nonzero(ink(text_in_box("Hi", box, TextStyle(align=align), FONTS, 30)))[1].mean()
        for align in ("left", "centre", "right")
    ]
    assert middles[0] < 80 < 130 < middles[1] < 170 < 220 < middles[2]


def test_colours_and_panel_are_as_asked():
    sprite = text_in_box("H", Rect(0, 0, 80, 80), TextStyle("#ff8000", "#0000ff80"), FONTS, 60)
    assert tuple(sprite.pixels[40, 5]) == pytest.approx((255, 0, 0, 128), abs=2)
    solid = sprite.pixels[sprite.pixels[..., 3] == 255]
    assert len(solid) > 20
    assert np.median(solid, axis=0)[:3] == pytest.approx((0, 128, 255), abs=12)
    assert rgba("#0a0B0c") == (10, 11, 12, 255)


def test_caption_lines_hug_their_text_and_stand_on_their_line():
    style = TextStyle(panel="#000000ff")
    short = text_lines(as_runs("Hello"), 200, 300, 24, 380, style, FONTS)
    long = text_lines(as_runs("Hello, this is a longer line\nand one more"), 200, 300, 24, 380, style, FONTS)
    assert short.y + short.pixels.shape[0] == long.y + long.pixels.shape[0] == 300
    assert short.pixels.shape[1] < long.pixels.shape[1] <= 380
    assert long.pixels.shape[0] > 1.6 * short.pixels.shape[0]
    assert abs(short.x + short.pixels.shape[1] / 2 - 200) <= 1


def test_a_caption_wider_than_the_picture_is_drawn_smaller_on_the_same_number_of_lines():
    line = "W" * 42
    sprite = text_lines(as_runs(line), 100, 100, 40, 190, TextStyle(), FONTS)
    assert sprite.pixels.shape[1] <= 190
    assert sprite.pixels.shape[0] < 40


@pytest.mark.skipif(
    bool(FONTS.missing("مشلא")), reason="needs a font with Arabic and Hebrew: fonts-dejavu-core"
)
def test_a_full_stop_stands_left_of_right_to_left_text():
    """The ink at the left end is as low as a full stop, that at the right end as high as a letter."""
    mask = ink(text_in_box("אבג.", Rect(0, 0, 300, 60), TextStyle(align="right"), FONTS, 40))
    columns = np.flatnonzero(mask.any(axis=0))
    left, right = (np.flatnonzero(mask[:, span].any(axis=1)) for span in (columns[:4], columns[-4:]))
    assert np.ptp(left) < 0.4 * np.ptp(right)


def test_symbols_without_a_glyph_are_left_out_and_letters_stay(tmp_path):
    drawn_text, missing = drawable("Go \U0001fae8 now", FONTS)
    assert drawn_text == "Go now"
    assert missing == ["\U0001fae8"]
    odd = "\U00012000"  # a cuneiform letter
    drawn_text, missing = drawable(f"sign {odd}", FONTS)
    assert odd in drawn_text
    assert missing == [odd]


def test_control_characters_are_left_out_and_every_line_end_is_one():
    drawn_text, missing = drawable("a\x07b\x1b\x00c\td\x9f\r\ne\x85f\u2028g\x7f", FONTS)
    assert (drawn_text, missing) == ("abc d\ne\nf\ng", [])
    assert drawable("\x07\x1b", FONTS) == ("", [])


def test_a_machine_without_fonts_says_what_to_install(tmp_path):
    with pytest.raises(Unavailable) as caught:
        text_in_box("Hi", Rect(0, 0, 50, 50), TextStyle(), Fonts((tmp_path,)), 20)
    assert caught.value.code == "text.no_font"
    assert "fonts-dejavu-core" in caught.value.hint


def test_a_broken_font_file_is_passed_over(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"not a font")
    assert Fonts((tmp_path,)).typefaces == []
