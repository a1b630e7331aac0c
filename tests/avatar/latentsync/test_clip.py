"""Chunks, blending and memory of a clip, with small random networks on the processor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from synthetic_speaker import DotTracker, speaker

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

import latentsync_cases as cases  # noqa: E402
from avatar.engines.latentsync.clip import LENGTH, OVERLAP, Clip, FrameInput, Settings, plan_chunks  # noqa: E402  # noqa: E402
from avatar.engines.latentsync.face_placement import FacePlacement, PlacementTracker  # noqa: E402
from avatar.engines.latentsync.faces import cut_out  # noqa: E402
from avatar.engines.latentsync.loading import Networks  # noqa: E402
from avatar.engines.latentsync.memory import Plan  # noqa: E402
from avatar.engines.latentsync.sampler import Sampler  # noqa: E402
from avatar.engines.resume_cache import ResumeCache  # noqa: E402
from avatar.errors import Cancelled  # noqa: E402
from seeded import noise  # noqa: E402

CPU = torch.device("cpu")
PLAN = Plan(CPU, torch.float32, split=False, faces=4)
SETTINGS = Settings(steps=2, side_px=64)
SEAM_FRAMES, CUT = 44, 11
"""Of the clip whose borders are looked at, and of its chunks without overlap."""


def frame_inputs(count: int, hidden: range = range(0), side_px: int = 64) -> Iterator[FrameInput]:
    follower, tracker = PlacementTracker(side_px), DotTracker()
    # Slow changes of what is heard, as speech has them.
    keys = noise("heard", (count // 8 + 2, 50, 384))
    for index in range(count):
        picture = speaker(index, hidden=index in hidden)
        placement = follower.update(next(iter(tracker.track(picture)), None))
        crop = (
            cut_out(picture, placement.matrix, side_px, CPU)[:, :, ::-1]
            if placement.matrix is not None
            else np.zeros((side_px, side_px, 3))
        )
        part = (index % 8) / 8
        audio_embeds = torch.from_numpy((1 - part) * keys[index // 8] + part * keys[index // 8 + 1])
        yield FrameInput(picture, placement, np.ascontiguousarray(crop, np.uint8), audio_embeds)


def draw_clip(networks: Any, count: int, plan: Plan = PLAN, **changes: Any) -> np.ndarray:
    clip = Clip(networks, plan, replace(SETTINGS, **changes))
    return np.stack(list(clip.draw(frame_inputs(count), count))).astype(int)


class Faces(Clip):
    """Keeps the drawn faces, float32 in -1..1, instead of laying them back."""

    def __init__(self, *inputs: Any) -> None:
        super().__init__(*inputs)
        self.faces: list[np.ndarray] = []

    def _paste(self, frame_input: FrameInput, face: Any) -> Any:
        self.faces.append(face.numpy())
        return frame_input.picture


def faces(networks: Any, count: int, length: int, overlap: int) -> np.ndarray:
    clip = Faces(networks, PLAN, replace(SETTINGS, length=length, overlap=overlap))
    list(clip.draw(frame_inputs(count), count))
    return np.stack(clip.faces)


def seams(results: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns the change of the distance to `whole` from frame to frame: the seam score of every border."""
    return np.abs(np.diff(results - whole, axis=0)).mean(axis=(1, 2, 3))


def seam_networks() -> Any:
    """Returns `networks` with positions for as many frames in one chunk; the published one has 24."""
    unet = cases.our_unet(replace(cases.SMALL, motion_positions=SEAM_FRAMES))
    return Networks(unet, cases.our_whisper(), cases.our_vae())


def flicker(results: np.ndarray) -> np.ndarray:
    """Returns the distance of each frame from the middle of its neighbours: the second difference in time."""
    return np.abs(np.diff(results, n=2, axis=0)).mean(axis=(1, 2, 3))


def test_the_mouth_changes_and_the_rest_of_the_frame_does_not(networks: Any) -> None:
    result = draw_clip(networks, 4)
    filmed = np.stack([speaker(index) for index in range(4)]).astype(int)
    changed = np.abs(result - filmed).max(axis=3)
    assert changed[:, 90:120, 80:110].mean() > 5
    assert not changed[:, :, :20].any()
    assert not changed[:, :25].any()


