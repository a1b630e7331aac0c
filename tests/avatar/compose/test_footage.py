"""Footage plays at its own speed whatever its rate, loops or holds, and says what is wrong with a file."""

from itertools import islice

import numpy as np
import pytest
from avatar.compose.footage import footage, footage_size
from avatar.errors import InvalidInput


def numbers(pictures, count: int) -> list[int]:
    return [round((int(np.median(picture)) - 8) / 8) for picture in islice(pictures, count)]


def test_a_steady_clip_shows_each_frame_at_its_time(tmp_path, make_clip):
    clip = make_clip(tmp_path / "c.mp4", [0, 40, 80, 120, 160])
    assert numbers(footage(clip, 25, loop=False, shown="c"), 5) == [0, 1, 2, 3, 4]


def test_a_slower_clip_repeats_and_a_faster_one_skips(tmp_path, make_clip):
    slow = make_clip(tmp_path / "slow.mp4", [0, 100, 200])
    assert numbers(footage(slow, 20, loop=False, shown="c"), 6) == [0, 0, 1, 1, 2, 2]
    fast = make_clip(tmp_path / "fast.mp4", [20 * n for n in range(8)])
    assert numbers(footage(fast, 25, loop=False, shown="c"), 4) == [0, 2, 4, 6]


def test_a_variable_rate_plays_at_its_true_speed(tmp_path, make_clip):
    clip = make_clip(tmp_path / "c.mp4", [0, 40, 200, 240])
    assert numbers(footage(clip, 25, loop=False, shown="c"), 7) == [0, 1, 1, 1, 1, 2, 3]


def test_after_the_last_frame_it_loops_or_holds(tmp_path, make_clip):
    clip = make_clip(tmp_path / "c.mp4", [0, 40, 80])
    assert numbers(footage(clip, 25, loop=True, shown="c"), 8) == [0, 1, 2, 0, 1, 2, 0, 1]
    assert numbers(footage(clip, 25, loop=False, shown="c"), 6) == [0, 1, 2, 2, 2, 2]


def test_a_single_picture_lasts_for_ever(tmp_path, make_clip):
    clip = make_clip(tmp_path / "c.mp4", [0])
    assert numbers(footage(clip, 25, loop=True, shown="c"), 4) == [0, 0, 0, 0]


def test_a_truncated_file_plays_what_it_has(tmp_path, make_clip):
    clip = make_clip(tmp_path / "c.mkv", [40 * n for n in range(25)])
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    shown = numbers(footage(clip, 25, loop=False, shown="c"), 25)
    assert shown[:8] == list(range(8))
    assert shown[-1] < 24


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("text.mp4", b"hello", "video.unreadable"), ("empty.mp4", b"", "video.unreadable")],
)
def test_what_is_no_video_is_refused_by_name(tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=r"holiday\.mp4") as caught:
        footage_size(tmp_path / name, "holiday.mp4")
    assert caught.value.code == code


def test_a_sound_file_holds_no_picture(tmp_path):
    import wave

    with wave.open(str(tmp_path / "s.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(16000))
    with pytest.raises(InvalidInput) as caught:
        next(footage(tmp_path / "s.wav", 25, loop=True, shown="s.wav"))
    assert caught.value.code == "video.no_frames"


def test_the_size_is_that_of_the_pictures(tmp_path, make_clip):
    assert footage_size(make_clip(tmp_path / "c.mp4", [0, 40], (96, 64)), "c") == (96, 64)
