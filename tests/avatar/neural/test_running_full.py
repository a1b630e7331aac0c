"""A device that runs full in the midst of a lip sync: once more in the low mode, and then an error with its
numbers. On a card its memory is really taken, by tensors that fill what torch may have; on the processor a
network says what torch says then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402
from avatar.errors import Unavailable  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.lipsync.latentsync import MouthOptions, lipsync_by_networks  # noqa: E402
from avatar.spec import Finished  # noqa: E402
from synthetic_speaker import Clips, DotTracker  # noqa: E402
from test_engine import job, pictures  # noqa: E402
from tiny_checkpoints import as_if_published, write_tiny  # noqa: E402

MIB = 1 << 20
ROOM = 64 * MIB
"""What torch may take beyond what it has when the card begins to fill."""
SIZES = (16 * MIB, 2 * MIB, MIB, 64 << 10, 4 << 10, 512)
OF_A_CARD = r"\d+ of \d+ MiB are free, \d+ MiB were taken at most"
Run = Callable[..., Finished]


class Filling:
    """Lets the device be full from the `at`-th pass of the denoiser on, until `free` is called."""

    def __init__(self, device: str, at: int) -> None:
        self._device, self._at, self._held = device, at, list[Any]()
        self._bounded = False
        self.passes, self.full = 0, False

    def pass_call(self) -> None:
        """One pass begins."""
        self.passes += 1
        if self.passes == self._at:
            self.full = True
        if not self.full:
            return
        if self._device == "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 64.00 MiB.")
        self._fill()

    def _fill(self) -> None:
        """Also what another try has given back."""
        torch.cuda.empty_cache()
        if not self._bounded:
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + ROOM) / total, 0)
            self._bounded = True
        for size in SIZES:
            while True:
                try:
                    self._held.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
                except torch.OutOfMemoryError:
                    break

    def free(self) -> None:
        self.full = False
        self._held.clear()
        if self._device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(1.0, 0)


@pytest.fixture
def filling(device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Filling]]:
    fillings = list[Filling]()

    def begin(at: int) -> Filling:
        filling, real = Filling(device, at), LatentSyncUNet.forward_full
        fillings.append(filling)

        def record_call(self: Any, *arguments: Any) -> Any:
            filling.pass_call()
            return real(self, *arguments)

        monkeypatch.setattr(LatentSyncUNet, "forward_full", record_call)
        return filling

    yield begin
    for one in fillings:
        one.free()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def run(tiny: Path, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Six frames of the synthetic speaker in two steps, by the operator's own door."""
    from avatar.pipeline.lipsync import latentsync

    as_if_published(monkeypatch)
    monkeypatch.setattr(latentsync, "open_aligning_tracker", lambda _: DotTracker())
    clips = Clips(tmp_path)
    spec = job(clips.video(6), clips.sound(0.24))

    def lipsync(name: str, tell: Callable[[Any], None] = lambda _: None, **options: Any) -> Finished:
        context = Context(cache=tmp_path / "cache", tell=tell)
        chosen = MouthOptions(**{"steps": 2, "side_px": 64, "models": tiny} | options)
        return lipsync_by_networks(spec, tmp_path / name / "out.mp4", context, chosen)

    return lipsync


@pytest.mark.usefixtures("larger_mode")
def test_a_device_that_runs_full_is_tried_once_more_with_less_and_draws_the_same_frames(
    run: Run, device: str, filling: Callable[[int], Filling], tmp_path: Path
) -> None:
    assert run("undisturbed").frames == 6
    full, events = filling(2), list[Any]()

    def neighbour(line: Any) -> None:
        """Leaves when it is told that the card is full."""
        if getattr(line, "code", "") == "gpu.out_of_memory":
            events.append(line)
            full.free()

    done = run("tried twice", neighbour)
    assert done.frames == 6 and [use.mode for use in done.engines] == ["low"]
    [notice] = events
    assert re.search(r"latentsync needed \d+ MiB more", notice.message)
    assert notice.message.endswith("Starting again with less at a time.")
    assert bool(re.search(OF_A_CARD, notice.message)) == (device == "cuda")
    assert full.passes > 4, "the first try's, and all of the second"
    between = np.abs(pictures(tmp_path / "undisturbed/out.mp4") - pictures(tmp_path / "tried twice/out.mp4"))
    print(
        f"undisturbed and tried twice on {device}: {between.max()} at most, {between.mean():.4f} on average"
    )
    assert between.mean() < 0.2


@pytest.mark.usefixtures("larger_mode")
def test_a_device_that_stays_full_is_an_error_with_its_numbers_and_leaves_nothing(
    run: Run, device: str, filling: Callable[[int], Filling], tmp_path: Path
) -> None:
    filling(2)
    events = list[Any]()
    with pytest.raises(Unavailable) as full:
        run("full", events.append)
    assert full.value.code == "gpu.out_of_memory"
    assert re.search(r"latentsync needed \d+ MiB more", full.value.message)
    assert bool(re.search(OF_A_CARD, full.value.message)) == (device == "cuda")
    assert "a larger one" in full.value.hint
    assert len([line for line in events if getattr(line, "code", "") == "gpu.out_of_memory"]) == 1, (
        "one notice"
    )
    assert not (tmp_path / "full" / "out.mp4").exists()


def test_who_has_a_small_lease_is_told_what_is_theirs_and_is_not_tried_again(
    run: Run, device: str, filling: Callable[[int], Filling], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1024 MiB, of which the driver's part is taken off: the mode is `low` from the beginning."""
    monkeypatch.setenv("SOUNDSTAGE_VRAM_MIB", "1024")
    filling(1)
    events = list[Any]()
    with pytest.raises(Unavailable, match=r"gpu\.out_of_memory") as full:
        run("leased", events.append, **({"vram": "low"} if device == "cpu" else {}))
    assert ("1024 MiB are ours" in full.value.message) == (device == "cuda")
    assert not [line for line in events if getattr(line, "code", "") == "gpu.out_of_memory"]


def test_a_lease_of_enough_is_kept_to(run: Run, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of the lease decides the mode, however much more is free."""
    monkeypatch.setenv("SOUNDSTAGE_VRAM_MIB", "4096")
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    done = run("leased")
    assert done.frames == 6
    assert [use.mode for use in done.engines] == (["low"] if device == "cuda" else [""])
    if device == "cuda":
        assert torch.cuda.max_memory_reserved() <= (4096 - 512) * MIB
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(4096 * MIB, dtype=torch.uint8, device="cuda")
