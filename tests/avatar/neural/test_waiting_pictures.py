"""Pictures that wait on disk between the chain's engines: told early when the disk will not hold them, and
gone afterwards, however that ends.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.encode.atomic import atomic_files
from avatar.errors import Cancelled, Unavailable

pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines import resume_cache  # noqa: E402
from avatar.engines.latentsync.engine import LatentSync  # noqa: E402
from avatar.engines.neural import intermediate_video  # noqa: E402
from avatar.engines.neural.holder import MIB, ModelHolder  # noqa: E402
from avatar.engines.neural.intermediate_video import read_pictures, write_pictures  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.segment import make_segment  # noqa: E402
from avatar.spec import RenderSpec  # noqa: E402
from avatar.spec.unfinished import resume_folder  # noqa: E402

SIDE, FPS = 64, 5
Usage = namedtuple("Usage", "total used free")


def noise(count: int, drawn: list[int] | None = None) -> Iterator[Any]:
    """Pictures that nothing makes smaller."""
    random = np.random.default_rng(3)
    for index in range(count):
        if drawn is not None:
            drawn.append(index)
        yield random.integers(0, 255, (SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """The free space of the disk that the test sets; read each time."""

    def left(free: Callable[[], int]) -> None:
        for module in (intermediate_video, resume_cache):
            monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage(10**12, 0, free()))

    return left


def test_a_disk_that_is_too_small_is_told_after_a_second_of_pictures(
    tmp_path: Path, space: Callable[[Callable[[], int]], None]
) -> None:
    """Noise takes its 12288 bytes a picture, and some more; 100 of them are asked for and 60 would fit."""
    space(lambda: 60 * SIDE * SIDE * 3)
    drawn: list[int] = []
    with pytest.raises(Unavailable, match=r"render\.disk_full") as caught, atomic_files(tmp_path, ()) as work:
        write_pictures(work / "moved.mkv", noise(100, drawn), (SIDE, SIDE), FPS, 100)
    assert len(drawn) <= 2 * FPS, "nobody waits for pictures that will not fit"
    assert "of 100 take 0." in caught.value.message and "0.7 MB are left" in caught.value.message
    assert caught.value.message.endswith(f"in {tmp_path}."), "the folder people know"
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_others_fill_meanwhile_is_told_before_it_is_full(
    tmp_path: Path, space: Callable[[Callable[[], int]], None]
) -> None:
    drawn: list[int] = []
    space(lambda: 10**9 if len(drawn) < 50 else 10_000)
    with pytest.raises(Unavailable, match=r"render\.disk_full"):
        write_pictures(tmp_path / "moved.mkv", noise(100, drawn), (SIDE, SIDE), FPS, 100)
    assert 50 <= len(drawn) <= 50 + FPS


def test_what_fits_is_written_however_little_is_left(
    tmp_path: Path, space: Callable[[Callable[[], int]], None]
) -> None:
    """One picture that stands alone and then nothing new: the rest takes next to nothing."""
    path = tmp_path / "moved.mkv"
    still = next(noise(1))
    space(lambda: 20_000)
    write_pictures(path, (still for _ in range(100)), (SIDE, SIDE), FPS, 100)
    assert all(np.array_equal(picture, still) for picture in read_pictures(path))


def test_a_disk_that_is_full_all_the_same_is_told_by_its_folder(tmp_path: Path) -> None:
    full = pytest.raises(Unavailable, match=r"render\.disk_full.*are left in")
    with full as caught, atomic_files(tmp_path, ()) as work:
        (work / "moved.mkv").symlink_to("/dev/full")
        write_pictures(work / "moved.mkv", noise(40), (SIDE, SIDE), FPS, 40)
    assert str(tmp_path) in caught.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Records the paths of pictures that wait."""
    write, paths = intermediate_video.write_pictures, list[Path]()

    def record_write(path: Path, *arguments: Any) -> None:
        paths.append(path)
        write(path, *arguments)

    monkeypatch.setattr("avatar.engines.neural.engine.write_pictures", record_write)
    return paths


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize(
    "ending", ["full disk", *(pytest.param(one, marks=pytest.mark.slow) for one in ("stopped", "failed"))]
)
def test_nothing_waits_any_more_when_a_scene_has_failed(
    spec_of: Callable[..., dict[str, Any]],
    tmp_path: Path,
    waiting: list[Path],
    space: Callable[[Callable[[], int]], None],
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
) -> None:
    """Both engines in turn: the card has no room for both. What was drawn is kept for another try, unless the
    disk is nearly full.
    """
    codes = {"full disk": "render.disk_full", "stopped": "render.cancelled", "failed": "test.failed"}
    if ending == "full disk":
        space(lambda: 1000)
    else:

        def raise_error(*_: Any, **__: Any) -> Any:
            assert waiting[0].stat().st_size > 10_000, "in the midst of it"
            error = Cancelled if ending == "stopped" else Unavailable
            raise error(codes[ending], "It ends here.")

        monkeypatch.setattr(LatentSync, "pictures", raise_error)
    context = Context(cache=tmp_path / "cache", holder=ModelHolder(lambda: 6000 * MIB))
    scene_spec = spec_of(
        "photo", "liveportrait+latentsync", "One two three." if ending == "full disk" else "Mama."
    )
    if ending == "full disk":  # more than a second, of few pictures
        scene_spec["canvas"]["fps"] = 10
    spec = RenderSpec.model_validate(scene_spec)
    folder = tmp_path / "made"
    with pytest.raises((Unavailable, Cancelled), match=codes[ending].replace(".", r"\.")):
        make_segment(spec, "one", folder, context)
    assert not folder.exists(), "nothing half done"
    assert len(waiting) == 1 and not waiting[0].exists()
    assert not [*tmp_path.rglob("moved.mkv")]
    assert bool([*resume_folder(context.cache).glob("*.part")]) == (ending != "full disk")