def test_no_seam_shows_and_nothing_flickers_where_chunks_meet() -> None:
    """Chunks as they are by default, which meet twice, against all frames in one chunk.
    Without overlap both are there, so the scores see them.
    """
    assert [chunk.start for chunk in plan_chunks(SEAM_FRAMES)] == [0, 14, 28]
    networks = seam_networks()
    whole = faces(networks, SEAM_FRAMES, length=SEAM_FRAMES, overlap=0)
    cut, joined = (faces(networks, SEAM_FRAMES, *ways) for ways in ((CUT, 0), (LENGTH, OVERLAP)))
    borders = list(range(CUT - 1, SEAM_FRAMES - 1, CUT))
    usual = np.delete(seams(cut, whole), borders).max()
    assert seams(cut, whole)[borders].min() > 2.5 * usual
    assert seams(joined, whole).max() < 1.4 * usual
    # A border lies within the differences of the two frames beside it.
    assert (flicker(cut) / flicker(whole)).max() > 1.7
    assert (flicker(joined) / flicker(whole)).max() < 1.2


def test_frames_of_a_chunk_share_their_norms_so_chunks_are_of_one_length(networks: Any) -> None:
    lengths: list[int] = []
    clip = Clip(networks, PLAN, replace(SETTINGS, steps=1, length=6, overlap=2))
    clip._sampler = _Counting(clip._sampler, lengths)  # type: ignore[assignment]
    assert len(list(clip.draw(frame_inputs(15), 15))) == 15
    assert set(lengths) == {6}


class _Counting:
    def __init__(self, sampler: Any, lengths: list[int], groups: list[int] | None = None) -> None:
        self._real, self._lengths, self._groups = sampler, lengths, groups

    def denoise(self, start: Any, chunks: Any, check: Any) -> Any:
        self._lengths += [chunk.num_frames for chunk in chunks]
        if self._groups is not None:
            self._groups.append(len(chunks))
        return self._real.denoise(start, chunks, check)


def test_no_more_shots_are_taken_than_the_next_chunk_needs(networks: Any) -> None:
    taken = 0

    def count_frames() -> Iterator[FrameInput]:
        nonlocal taken
        for frame_input in frame_inputs(40):
            taken += 1
            yield frame_input

    clip = Clip(networks, PLAN, replace(SETTINGS, steps=1, length=6, overlap=2))
    most = 0
    for done, _ in enumerate(clip.draw(count_frames(), 40)):
        most = max(most, taken - done)
    assert most <= 6


def test_what_is_compiled_is_asked_for_one_shape_alone(networks: Any) -> None:
    """Of five chunks two at a time, one of them without a face: another shape would take minutes."""
    ways, settings = replace(PLAN, chunks=2), replace(SETTINGS, steps=1, length=6, overlap=0)
    inputs = [
        replace(frame_input, placement=FacePlacement(frame_input.placement.matrix, 0.0, False))
        if 6 <= index < 12
        else frame_input
        for index, frame_input in enumerate(frame_inputs(30))
    ]
    groups: dict[bool, list[int]] = {False: [], True: []}
    results = {}
    for compiled, requested in groups.items():
        clip = Clip(networks, replace(ways, compile=compiled), settings)
        clip._sampler = _Counting(Sampler(networks.unet, 1), [], requested)  # type: ignore[assignment]
        results[compiled] = np.stack(list(clip.draw(iter(inputs), 30))).astype(int)
    assert groups == {False: [1, 2, 1], True: [2, 2, 2]}
    assert np.abs(results[True] - results[False]).max() <= 1


def test_latents_leave_the_card_only_where_they_are_kept(networks: Any) -> None:
    class Never(ResumeCache):
        def put(self, name: str, content: bytes) -> None:
            raise AssertionError("nothing is kept")

    clip = Clip(networks, PLAN, replace(SETTINGS, steps=1), resume_cache=Never(None))
    assert len(list(clip.draw(frame_inputs(2), 2))) == 2


def test_frames_without_a_face_are_passed_through_and_cost_nothing(networks: Any) -> None:
    lengths: list[int] = []
    clip = Clip(networks, PLAN, SETTINGS)
    clip._sampler = _Counting(clip._sampler, lengths)  # type: ignore[assignment]
    nobody = [
        replace(frame_input, placement=FacePlacement(None, 0.0, False))
        for frame_input in islice(frame_inputs(16), 16)
    ]
    result = list(clip.draw(iter(nobody), 16))
    assert lengths == []
    assert all(np.array_equal(a, frame_input.picture) for a, frame_input in zip(result, nobody, strict=True))


def test_a_stop_comes_through_between_two_steps(networks: Any) -> None:
    requested = 0

    def check() -> None:
        nonlocal requested
        requested += 1
        if requested > 6:
            raise Cancelled("render.cancelled", "Stopped.")

    with pytest.raises(Cancelled):
        list(Clip(networks, PLAN, replace(SETTINGS, steps=8), check).draw(frame_inputs(20), 20))
