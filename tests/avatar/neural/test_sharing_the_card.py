"""The chain on a card that is small, full, or used twice: with small random networks, a budget
that the test sets, and torch's own error for a full card; on the processor, and in part on a card, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("small_networks")]

from avatar.engines.card_memory import out_of_memory  # noqa: E402
from avatar.engines.latentsync.clip import plan_chunks  # noqa: E402
from avatar.engines.latentsync.sampler import Sampler  # noqa: E402
from avatar.engines.neural import engine  # noqa: E402
from avatar.engines.neural.holder import MIB, ModelHolder  # noqa: E402
from avatar.engines.neural.intermediate_video import read_pictures, write_pictures  # noqa: E402
from avatar.errors import Cancelled, Unavailable  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.segment import SegmentFiles, make_segment  # noqa: E402
from avatar.spec import FrameProgress, RenderSpec  # noqa: E402

SpecOf = Callable[..., dict[str, Any]]
CHAIN = "liveportrait+latentsync"
LONGER = "One two three four five, six seven eight nine ten."
FULL = "CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 7.75 GiB."


@pytest.fixture
def segment(spec_of: SpecOf, tmp_path: Path) -> Callable[..., SegmentFiles]:
    """Makes one scene in a folder of its own and returns it."""

    def make(
        name: str,
        kind: str = "photo",
        engine: str = CHAIN,
        seed: int = 1,
        script: str = "Mama.",
        **context: Any,
    ) -> SegmentFiles:
        spec = RenderSpec.model_validate(spec_of(kind, engine, script) | {"seed": seed})
        return make_segment(spec, "one", tmp_path / name, Context(cache=tmp_path / "cache", **context))

    return make


def fails(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """The first so many chunks find the card full."""
    denoise, failed = Sampler.denoise, list[int]()

    def full(self: Any, *arguments: Any, **more: Any) -> Any:
        if len(failed) < times:
            failed.append(len(failed))
            raise torch.cuda.OutOfMemoryError(FULL)
        return denoise(self, *arguments, **more)

    monkeypatch.setattr(Sampler, "denoise", full)
    return failed


def frames_of(result: SegmentFiles) -> np.ndarray[Any, Any]:
    with av.open(str(result.video)) as container:
        return np.stack([one.to_ndarray(format="bgr24") for one in container.decode(video=0)]).astype(int)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name == "frames-ahead"]


@pytest.mark.usefixtures("larger_mode")
def test_the_same_scene_is_the_same_to_the_bit_also_when_both_take_turns_on_the_card(
    segment: Callable[..., SegmentFiles],
) -> None:
    together, again = segment("together"), segment("again")
    holder = ModelHolder(lambda: 6000 * MIB)
    in_turn = segment("in turn", holder=holder)
    assert holder.on_card == ("latentsync",) and holder.loads == ["liveportrait", "latentsync"]
    assert not [*in_turn.video.parent.parent.rglob("moved.mkv")], "what waited on disk"
    assert together.video.read_bytes() == again.video.read_bytes() == in_turn.video.read_bytes()
    other = segment("other seed", seed=2)
    assert other.video.read_bytes() != together.video.read_bytes()


@pytest.mark.usefixtures("larger_mode")
def test_a_neighbour_who_comes_while_both_work_parks_neither(segment: Callable[..., SegmentFiles]) -> None:
    """LivePortrait draws on in its thread; parked in the midst of it, it would have lost its card."""
    holder = ModelHolder(lambda: 100 * MIB if holder.loads else None)
    result = segment("crowded", holder=holder)
    assert holder.on_card == ("liveportrait", "latentsync")
    assert result.video.read_bytes() == segment("alone").video.read_bytes()


@pytest.mark.slow
def test_scenes_of_one_process_hand_their_networks_on(segment: Callable[..., SegmentFiles]) -> None:
    holder = ModelHolder(lambda: None)
    segment("first", holder=holder)
    segment("second", "video", "latentsync", holder=holder)
    assert holder.loads == ["liveportrait", "latentsync"]


@pytest.mark.parametrize(
    ("kind", "engine"),
    [("photo", CHAIN), pytest.param("video", "latentsync", marks=pytest.mark.slow)],
)
def test_a_full_card_is_tried_once_more_in_the_low_mode_with_the_same_frames(
    segment: Callable[..., SegmentFiles], monkeypatch: pytest.MonkeyPatch, kind: str, engine: str
) -> None:
    undisturbed = segment("undisturbed", kind, engine)
    fails(monkeypatch, 1)
    holder, events = ModelHolder(lambda: None), list[Any]()
    result = segment("tried twice", kind, engine, holder=holder, tell=events.append)
    # In parts a level may tip over (`latentsync/test_modes_and_numbers.py`), and its picture is encoded anew.
    assert np.abs(frames_of(result) - frames_of(undisturbed)).mean() < 0.2
    (notice,) = (one for one in result.record.warnings if one.code == "gpu.out_of_memory")
    assert "needed 1536 MiB more" in notice.message and "Starting again" in notice.message
    assert notice in events
    assert "render.resumed" not in [getattr(one, "code", "") for one in events], (
        "its own first try is no earlier run"
    )
    assert holder.loads[-1] == "latentsync low"


def test_a_card_that_stays_full_is_an_error_with_the_numbers_and_leaves_nothing(
    segment: Callable[..., SegmentFiles], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failed = fails(monkeypatch, 99)
    with pytest.raises(
        Unavailable, match=r"gpu\.out_of_memory: .*liveportrait\+latentsync needed 1536 MiB more"
    ) as full:
        segment("full")
    assert len(failed) == 2, "no third try"
    assert "a larger one" in full.value.hint
    assert not (tmp_path / "full").exists()


def test_a_stop_ends_both_stages_and_leaves_nothing(
    segment: Callable[..., SegmentFiles], tmp_path: Path
) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise Cancelled("render.cancelled", "Stopped.")

    with pytest.raises(Cancelled):
        segment("stopped", check=check)
    assert not (tmp_path / "stopped").exists()


@pytest.mark.slow
def test_a_segment_that_was_stopped_goes_on_where_it_stood_and_is_the_same(
    segment: Callable[..., SegmentFiles], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    undisturbed = segment("undisturbed", script=LONGER)
    denoise, computed = Sampler.denoise, list[int]()

    def count_calls(self: Any, noise: Any, chunks: Any, *more: Any) -> Any:
        if len(computed) == 2:
            computed.append(0)
            raise Cancelled("render.cancelled", "Stopped.")
        computed.append(len(chunks))
        return denoise(self, noise, chunks, *more)

    monkeypatch.setattr(Sampler, "denoise", count_calls)
    with pytest.raises(Cancelled):
        segment("stopped", script=LONGER)
    assert len(computed) == 3 and not (tmp_path / "stopped").exists()
    again = segment("again", script=LONGER)
    assert again.video.read_bytes() == undisturbed.video.read_bytes()
    whole = len(plan_chunks(again.record.frames))
    assert len(computed) - 3 == whole - 2, "two chunks were there already"
    assert not list((tmp_path / "cache" / "unfinished").iterdir()), "what is finished is not kept"


@pytest.mark.slow
def test_the_first_stage_is_never_far_ahead_of_the_second(
    segment: Callable[..., SegmentFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with length: frames wait for the second stage, not in it."""
    moved, farthest = 0, list[int]()
    moving = engine.photo_pictures

    def count_calls(*arguments: Any) -> Iterator[Any]:
        nonlocal moved
        for picture in moving(*arguments):
            moved += 1
            yield picture

    def record_write(frame: Any) -> None:
        if isinstance(frame, FrameProgress):
            farthest.append(moved - frame.done_frames)

    monkeypatch.setattr(engine, "photo_pictures", count_calls)
    result = segment("long", script=LONGER, tell=record_write)
    assert moved == result.record.frames > 60
    # A chunk of 16, fourteen made ahead, those that are laid into the scene, and what the encoder is at.
    assert max(farthest) < 48


def test_pictures_between_stages_come_back_bit_by_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    pictures = [random.integers(0, 255, (46, 63, 3), np.uint8) for _ in range(4)]
    write_pictures(tmp_path / "moved.mkv", pictures, (63, 46), 25, len(pictures))
    back = list(read_pictures(tmp_path / "moved.mkv"))
    assert all(np.array_equal(one, other) for one, other in zip(pictures, back, strict=True))


def test_the_error_of_a_full_card_tells_what_was_needed_free_and_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (200 * MIB, 7936 * MIB))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: 5100 * MIB)
    monkeypatch.setenv("SOUNDSTAGE_VRAM_MIB", "5120")
    error = out_of_memory(torch.cuda.OutOfMemoryError(FULL), low=True, engine="latentsync")
    assert error.message == (
        "The card ran out of memory: latentsync needed 1536 MiB more, 200 of 7936 MiB are free, "
        "5100 MiB were taken at most, 5120 MiB are ours."
    )
