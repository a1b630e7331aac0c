"""Finished parts of a stopped run stay until there is a result: of every scene, of both stages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("small_networks")]

from avatar.engines.latentsync.clip import Settings  # noqa: E402
from avatar.engines.latentsync.sampler import Sampler  # noqa: E402
from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402
from avatar.engines.liveportrait.animator import Animator  # noqa: E402
from avatar.engines.neural import models  # noqa: E402
from avatar.errors import Cancelled, Unavailable  # noqa: E402
from avatar.pipeline import render  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.spec import RenderSpec  # noqa: E402

SpecOf = Callable[..., dict[str, Any]]


@pytest.fixture
def stage_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Records the calls of the networks of both stages from here on."""
    done = list[str]()
    denoise, draw = Sampler.denoise, Animator.draw

    def record_denoise(self: Any, *arguments: Any, **more: Any) -> Any:
        done.append("mouth")
        return denoise(self, *arguments, **more)

    def record_draw(self: Any, *arguments: Any) -> Any:
        done.append("portrait")
        return draw(self, *arguments)

    monkeypatch.setattr(Sampler, "denoise", record_denoise)
    monkeypatch.setattr(Animator, "draw", record_draw)
    return done


@pytest.mark.parametrize(
    ("kind", "engine", "stages"),
    [
        ("photo", "liveportrait+latentsync", {"portrait", "mouth"}),
        ("video", "liveportrait", {"portrait"}),
    ],
)
def test_a_render_that_is_stopped_while_it_is_assembled_draws_nothing_again(
    spec_of: SpecOf,
    tmp_path: Path,
    stage_calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    engine: str,
    stages: set[str],
) -> None:
    spec = RenderSpec.model_validate(spec_of(kind, engine, "Mama."))
    unfinished = tmp_path / "cache" / "unfinished"

    def stop(*_: Any) -> Any:
        raise Cancelled("render.cancelled", "Stopped.")

    with monkeypatch.context() as patch, pytest.raises(Cancelled):
        patch.setattr(render, "assemble_video", stop)
        render.render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
    assert set(stage_calls) == stages
    assert list(unfinished.iterdir())
    stored_parts = len(list(unfinished.iterdir()))
    stage_calls.clear()
    events = list[Any]()
    render.render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache", tell=events.append))
    assert stage_calls == []
    assert count_resumed(events) == [("one", stored_parts)], "it says how much, and of which scene"
    assert not list(unfinished.iterdir()), "the video is there: nothing is needed any more"


def count_resumed(events: list[Any]) -> list[tuple[str, int]]:
    """The scenes of which parts of a stopped run were used, and how many."""
    notices = [line for line in events if getattr(line, "code", "") == "render.resumed"]
    return [(notice.scene, int(notice.message.rstrip(".").rpartition(" ")[2])) for notice in notices]


def frames_of(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    return [hashlib.sha256(picture).hexdigest() for picture in pictures]


def test_a_chain_whose_card_is_lost_goes_on_with_the_reuse_it_began_with(
    spec_of: SpecOf, tmp_path: Path, stage_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card vanishes in a step of the second chunk that reuses the depth of the step before: nothing of
    that depth may reach the second try, which begins the chunk anew.
    """
    settings = Settings(steps=3, side_px=64, length=8, overlap=2, reuse=3)
    monkeypatch.setattr(models, "mouth_settings", lambda _: settings)
    spec = RenderSpec.model_validate(spec_of("photo", "liveportrait+latentsync", "Mama."))
    unfinished = tmp_path / "cache" / "unfinished"
    steps = list[str]()
    whole, shallow = LatentSyncUNet.forward_full, LatentSyncUNet.forward_cached

    def deep(self: Any, *arguments: Any) -> Any:
        steps.append("whole")
        return whole(self, *arguments)

    def reusing(self: Any, *arguments: Any) -> Any:
        steps.append("shallow")
        return shallow(self, *arguments)

    monkeypatch.setattr(LatentSyncUNet, "forward_full", deep)
    monkeypatch.setattr(LatentSyncUNet, "forward_cached", reusing)
    render.render_video(spec, tmp_path / "whole" / "out.mp4", Context(cache=tmp_path / "other"))
    everything, chunks = [*stage_calls], stage_calls.count("mouth")
    one = steps[: len(steps) // chunks]
    assert chunks >= 3 and steps == one * chunks and one[0] == "whole" and one[-2:] == ["shallow"] * 2
    stage_calls.clear()
    steps.clear()

    def vanishing(self: Any, *arguments: Any) -> Any:
        steps.append("shallow")
        if len(steps) == 2 * len(one) - 1:
            raise RuntimeError("CUDA error: the launch timed out and was terminated")
        return shallow(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(Unavailable, match=r"gpu\.lost"):
        patch.setattr(LatentSyncUNet, "forward_cached", vanishing)
        render.render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
    assert stage_calls.count("mouth") == 2 and list(unfinished.iterdir())
    stored_parts = len(list(unfinished.iterdir()))
    record_draw = stage_calls.count("portrait")
    stage_calls.clear()
    steps.clear()

    events = list[Any]()
    render.render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache", tell=events.append))
    assert stage_calls.count("mouth") == chunks - 1, "one chunk was finished"
    assert steps == one * (chunks - 1)
    assert count_resumed(events) == [("one", stored_parts)]
    assert stage_calls.count("portrait") == everything.count("portrait") - record_draw
    assert frames_of(tmp_path / "out.mp4") == frames_of(tmp_path / "whole" / "out.mp4")
    assert not list(unfinished.iterdir())


@pytest.mark.slow
def test_what_was_finished_with_another_reuse_is_not_taken_for_it(
    spec_of: SpecOf, tmp_path: Path, stage_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RenderSpec.model_validate(spec_of("video", "latentsync", "Mama."))

    def stop(*_: Any) -> Any:
        raise Cancelled("render.cancelled", "Stopped.")

    def render_once(reuse: int) -> int:
        """Returns how many chunks a run computed that is stopped at its end."""
        settings = Settings(steps=2, side_px=64, length=8, overlap=2, reuse=reuse)
        stage_calls.clear()
        with monkeypatch.context() as patch, pytest.raises(Cancelled):
            patch.setattr(models, "mouth_settings", lambda _: settings)
            patch.setattr(render, "assemble_video", stop)
            render.render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
        return stage_calls.count("mouth")

    chunks = render_once(reuse=1)
    assert (chunks >= 2, render_once(reuse=1), render_once(reuse=2), render_once(reuse=2)) == (
        True,
        0,
        chunks,
        0,
    )
