"""The face of a source or driving video: chosen from the left, followed, never exchanged for another."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
sys.path.insert(0, str(Path(__file__).parents[1] / "face"))

from avatar.compose.footage import footage
from avatar.engines.liveportrait.filmed import follow_faces
from avatar.pipeline.context import Context
from avatar.pipeline.reenact.video import ReenactJob, ReenactOptions, reenact
from avatar.spec import Consent
from clipmaker import Clip, two_faces
from scripted_people import BLUE, GREEN, ScriptedTracker, picture_of

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator

pytestmark = pytest.mark.torch

AGREED = Consent(id="c1", person="A. Person", granted_at="2026-01-31", purpose="tests")


def middles(pictures: list[Any], index: int | None = None) -> list[float | None]:
    found = (points for _, points in follow_faces(pictures, ScriptedTracker(), index))
    return [None if one is None else float(one[2, 0]) for one in found]


def test_who_is_small_is_followed_and_who_comes_back_elsewhere_is_known() -> None:
    for size in (48, 120):
        here, there = picture_of((BLUE, 100, 150, size)), picture_of((BLUE, 800, 400, size))
        found = middles([here] * 3 + [picture_of()] * 6 + [there] * 40)
        assert found[:3] == pytest.approx([100] * 3, abs=1) and found[3:9] == [None] * 6
        assert found[35:] == pytest.approx([800] * 14, abs=1), size


def test_a_bystander_does_not_take_over() -> None:
    both = picture_of((BLUE, 200, 270, 120), (GREEN, 480, 270, 120))
    found = middles([both] * 5 + [picture_of((GREEN, 480, 270, 120))] * 100 + [both] * 3, 0)
    assert found == [pytest.approx(200, abs=1)] * 5 + [None] * 100 + [pytest.approx(200, abs=1)] * 3


@pytest.mark.parametrize(("index", "moved"), [(0, 0), (1, 1), (None, 0)])
def test_face_index_says_whose_face_moves(
    animator: Animator, driving: Clip, tmp_path: Path, index: int | None, moved: int
) -> None:
    source = two_faces(tmp_path / "two.mp4", seconds=0.32)
    job = ReenactJob(
        source=source, driving=driving.path, consent=AGREED, options=ReenactOptions(face_index=index)
    )
    out = tmp_path / "out.mp4"
    done = reenact(job, out, Context(cache=tmp_path / "cache"), lambda _: animator)
    assert done.lost_face_frames == ()
    result, filmed = (
        np.stack(list(islice(footage(path, 25, loop=False, shown=path.name), 8))) for path in (out, source)
    )
    apart = np.abs(result.astype(int) - filmed.astype(int)).mean(axis=(0, 1, 3))
    halves = [apart[:427].mean(), apart[427:].mean()]
    assert halves[moved] > 3 * halves[1 - moved], halves
