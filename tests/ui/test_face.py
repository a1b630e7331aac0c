"""The face in the browser draws what the worker's rig draws, and moves its mouth as the worker does."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import Browser, Page
from studio_page import REPOSITORY, bundle

pytestmark = pytest.mark.browser
SIDE = 360
POSES = {
    "rest": {},
    "a": {"jaw": 0.9, "low": 0.37},
    "i": {"jaw": 0.21, "low": 0.27, "wide": 0.75},
    "u": {"jaw": 0.21, "low": 0.27, "wide": -0.95},
    "f": {"jaw": 0.03, "raise": 0.55, "tuck": 1.0, "wide": 0.1},
    "l": {"jaw": 0.3, "low": 0.29, "tongue": 0.7},
    "turned": {"yaw_deg": 9.0, "pitch_deg": 4.0, "roll_deg": 4.0, "blink": 0.6, "brow": 0.7, "smile": 0.6},
}
PRESENTERS = ("nova", "milo", "vera", "finn")
PHONES = [
    ("", 0, 200),
    *((ipa, 200 + 90 * k, 290 + 90 * k) for k, ipa in enumerate("mʌtɪfɔ")),
    ("", 740, 1200),
]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Pictures of the worker's rig, and its mouth curves."""
    folder = tmp_path_factory.mktemp("faces")
    python = REPOSITORY / "avatar" / ".venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("needs the worker's environment: make setup")
    request = {
        "side": SIDE, "folder": str(folder), "presenters": PRESENTERS, "poses": POSES, "phones": PHONES
    }  # fmt: skip
    ran = subprocess.run(
        [python, Path(__file__).with_name("rig_pictures.py")],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    return folder, json.loads(ran.stdout)


@pytest.fixture(scope="module")
def page(browser: Browser, built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """An empty page with the module of the face in it."""
    script = tmp_path_factory.mktemp("bundle") / "face.js"
    bundle(Path(__file__).with_name("face_entry.ts"), script, "--format", "iife", "--name", "face")
    page = browser.new_page()
    page.add_script_tag(path=script)
    return page


@pytest.mark.parametrize("presenter", PRESENTERS)
def test_the_browser_draws_what_the_rig_draws(
    page: Page, rig: tuple[Path, dict[str, Any]], presenter: str
) -> None:
    folder, _ = rig
    character = json.loads((REPOSITORY / f"ui/src/face/characters/{presenter}.json").read_text())
    for name, channels in POSES.items():
        url = page.evaluate(
            """([character, channels, side]) => {
                const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
                const context = canvas.getContext("2d", { alpha: false });
                context.fillStyle = "rgb(128 128 128)";
                context.fillRect(0, 0, side, side);
                const pose = new face.Pose({ ...face.rest(), ...channels });
                face.drawFigure(context, character, pose, side, side);
                return canvas.toDataURL("image/png");
            }""",
            [character, channels, SIDE],
        )
        drawn = folder / f"{presenter}-{name}-browser.png"
        drawn.write_bytes(base64.b64decode(url.split(",")[1]))
        mean, mouth = differences(drawn, folder / f"{presenter}-{name}-rig.png")
        assert mean < 0.6 and mouth < 1.5, (presenter, name, mean, mouth, str(folder))


def differences(one: Path, other: Path) -> tuple[float, float]:
    """Returns the mean difference of the whole picture and of the mouth, of 255."""
    first, second = (Image.open(path).convert("RGB") for path in (one, other))
    difference = ImageChops.difference(first, second)
    mouth = difference.crop((SIDE // 2 - 40, round(SIDE * 0.53), SIDE // 2 + 40, round(SIDE * 0.75)))
    return sum(ImageStat.Stat(difference).mean) / 3, sum(ImageStat.Stat(mouth).mean) / 3


def test_the_mouth_moves_as_the_worker_moves_it(page: Page, rig: tuple[Path, dict[str, Any]]) -> None:
    _, worker = rig
    found = page.evaluate(
        """({ visemes, duration_ms }) => Object.fromEntries(Object.entries(
            face.mouthCurves(visemes, [], duration_ms)).map(([name, curve]) => [name, [...curve]]))""",
        worker,
    )
    for name, curve in worker["curves"].items():
        worst = max(abs(a - b) for a, b in zip(found[name], curve, strict=True))
        assert worst < 0.02, (name, worst)
    assert max(found["jaw"]) > 0.3


def test_the_description_is_what_the_worker_says(rig: object, tmp_path: Path) -> None:
    write = REPOSITORY / "scripts" / "bench"
    subprocess.run([write, "face_description", tmp_path], check=True, capture_output=True)
    for path in sorted(tmp_path.rglob("*.json")):
        committed = REPOSITORY / "ui" / "src" / "face" / path.relative_to(tmp_path)
        # Whether a zero is negative differs from one processor to another.
        assert json.loads(committed.read_text()) == json.loads(path.read_text()), (
            "run: scripts/bench face_description ui/src/face"
        )
