"""One small render with everything in it, made once, and the worker's command as other programs run it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from avatar.pipeline.context import Context
from avatar.pipeline.render import render_video
from avatar.spec import Finished, RenderSpec

SCRIPT = "Hello, I am Nova. This is a test."


def small_spec(*scenes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A spec that renders in a second."""
    return {
        "title": "A small test",
        "canvas": {"width": 320, "height": 180, "fps": 25},
        "scenes": [{"script": SCRIPT, "lead_in_ms": 100, "tail_ms": 200, **scene} for scene in scenes],
        **more,
    }


@pytest.fixture(scope="session", name="small_spec")
def small_spec_fixture() -> Callable[..., dict[str, Any]]:
    return small_spec


@pytest.fixture(scope="session")
def flag_png(tmp_path_factory) -> Path:
    """Green above, blue below."""
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:20] = (0, 200, 0)
    picture[20:] = (200, 0, 0)
    path = tmp_path_factory.mktemp("pictures") / "flag.png"
    cv2.imwrite(str(path), picture)
    return path


@pytest.fixture(scope="session")
def small_render(tmp_path_factory, flag_png) -> tuple[RenderSpec, Path, Finished, list[Any]]:
    """Two scenes: a plain one, and one on a colour with an image that comes with the word Nova."""
    folder = tmp_path_factory.mktemp("rendered")
    overlay = {
        "kind": "image",
        "image": {"path": str(flag_png)},
        "box": {"x": 0.05, "y": 0.1, "width": 0.2, "height": 0.3},
        "fade_ms": 0,
        "start": {"at": "word", "word": "Nova"},
        "end": {"at": "word", "word": "test", "edge": "end"},
    }
    spec = RenderSpec.model_validate(
        small_spec(
            {"id": "plain"},
            {
                "id": "placed",
                "script": "Nova again. A second test.",
                "background": {"kind": "colour", "colour": "#802020"},
                "layout": {"box": {"x": 0.5, "y": 0.2, "width": 0.5, "height": 0.8}},
                "overlays": [overlay],
            },
            output={"captions": {"mode": "both"}},
        )
    )
    lines: list[Any] = []
    target = folder / "out" / "film.mp4"
    finished = render_video(spec, target, Context(cache=folder / "cache", tell=lines.append))
    return spec, target, finished, lines


@pytest.fixture
def avatar(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `avatar` in a process of its own, as the scheduler does."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command(), *map(str, arguments), "--cache", str(tmp_path / "cache")],
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def command() -> list[str]:
    return [sys.executable, "-c", "import sys; from avatar.cli import main; sys.exit(main())"]


@pytest.fixture(scope="session", name="command")
def command_fixture() -> list[str]:
    return command()


@pytest.fixture
def write_spec(tmp_path) -> Callable[[dict[str, Any]], Path]:
    def write(spec: dict[str, Any]) -> Path:
        path = tmp_path / "spec.json"
        path.write_text(json.dumps(spec), encoding="utf-8")
        return path

    return write
