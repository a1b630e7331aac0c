"""The networks in batches, in half precision, and on a card that is too small for a batch."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from avatar.engines.liveportrait.motion_values import Pose
from avatar.engines.liveportrait.poses import Openings, SourceFace
from avatar.errors import Cancelled, Unavailable
from avatar.face.anchors import CropFrame

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator

torch: Any = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch


def poses(count: int) -> list[Pose]:
    draw = np.random.default_rng(2).normal
    source = draw(0, 0.3, (21, 3)).astype(np.float32)
    return [Pose(source, source + draw(0, 0.03, (21, 3)).astype(np.float32)) for _ in range(count)]


def crop(side: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 255, (side, side, 3), np.uint8)


def test_a_card_too_small_for_a_batch_takes_fewer_frames(
    animator: Animator, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = animator.volume([crop(animator.side_px)])
    whole, sizes = animator.draw(volume, poses(4)), []
    drawn = type(animator)._drawn

    def small_card(self: Animator, volume: Any, poses: Any) -> Any:
        sizes.append(len(poses))
        if len(poses) > 1:
            raise torch.OutOfMemoryError("full")
        return drawn(self, volume, poses)

    monkeypatch.setattr(type(animator), "_drawn", small_card)
    assert np.abs(animator.draw(volume, poses(4)).astype(int) - whole).max() <= 1
    assert sizes == [4, 2, 1, 1, 2, 1, 1]


def test_a_compiled_network_sees_batches_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another size would be compiled anew: a minute at the end of every video."""
    from small_networks import small_networks

    sizes: list[int] = []

    def compile_double(network: Any, **_: object) -> Any:
        def run(*arguments: Any) -> Any:
            sizes.append(len(arguments[0]))
            return network(*arguments)

        return run

    monkeypatch.setattr(torch, "compile", compile_double)
    plain = _animator(small_networks(), compile=False)
    small = _animator(small_networks(), compile=True)
    shared, own = small.volume([crop(64)]), small.volume([crop(64)] * 3)
    for volume, count in ((shared, 4), (shared, 3), (own, 3), (shared, 1)):
        drawn = small.draw(volume, poses(count))
        assert np.abs(drawn.astype(int) - plain.draw(volume, poses(count))).max() <= 1
    assert set(sizes) == {4}


def test_a_compiled_network_on_a_small_card_takes_fewer_frames_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from small_networks import small_networks

    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    small = _animator(small_networks(), compile=True)
    volume, sizes = small.volume([crop(64)]), []
    small.draw(volume, poses(4))
    drawn = type(small)._drawn

    def small_card(self: Animator, volume: Any, poses: Any) -> Any:
        sizes.append(len(poses))
        if len(poses) > 2:
            raise torch.OutOfMemoryError("full")
        return drawn(self, volume, poses)

    monkeypatch.setattr(type(small), "_drawn", small_card)
    assert len(small.draw(volume, poses(1))) == 1
    assert len(small.draw(volume, poses(4))) == 4
    assert len(small.draw(volume, poses(1))) == 1
    assert sizes == [4, 1, 4, 2, 2, 2]


def _animator(networks: Any, *, compile: bool) -> Animator:
    from avatar.engines.liveportrait.animator import Animator

    return Animator(networks, torch.device("cpu"), torch.float32, compile=compile)


@pytest.mark.parametrize("network", ["motion", "appearance", "generator"])
def test_values_that_are_no_numbers_are_told_and_never_drawn(network: str) -> None:
    """A black face would be what a person sees of them."""
    from small_networks import small_networks

    networks = small_networks()
    small = _animator(networks, compile=False)
    next(iter(getattr(networks, network).parameters())).data.fill_(float("inf"))
    with pytest.raises(Unavailable, match=r"gpu\.not_finite.*liveportrait computed in float32"):
        small.motions([crop(64)])
        small.draw(small.volume([crop(64)]), poses(1))


def test_a_card_too_small_for_one_frame_is_told(animator: Animator, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 64.00 MiB.")

    monkeypatch.setattr(type(animator), "_drawn", full)
    with pytest.raises(Unavailable, match=r"gpu\.out_of_memory.*one frame, needed 64 MiB more"):
        animator.draw(animator.volume([crop(animator.side_px)]), poses(1))


@pytest.mark.parametrize(("network", "requested"), [("motion", "motions"), ("appearance", "volume")])
def test_what_is_read_of_faces_fits_a_small_card_too(
    animator: Animator, monkeypatch: pytest.MonkeyPatch, network: str, requested: str
) -> None:
    drawn = np.random.default_rng(5).integers(0, 255, (5, animator.side_px, animator.side_px, 3), np.uint8)
    crops, whole = list(drawn), getattr(animator, requested)
    expected = whole(crops)
    forward, most = getattr(animator.networks, network).forward, 2

    def small(pictures: Any) -> Any:
        if len(pictures) > most:
            raise torch.OutOfMemoryError("full")
        return forward(pictures)

    monkeypatch.setattr(getattr(animator.networks, network), "forward", small)
    result = whole(crops)
    assert len(result) == 5
    for ours, theirs in zip(result, expected, strict=True):
        if network == "motion":
            ours, theirs = ours.exp, theirs.exp
        assert np.allclose(np.asarray(ours), np.asarray(theirs), atol=1e-4)
    most = 0
    with pytest.raises(Unavailable, match=r"gpu\.out_of_memory.*one frame"):
        whole(crops)


def test_a_frame_can_be_stopped_in_its_midst_and_drawn_afterwards(animator: Animator) -> None:
    """On a processor one frame of the full networks takes longer than a worker has to go."""
    volume, pose = animator.volume([crop(animator.side_px)]), poses(1)
    expected = animator.draw(volume, pose)
    requested = 0

    def check() -> None:
        nonlocal requested
        requested += 1
        if requested == stop:
            raise Cancelled("render.cancelled", "Stopped.")

    stop = 0
    with animator.stoppable(check):
        assert np.array_equal(animator.draw(volume, pose), expected)
    layers, requested = requested, 0
    assert layers > 30
    stop = layers // 2
    with pytest.raises(Cancelled), animator.stoppable(check):
        animator.draw(volume, pose)
    assert requested == stop, "nothing was computed after that"
    assert np.array_equal(animator.draw(volume, pose), expected)
    assert requested == stop, "and nobody asks any more"


def test_memory_stays_flat_over_many_frames_at_1080p(animator: Animator) -> None:
    from avatar.engines.liveportrait.reenactment import Reenactment

    picture = np.zeros((1080, 1920, 3), np.uint8)
    drawing = Reenactment(animator, batch=4)
    matrix = CropFrame((960, 500), 700, 0.1).matrix(animator.networks.sizes.output_px)
    source = SourceFace(
        animator.motions([crop(animator.side_px)])[0], Openings(np.zeros(2, np.float32), 0.0), matrix
    )

    def endless() -> Iterator[Pose]:
        while True:
            yield from poses(4)

    frames = drawing.photo(picture, source, endless())
    for _ in range(16):
        next(frames)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(120):
        assert next(frames).shape == picture.shape
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 40, "120 frames are 711 MiB"
