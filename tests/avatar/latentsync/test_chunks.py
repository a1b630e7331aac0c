from __future__ import annotations

from itertools import pairwise

import pytest

pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.smoke]

from avatar.engines.latentsync.clip import incoming_weight, plan_chunks  # noqa: E402


@pytest.mark.parametrize("frames", [16, 17, 28, 29, 250, 1001])
@pytest.mark.parametrize("overlap", [0, 2, 4])
def test_chunks_of_one_length_cover_the_clip_and_overlap(frames: int, overlap: int) -> None:
    chunks = plan_chunks(frames, 16, overlap)
    assert {len(chunk) for chunk in chunks} == {16}
    assert (chunks[0].start, chunks[-1].stop) == (0, frames)
    for before, chunk in pairwise(chunks):
        assert before.start < chunk.start <= before.stop - overlap
    # No chunk is there in vain: one fewer would not reach.
    assert (len(chunks) - 1) * (16 - overlap) + overlap < frames


def test_a_short_clip_is_one_short_chunk_and_an_empty_one_none() -> None:
    assert plan_chunks(5) == [range(5)]
    assert plan_chunks(0) == []


def test_the_next_chunk_comes_in_evenly() -> None:
    before, chunk = range(0, 16), range(12, 28)
    weights = [incoming_weight(frame, before, chunk) for frame in chunk]
    assert weights[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert set(weights[4:]) == {1.0}


def test_an_overlap_as_long_as_a_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        plan_chunks(100, 16, 16)
