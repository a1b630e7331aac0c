"""A film of five minutes about the product itself is made in the editor by clicks and typing alone, from an empty start;
by REST it is the same, to the last byte of its spec.
"""

from __future__ import annotations

import io
import json
import math
import subprocess
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
import yaml
from editor_page import expect_saved
from film_hands import FilmHands
from playwright.sync_api import Locator, Page, expect
from studio_page import PATIENCE_MS, Studio, Visit, Visiting, address, wait_for

pytestmark = pytest.mark.browser
FILM = Path(__file__).with_name("tutorial_film.yaml")
SCREEN = {"width": 1280, "height": 720}
"""Of the film's shape: shares of a picture are shares of the film."""
SAMPLE = (
    "Welcome to Soundstage. Type a text, and somebody says it.",
    "Change a word, and only this scene is made again.",
    "Then send your friends a link.",
)
Described = dict[str, Any]
Box = dict[str, float]


@dataclass
class Pictures:
    """Files for the film, and where things are in them, in shares of the picture."""

    folder: Path
    boxes: dict[str, Box] = field(default_factory=dict)

    def take(self, page: Page, name: str, **things: Locator) -> None:
        page.evaluate("document.activeElement?.blur()")
        wait_for(page, "document.fonts.status == 'loaded' && [...document.images].every(one => one.complete)")
        for thing, found in things.items():
            bounds = found.bounding_box()
            assert bounds is not None, thing
            self.boxes[f"{name} {thing}"] = around(bounds)
        page.screenshot(path=self.folder / f"{name}.png", animations="disabled")


def around(bounds: Any, air: float = 6) -> Box:
    """Returns the box with some air, inside the picture, in the steps that the page has."""
    left, top = max(0.0, bounds["x"] - air), max(0.0, bounds["y"] - air)
    right = min(SCREEN["width"], bounds["x"] + bounds["width"] + air)
    bottom = min(SCREEN["height"], bounds["y"] + bounds["height"] + air)
    width, height = SCREEN["width"], SCREEN["height"]
    shares = {"x": left / width, "y": top / height, "width": (right - left) / width, "height": (bottom - top) / height}
    return {name: round(share, 3) for name, share in shares.items()}


def point(box: Box, side: str) -> dict[str, float]:
    """Returns a point at the edge of a box, or some way above or below it, towards the middle of the picture."""
    middle = box["x"] + box["width"] / 2
    aside = middle - 0.12 if middle > 0.5 else middle + 0.12
    x, y = {
        "edge_of": (middle, box["y"] + (0 if box["y"] > 0.5 else box["height"])),
        "above": (aside, box["y"] - 0.22),
        "below": (aside, box["y"] + box["height"] + 0.22),
    }[side]
    return {"x": round(x, 3), "y": round(y, 3)}


def settled(described: Any, pictures: Pictures, files: dict[str, Described]) -> Any:
    """Returns the description with files and places in it."""
    if isinstance(described, list):
        return [settled(one, pictures, files) for one in described]
    if not isinstance(described, dict):
        return described
    match described:
        case {"file": name}:
            return files[name]
        case {"around": thing}:
            return pictures.boxes[thing]
        case {"edge_of": thing}:
            return point(pictures.boxes[thing], "edge_of")
        case {"above": thing}:
            return point(pictures.boxes[thing], "above")
        case {"below": thing}:
            return point(pictures.boxes[thing], "below")
    return {name: settled(one, pictures, files) for name, one in described.items()}


def write_music(path: Path, seconds: int = 12, rate: int = 16_000) -> None:
    """Writes soft chords, which begin again without a joint."""
    time = np.arange(seconds * rate) / rate
    chords = ((220.0, 277.18, 329.63), (196.0, 246.94, 293.66), (174.61, 220.0, 261.63), (196.0, 246.94, 329.63))
    sound = np.zeros_like(time)
    for number, chord in enumerate(chords):
        at = time - number * seconds / len(chords)
        swell = np.where((at >= 0) & (at < seconds / len(chords)), np.sin(np.pi * np.clip(at * len(chords) / seconds, 0, 1)), 0)
        sound += swell * sum(np.sin(2 * np.pi * tone * time) for tone in chord)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((sound / np.abs(sound).max() * 12_000).astype("<i2").tobytes())


def record_typing(page: Page, path: Path) -> None:
    """Writes a clip of somebody typing on the page New film."""
    page.get_by_label("Script", exact=True).click()
    text = "\n\n".join(SAMPLE)
    pictures = [page.screenshot()]
    for at in range(0, len(text), 3):
        page.keyboard.type(text[at : at + 3])
        pictures.append(page.screenshot())
    page.get_by_role("button", name="Make it").hover()
    pictures += [page.screenshot()] * 15
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = SCREEN["width"], SCREEN["height"], "yuv420p"
        for one in pictures:
            with av.open(io.BytesIO(one)) as picture:
                file.mux(stream.encode(next(picture.decode(video=0)).reformat(format="yuv420p")))
        file.mux(stream.encode(None))


def take_start(page: Page, pictures: Pictures) -> None:
    pictures.take(
        page,
        "start",
        presenters=page.locator(".faces"),
        script=page.locator("#first-script"),
        edit=page.get_by_role("button", name="Empty project"),
    )


