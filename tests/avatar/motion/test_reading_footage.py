"""Footage as numbered frames: forward, backward, broken, uneven; and which frame shows when."""

from pathlib import Path

import av
import numpy as np
import pytest
from avatar.engines.motion.footage import Footage, FrameReader
from avatar.engines.motion.framing import Framing
from avatar.engines.motion.timeline import frames_of_steps, lay_out
from avatar.errors import InvalidInput
from clipmaker import truncate, variable_rate, write_mp4
from clipmaker.clip import Clip


def number_frames(count: int) -> list[np.ndarray]:
    """128x72 frames, their number written in seven bars over noise that gives the file weight."""
    grain = np.random.default_rng(5).integers(0, 40, (count, 72, 128, 3))
    bars = [[(n >> bit) & 1 for bit in range(7)] for n in range(count)]
    columns = np.repeat(np.array(bars), 18, axis=1)
    grain[:, :, :126] += 200 * columns[:, None, :, None]
    return list(grain.astype(np.uint8))


def number(picture: np.ndarray) -> int:
    """The number of such a frame."""
    means = picture[:, :126].reshape(72, 7, 18, 3).mean(axis=(0, 2, 3))
    return sum(1 << bit for bit, mean in enumerate(means) if mean > 110)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = tmp_path_factory.mktemp("footage") / "numbered.mp4"
    write_mp4(path, iter(number_frames(90)), 25)
    return Clip(path, 25, np.zeros(90, np.float32), np.zeros(90, np.float32))


def numbers(path: Path, order: list[int], held: int = 8) -> list[int]:
    footage = Footage.open(path, path.name)
    table = footage.table(0, None)
    framing = Framing.cover(footage, (footage.width, footage.height))
    return [number(picture) for picture in FrameReader(footage, table, framing.picture, held).read(order)]


@pytest.mark.parametrize(
    "order", [[0, 1, 2, 3], [40, 41, 41, 55, 89], [30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20]]
)
def test_frames_come_in_the_order_they_are_asked_for(clip: Clip, order: list[int]) -> None:
    assert numbers(clip.path, order) == order


def test_a_swing_back_and_forth_needs_few_frames_in_memory(clip: Clip) -> None:
    order = [*range(70, 90), *range(88, 40, -1), *range(41, 60)]
    assert numbers(clip.path, order, held=5) == order


def test_a_chosen_range_starts_at_its_first_frame(clip: Clip) -> None:
    footage = Footage.open(clip.path, "x")
    table = footage.table(2_600, 3_200)
    steps = frames_of_steps(table, 2_600, 25, 1000)
    framing = Framing.cover(footage, (128, 72))
    seen = [number(p) for p in FrameReader(footage, table, framing.picture, 8).read(steps.tolist())]
    assert seen == list(range(65, 81))


def test_uneven_frame_times_become_even_ones(clip: Clip, tmp_path: Path) -> None:
    uneven = variable_rate(clip, tmp_path / "uneven.mp4")
    footage = Footage.open(uneven, "x")
    table = footage.table(0, None)
    steps = frames_of_steps(table, 0, 25, 1000)
    shown = table.times_ms[steps] - np.arange(len(steps)) * 40.0
    assert np.abs(shown).max() < 45
    assert len(steps) == pytest.approx(table.times_ms[-1] / 40, abs=2)


def test_nearly_the_same_rate_plays_one_to_one(tmp_path: Path) -> None:
    write_mp4(tmp_path / "24.mp4", iter(number_frames(48)), 24)
    table = Footage.open(tmp_path / "24.mp4", "x").table(0, None)
    assert frames_of_steps(table, 0, 25, 1000).tolist() == list(range(48))
    assert len(frames_of_steps(table, 0, 50, 1000)) == pytest.approx(100, abs=2)


def test_a_broken_upload_gives_what_is_there(clip: Clip, tmp_path: Path) -> None:
    broken = truncate(clip, tmp_path / "broken.mp4", 0.5)
    table = Footage.open(broken, "x").table(0, None)
    assert not table.complete
    assert 10 < len(table) < 80
    order = list(range(len(table)))
    assert numbers(broken, order)[:-3] == order[:-3]
    assert Footage.open(clip.path, "x").table(0, None).complete


def test_a_phone_video_is_turned_upright(tmp_path: Path) -> None:
    picture = np.zeros((72, 128, 3), np.uint8)
    picture[:, :40] = (0, 0, 250)
    flat = tmp_path / "flat.mp4"
    write_mp4(flat, iter([picture] * 3), 25)
    turned = tmp_path / "turned.mp4"
    with av.open(str(flat)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(-90) if hasattr(stream, "set_display_rotation") else pytest.skip(
            "no rotation"
        )
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    footage = Footage.open(turned, "x")
    assert (footage.width, footage.height) == (72, 128)
    framing = Framing.cover(footage, (72, 128))
    upright = next(FrameReader(footage, footage.table(0, None), framing.picture, 2).read([0]))
    assert upright[:30, :, 2].mean() > 200
    assert upright[60:, :, 2].mean() < 40


def test_what_is_no_video_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(InvalidInput) as caught:
        Footage.open(tmp_path / "empty.mp4", "holiday.mp4")
    assert caught.value.code == "video.unreadable"
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 48000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(InvalidInput) as caught:
        Footage.open(tmp_path / "sound.mp4", "holiday.mp4")
    assert caught.value.code == "video.no_frames"


STILL = np.zeros(100, np.float32)


def test_speech_shorter_than_the_video_plays_it_once() -> None:
    assert lay_out("ping_pong", 100, 60, 25, STILL).tolist() == list(range(60))


def test_trim_holds_the_last_frame() -> None:
    assert lay_out("trim", 4, 7, 25, STILL).tolist() == [0, 1, 2, 3, 3, 3, 3]


def test_loop_begins_again() -> None:
    assert lay_out("loop", 3, 7, 25, STILL).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_ping_pong_turns_where_the_head_is_still_and_never_jumps() -> None:
    restless = np.ones(100, np.float32)
    restless[93] = restless[6] = 0.0
    order = lay_out("ping_pong", 100, 400, 25, restless)
    assert np.abs(np.diff(order)).max() == 1
    assert order[0] == 0
    assert 91 <= order.max() <= 93
    assert 6 <= order[100:].min() <= 8


def test_ping_pong_of_a_single_frame_holds_it() -> None:
    assert lay_out("ping_pong", 1, 5, 25, STILL).tolist() == [0] * 5
