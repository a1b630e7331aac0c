"""What a stopped run had finished is there until there is a result: of every scene, of both stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("small_networks")]

from avatar.engines.latentsync.sampler import Sampler  # noqa: E402
from avatar.engines.liveportrait.animator import Animator  # noqa: E402
from avatar.errors import Cancelled  # noqa: E402
from avatar.pipeline import render  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.spec import RenderSpec  # noqa: E402

SpecOf = Callable[..., dict[str, Any]]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the networks of both stages are asked for from here on."""
    done = list[str]()
    denoise, draw = Sampler.denoise, Animator.draw

    def denoised(self: Any, *given: Any, **more: Any) -> Any:
        done.append("mouth")
        return denoise(self, *given, **more)

    def drawn(self: Any, *given: Any) -> Any:
        done.append("portrait")
        return draw(self, *given)

    monkeypatch.setattr(Sampler, "denoise", denoised)
    monkeypatch.setattr(Animator, "draw", drawn)
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
    computed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    engine: str,
    stages: set[str],
) -> None:
    spec = RenderSpec.model_validate(spec_of(kind, engine, "Mama."))
    unfinished = tmp_path / "cache" / "unfinished"

    def stopped(*_: Any) -> Any:
        raise Cancelled("render.cancelled", "Stopped.")

    with monkeypatch.context() as patch, pytest.raises(Cancelled):
        patch.setattr(render, "assemble_video", stopped)
        render.render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
    assert set(computed) == stages
    assert list(unfinished.iterdir())
    computed.clear()
    render.render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
    assert computed == []
    assert not list(unfinished.iterdir()), "the video is there: nothing is needed any more"