def take_all(visit: Visit, pictures: Pictures) -> None:
    """Goes through the page with a small project, and takes a picture of each thing that the film shows."""
    page = visit.open("create")
    faces = "[...document.querySelectorAll('.faces img')]"
    wait_for(page, f"{faces}.length > 9 && {faces}.every(one => one.complete && one.naturalWidth > 0)")
    take_start(page, pictures)
    record_typing(page, pictures.folder / "typing.mp4")
    page.get_by_role("button", name="Edit first").click()
    first = page.get_by_label("Script of scene 1", exact=True)
    first.click()
    page.keyboard.press("Control+Home")
    expect(page.locator(".layout figcaption")).to_have_text("Scene 1 at “Welcome”", timeout=PATIENCE_MS)
    pictures.take(
        page,
        "editor",
        script=page.locator(".script"),
        picture=page.locator(".layout"),
        listen=page.get_by_role("button", name="Listen"),
        undo=page.get_by_role("button", name="Undo"),
    )
    use = FilmHands(page, pictures.folder)
    use.add_overlay(1, 1, {"kind": "title", "title": "Welcome", "start": {"at": "word", "word": "Welcome"}})
    page.get_by_role("button", name="Title 1: place on the picture").press("Shift+ArrowUp")
    expect_saved(page)
    page.get_by_role("button", name="Add ▾").click()
    pictures.take(page, "adding", menu=page.get_by_role("menu"), picture=page.locator(".layout"))
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Make the film").click()
    wait_for(page, "document.getElementById('film')?.currentTime > 0.3")
    page.get_by_role("link", name="Details").click()
    transcript = page.get_by_role("region", name="Transcript")
    expect(transcript).to_contain_text("somebody", timeout=PATIENCE_MS)
    pictures.take(page, "watch", transcript=transcript)
    page.goto(visit.url + address("presenters"))
    walls = "[...document.querySelectorAll('.presenter-wall img')]"
    wait_for(page, f"{walls}.length > 9 && {walls}.every(one => one.complete)")
    pictures.take(page, "presenters")


def spec_of(studio_client: httpx.Client, render: str) -> bytes:
    """Returns the spec of a render as canonical JSON. Only the ids of scenes differ, which client and server make: they
    are counted instead.
    """
    spec = studio_client.get(f"/api/renders/{render}").raise_for_status().json()["spec"]
    for number, scene in enumerate(spec["scenes"], 1):
        assert scene["id"].startswith("scn_")
        scene["id"] = f"scene {number}"
    return json.dumps(spec, sort_keys=True, separators=(",", ":")).encode()


def make_by_rest(operator: httpx.Client, film: Described, pictures: Pictures) -> str:
    """Returns the id of the project."""
    files = {}
    for path in sorted(pictures.folder.iterdir()):
        answer = operator.post("/api/assets", files={"file": (path.name, path.read_bytes())}).raise_for_status().json()
        files[path.name] = {name: answer[name] for name in ("sha256", "name", "media_type")}
    made = settled(film, pictures, files)
    made["project"]["music"]["audio"] = {"sha256": made["project"]["music"]["audio"]["sha256"]}
    project = operator.post("/api/projects", json=made["project"]).raise_for_status().json()
    changes = [{"op": "add_scene", "scene": scene} for scene in made["scenes"]]
    batch = {"base_revision": project["revision"], "changes": changes}
    operator.post(f"/api/projects/{project['id']}/changes", json=batch).raise_for_status()
    return str(project["id"])


def make_by_hand(visit: Visit, film: Described, pictures: Pictures) -> str:
    """Returns the id of the project."""
    files = {path.name: {"name": path.name} for path in pictures.folder.iterdir()}
    made = settled(film, pictures, files)
    use = FilmHands(visit.open("create"), pictures.folder)
    project = use.begin(made["project"], made["scenes"])
    use.set_film(made["project"])
    for number, scene in enumerate(made["scenes"], 1):
        use.set_scene(number, scene)
    return project


def press_make(page: Page, operator: httpx.Client, project: str) -> str:
    """Presses the button of the film; returns the render's id."""
    with page.expect_response(lambda one: one.url.endswith("/api/renders") and one.request.method == "POST") as answer:
        page.get_by_role("button", name="Make the film").click()
    return str(answer.value.json()["id"])


def test_a_tutorial_by_clicks_is_the_same_as_by_rest(
    visiting: Visiting, operator: httpx.Client, tmp_path: Path
) -> None:
    film = yaml.safe_load(FILM.read_text())
    film["scenes"] = [film["scenes"][at] for at in film["short"]]
    pictures = Pictures(tmp_path)
    write_music(tmp_path / "music.wav")
    take_start(visiting(viewport=SCREEN, color_scheme="light").open("create"), pictures)
    visit = visiting()
    by_hand = make_by_hand(visit, film, pictures)
    render = press_make(visit.page, operator, by_hand)
    operator.post(f"/api/renders/{render}/cancel").raise_for_status()
    by_rest = make_by_rest(operator, film, pictures)
    again = operator.post("/api/renders", json={"project": by_rest}).raise_for_status().json()["id"]
    operator.post(f"/api/renders/{again}/cancel").raise_for_status()
    assert spec_of(operator, render) == spec_of(operator, again)
    assert visit.complaints == []
