"""The picture in a long pause of a render: of a video, and of a photo that LivePortrait moves first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("small_networks")]

from avatar.engines.base import EngineReport  # noqa: E402
from avatar.engines.latentsync import face_placement  # noqa: E402
from avatar.engines.latentsync.engine import LatentSync, read_footage  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.segment import make_segment  # noqa: E402
from avatar.spec import RenderSpec  # noqa: E402

TAIL_MS = 700


@pytest.fixture
def call_log(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any]]:
    """Pictures that LatentSync is given, and those it hands on. The lips of all count as shut."""
    inputs, outputs = list[Any](), list[Any]()
    drawing = LatentSync.pictures

    def record_pictures(pictures: Iterator[Any], into: list[Any]) -> Iterator[Any]:
        for picture in pictures:
            into.append(picture.copy())
            yield picture

    @contextmanager
    def pictures(self: Any, job: Any, *more: Any) -> Iterator[Any]:
        before = job.drawn or (lambda: read_footage(job, EngineReport()))
        with drawing(self, replace(job, drawn=lambda: record_pictures(before(), inputs)), *more) as drawn:
            yield record_pictures(drawn, outputs)

    monkeypatch.setattr(LatentSync, "pictures", pictures)
    monkeypatch.setattr(face_placement, "lip_opening", lambda points: 0.0)
    return inputs, outputs


@pytest.mark.parametrize(
    ("kind", "engine", "choice"),
    [
        ("video", "latentsync", {}),
        ("photo", "liveportrait+latentsync", {}),
        ("photo", "liveportrait+latentsync", {"pauses": "drawn"}),
    ],
)
def test_a_long_pause_of_a_render_shows_the_given_frames_unless_all_are_to_be_drawn(
    spec_of: Callable[..., dict[str, Any]],
    call_log: tuple[list[Any], list[Any]],
    tmp_path: Path,
    kind: str,
    engine: str,
    choice: dict[str, str],
) -> None:
    spec = spec_of(kind, engine, "Ma.", lead_in_ms=0, tail_ms=TAIL_MS)
    spec["scenes"][0]["face"].update(choice)
    segment = make_segment(
        RenderSpec.model_validate(spec), "one", tmp_path / "segment", Context(cache=tmp_path / "cache")
    )
    inputs, outputs = call_log
    assert len(inputs) == len(outputs) == segment.record.frames
    rests = [np.array_equal(one, other) for one, other in zip(inputs, outputs, strict=True)]
    (word,) = segment.record.words
    if choice:
        assert not any(rests)
    else:
        begins = rests.index(True)
        assert begins > word.end_ms / 40 and not any(rests[:begins]), "speech is drawn"
        assert all(rests[begins:]) and len(rests) - begins >= 4
