"""The input of the networks after the end of a sound can be chosen: `avatar lipsync --tail`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from synthetic_speaker import Clips

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.cli.arguments import build_parser  # noqa: E402
from avatar.cli.lipsyncing import lipsync  # noqa: E402
from avatar.engines.latentsync import engine as engines  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.spec import Consent  # noqa: E402

AGREED = Consent(id="c1", person="A drawing", granted_at="2026-01-01", purpose="test")


@pytest.mark.parametrize(("chosen", "expected_tail"), [([], "tone"), (["--tail", "silence"], "silence")])
def test_the_end_of_a_sound_is_heard_as_trained_or_as_silence(
    clips: Clips,
    small_engine: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    chosen: list[str],
    expected_tail: str,
) -> None:
    tails: list[str] = []

    class Listened(engines.LogMel):
        def __init__(self, sound: Any, tail: Any = "tone") -> None:
            tails.append(tail)
            super().__init__(sound, tail)

    monkeypatch.setattr(engines, "LogMel", Listened)
    monkeypatch.setattr("avatar.pipeline.lipsync.latentsync.open_latentsync", lambda _: small_engine(steps=1))
    video, sound = clips.video(3), clips.sound(0.12)
    video.with_name("in.mp4.consent.json").write_text(AGREED.model_dump_json())
    out = clips.folder / "out.mp4"
    arguments = ["lipsync", "--video", str(video), "--audio", str(sound), "--out", str(out), *chosen]
    assert lipsync(build_parser().parse_args(arguments), Context(cache=clips.folder / "cache")).frames == 3
    assert tails == [expected_tail]
