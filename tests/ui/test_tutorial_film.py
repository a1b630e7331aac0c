"""A tutorial of five minutes is made by clicks and typing alone, from an empty start; by REST it is the same,
to the last byte of its spec.

The pictures of docs/guide/tutorial-film.md are taken anew by
`PICTURES_TO=docs/pictures .venv/bin/pytest tests/ui/test_tutorial_film.py`.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import numpy.typing as npt
import pytest
import yaml
from film_hands import WHOLE, FilmHands, without_marks
from playwright.sync_api import Locator, Page, expect
from studio_page import PATIENCE_MS, Studio, Visit, Visiting, address, wait_for

pytestmark = pytest.mark.browser
FILM = Path(__file__).with_name("tutorial_film.yaml")
SCREEN = {"width": 1280, "height": 720}
"""Of the film's shape: shares of a picture are shares of the film."""
PRESENTERS = {"x": 180, "y": 16, "width": 1100, "height": 618}
"""Without the list of views."""
SAMPLE = (
    "Welcome to Soundstage. Type a text, and somebody says it.",
    "Change a word, and only this scene is made again.",
    "Then send your friends a link.",
)
Described = dict[str, Any]
Box = dict[str, float]
Frame = npt.NDArray[np.uint8]


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
    shares = {
        "x": left / width,
        "y": top / height,
        "width": (right - left) / width,
        "height": (bottom - top) / height,
    }
    return {name: round(share, 3) for name, share in shares.items()}


def point(box: Box, side: str) -> dict[str, float]:
    """Returns a point at the edge of a box, or above or below it, nearer to the middle of the picture."""
    middle = box["x"] + box["width"] / 2
    aside = middle - 0.12 if middle > 0.5 else middle + 0.12
    x, y = {
        "edge_of": (middle, box["y"] + (0 if box["y"] > 0.5 else box["height"])),
        "above": (aside, box["y"] - 0.22),
        "below": (aside, box["y"] + box["height"] + 0.22),
    }[side]
    return {"x": round(x, 3), "y": round(y, 3)}


def resolve(described: Any, pictures: Pictures, files: dict[str, Described]) -> Any:
    """Returns the description with files and places in it."""
    if isinstance(described, list):
        return [resolve(one, pictures, files) for one in described]
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
    return {name: resolve(one, pictures, files) for name, one in described.items()}


def write_music(path: Path, seconds: int = 12, rate: int = 16_000) -> None:
    """Writes soft chords, which begin again without a joint."""
    moments = np.arange(seconds * rate) / rate
    chords = (
        (220.0, 277.18, 329.63),
        (196.0, 246.94, 293.66),
        (174.61, 220.0, 261.63),
        (196.0, 246.94, 329.63),
    )
    sound = np.zeros_like(moments)
    for number, chord in enumerate(chords):
        at = moments - number * seconds / len(chords)
        swell = np.where(
            (at >= 0) & (at < seconds / len(chords)),
            np.sin(np.pi * np.clip(at * len(chords) / seconds, 0, 1)),
            0,
        )
        sound += swell * sum(np.sin(2 * np.pi * tone * moments) for tone in chord)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((sound / np.abs(sound).max() * 12_000).astype("<i2").tobytes())


def record_typing(page: Page, path: Path, letters: int) -> None:
    """Types on the page New film, and writes a clip of it with a picture each so many letters."""
    page.get_by_label("Script", exact=True).click()
    text = "\n\n".join(SAMPLE)
    pictures = [page.screenshot()]
    for at in range(0, len(text), letters):
        page.keyboard.type(text[at : at + letters])
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


def take_start(page: Page, pictures: Pictures, *, letters: int) -> None:
    record_typing(page, pictures.folder / "typing.mp4", letters)
    page.mouse.move(0, 0)
    pictures.take(
        page,
        "start",
        presenters=page.locator(".faces"),
        script=page.locator("#first-script"),
        edit=page.get_by_role("button", name="Edit first"),
    )


def take_all(visit: Visit, pictures: Pictures) -> None:
    """Goes through the page with a small project, and takes a picture of each thing that the film shows."""
    page = visit.open("presenters")
    faces = "[...document.querySelectorAll('.presenter-wall img')]"
    wait_for(
        page, f"{faces}.length > 9 && {faces}.slice(0, 8).every(one => one.complete && one.naturalWidth > 0)"
    )
    page.screenshot(path=pictures.folder / "presenters.png", clip=PRESENTERS)
    page.goto(visit.url + address("create"))
    faces = "[...document.querySelectorAll('.faces img')]"
    wait_for(page, f"{faces}.length > 9 && {faces}.every(one => one.complete && one.naturalWidth > 0)")
    take_start(page, pictures, letters=3)
    page.get_by_role("button", name="Edit first").click()
    first = page.get_by_label("Script of scene 1", exact=True)
    first.click()
    page.keyboard.press("Control+Home")
    expect(page.locator(".layout figcaption span")).to_have_text("Scene 1 at “Welcome”", timeout=PATIENCE_MS)
    pictures.take(
        page,
        "editor",
        script=page.locator(".script"),
        picture=page.locator(".layout .canvas"),
        listen=page.get_by_role("button", name="Listen"),
        undo=page.get_by_role("button", name="Undo"),
    )
    use = FilmHands(page, pictures.folder)
    use.add_overlay(1, 1, {"kind": "title", "title": "Welcome", "start": {"at": "word", "word": "Welcome"}})
    picture = str(page.locator(".layout img").get_attribute("src"))
    page.get_by_role("button", name="Title 1: place on the picture").press("ArrowDown")
    expect(page.locator(".layout img")).not_to_have_attribute("src", picture, timeout=PATIENCE_MS)
    page.get_by_role("button", name="Add ▾").click()
    pictures.take(page, "adding", menu=page.get_by_role("menu"), picture=page.locator(".layout .canvas"))
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Make the video").click()
    wait_for(page, "document.getElementById('film')?.currentTime > 0.3")
    page.get_by_role("link", name="Details").click()
    page.get_by_role("button", name="Close the chat").click()
    # Played for a moment: the browser's sign of loading would lie over the face.
    page.locator("#video").evaluate("video => { video.muted = true; return video.play(); }")
    wait_for(page, "document.getElementById('video').currentTime > 0.4")
    page.locator("#video").evaluate("video => video.pause()")
    transcript = page.get_by_role("region", name="Transcript")
    expect(transcript).to_contain_text("somebody", timeout=PATIENCE_MS)
    pictures.take(page, "watch", transcript=transcript)
    page.goto(visit.url + address("presenters"))
    walls = "[...document.querySelectorAll('.presenter-wall img')]"
    wait_for(
        page, f"{walls}.length > 9 && {walls}.slice(0, 8).every(one => one.complete && one.naturalWidth > 0)"
    )
    pictures.take(page, "presenters")


def take_editor(page: Page, folder: Path) -> None:
    """Takes pictures of a scene with a list, and of one with a picture behind the presenter."""
    page.set_viewport_size({"width": 1280, "height": 860})
    for number, word, name in ((1, "screen", "list"), (2, "field", "frame")):
        use = FilmHands(page, folder)
        use.choose_word(number, word)
        shown = f"Scene {number} at “{word}"
        expect(page.locator(".layout figcaption span")).to_contain_text(shown, timeout=PATIENCE_MS)
        page.mouse.wheel(0, -5000)
        for times in page.get_by_text("When each point comes").all():
            times.click()
        expect(page.locator(".layout")).to_be_in_viewport(ratio=1)
        page.screenshot(path=folder / f"tutorial-{name}.png", animations="disabled")


def spec_of(studio_client: httpx.Client, render: str) -> bytes:
    """Returns the spec of a render as canonical JSON. Ids of scenes, which the server makes, are counted
    instead; nothing else may differ.
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
        answer = (
            operator.post("/api/assets", files={"file": (path.name, path.read_bytes())})
            .raise_for_status()
            .json()
        )
        files[path.name] = {name: answer[name] for name in ("sha256", "name", "media_type")}
    resolved = resolve(film, pictures, files)
    resolved["project"]["music"]["audio"] = {"sha256": resolved["project"]["music"]["audio"]["sha256"]}
    project = operator.post("/api/projects", json=resolved["project"]).raise_for_status().json()
    changes = [{"op": "add_scene", "scene": scene} for scene in resolved["scenes"]]
    batch = {"base_revision": project["revision"], "changes": changes}
    operator.post(f"/api/projects/{project['id']}/changes", json=batch).raise_for_status()
    return str(project["id"])


def make_by_hand(visit: Visit, film: Described, pictures: Pictures) -> None:
    files = {path.name: {"name": path.name} for path in pictures.folder.iterdir()}
    resolved = resolve(film, pictures, files)
    use = FilmHands(visit.open("create"), pictures.folder)
    use.begin(resolved["project"], resolved["scenes"])
    use.set_film(resolved["project"])
    for number, scene in enumerate(resolved["scenes"], 1):
        use.set_scene(number, scene)


def press_make(page: Page) -> str:
    """Presses the button of the film; returns the render's id."""
    with page.expect_response(
        lambda one: one.url.endswith("/api/renders") and one.request.method == "POST"
    ) as answer:
        page.get_by_role("button", name="Make the video").click()
    return str(answer.value.json()["id"])


@pytest.mark.slow
def test_a_tutorial_by_clicks_is_the_same_as_by_rest(
    visiting: Visiting, operator: httpx.Client, tmp_path: Path
) -> None:
    film = yaml.safe_load(FILM.read_text())
    film["scenes"] = [film["scenes"][at] for at in film["short"]]
    pictures = Pictures(tmp_path)
    write_music(tmp_path / "music.wav")
    take_start(visiting(viewport=SCREEN).open("create"), pictures, letters=40)
    visit = visiting()
    make_by_hand(visit, film, pictures)
    take_editor(visit.page, Path(os.environ.get("PICTURES_TO", tmp_path)))
    render = press_make(visit.page)
    operator.post(f"/api/renders/{render}/cancel").raise_for_status()
    by_rest = make_by_rest(operator, film, pictures)
    again = operator.post("/api/renders", json={"project": by_rest}).raise_for_status().json()["id"]
    operator.post(f"/api/renders/{again}/cancel").raise_for_status()
    assert spec_of(operator, render) == spec_of(operator, again)
    assert visit.complaints == []


@pytest.fixture
def new_operator(new_studio: Studio) -> Iterator[httpx.Client]:
    """A client of the studio that holds nothing yet."""
    with httpx.Client(
        base_url=new_studio.url, headers=new_studio.headers, timeout=60, trust_env=False
    ) as client:
        yield client


def wait_for_film(operator: httpx.Client, render: str) -> Described:
    deadline = time.monotonic() + 3000
    while (detail := operator.get(f"/api/renders/{render}").raise_for_status().json())["state"] != "done":
        assert detail["state"] not in ("failed", "cancelled") and time.monotonic() < deadline, detail["state"]
        time.sleep(1)
    return dict(detail)


def frame_at(film: av.container.InputContainer, ms: float) -> Frame:
    stream = film.streams.video[0]
    film.seek(round(ms * 1000))
    for frame in film.decode(stream):
        if frame.time >= ms / 1000:
            return frame.to_ndarray(format="rgb24")
    raise AssertionError(f"the film ends before {ms} ms")


def likeness(frame: Frame, picture: av.VideoFrame, box: Box) -> float:
    """Returns how a picture, whole in the middle of a box, correlates with what is seen there. Its lower
    part, where the presenter and the captions lie, is left out.
    """
    high, wide = frame.shape[:2]
    width = round(box["width"] * wide)
    height = round(width * picture.height / picture.width)
    left, top = round(box["x"] * wide), round(box["y"] * high + (box["height"] * high - height) / 2)
    drawn = picture.reformat(width=width, height=height, format="rgb24").to_ndarray()
    part = (
        slice(round(0.02 * height), round(0.42 * height)),
        slice(round(0.02 * width), round(0.98 * width)),
    )
    seen = frame[top : top + height, left : left + width]
    return float(np.corrcoef(seen[part].ravel(), drawn[part].ravel())[0, 1])


def read_picture(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as file:
        return next(file.decode(video=0))


def assert_pictures_are_seen(video: Path, film: Described, scenes: list[Described], folder: Path) -> None:
    with av.open(str(video)) as file:
        for described, spoken in zip(film["scenes"], scenes, strict=True):
            pictures = [overlay for overlay in described["overlays"] if overlay["kind"] in ("image", "video")]
            if described["background"]["kind"] == "image":
                pictures.append(described["background"] | {"box": WHOLE})
            for one in pictures:
                name = one[one["kind"]]["file"]
                frames = [frame_at(file, word["start_ms"]) for word in spoken["words"][8::6]]
                best = max(likeness(frame, read_picture(folder / name), one["box"]) for frame in frames)
                assert best > 0.95, (name, best)


def assert_captions_mark_words(video: Path, scenes: list[Described]) -> None:
    """Looks for the colour of the spoken word in the lower part of the picture."""
    with av.open(str(video)) as file:
        for scene in scenes:
            word = scene["words"][len(scene["words"]) // 2]
            frame = frame_at(file, (word["start_ms"] + word["end_ms"]) / 2)
            lower = frame[round(0.75 * frame.shape[0]) :].astype(int)
            marked = (np.abs(lower - (255, 201, 77)) < 60).all(axis=2).sum()
            assert marked > 20, (word, marked)


def assert_music_is_audible(video: Path, scenes: list[Described]) -> None:
    """Compares the sound where nobody speaks with the voice: quieter, and not silent."""
    with av.open(str(video)) as file:
        rate = 16_000
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        parts = [part.to_ndarray()[0] for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    sound = np.concatenate(parts) / 32_768
    words = [word for scene in scenes for word in scene["words"]]

    def level_db(start_ms: float, end_ms: float) -> float:
        part = sound[round(start_ms * rate / 1000) : round(end_ms * rate / 1000)]
        return float(20 * np.log10(np.sqrt(np.mean(part**2)) + 1e-9))

    voice = np.median(
        [level_db(word["start_ms"], word["end_ms"]) for word in words if word["end_ms"] > word["start_ms"]]
    )
    gaps = [(one["end_ms"], other["start_ms"]) for one, other in itertools.pairwise(words)]
    rests = [level_db(start + 60, end - 60) for start, end in gaps if end - start > 220]
    # Between two chords it is nearly silent itself.
    audible = sum(voice - 40 < one < voice - 8 for one in rests)
    assert len(rests) > 40 and audible > 0.8 * len(rests), (voice, rests)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_tutorial_of_five_minutes_is_made_by_clicks_alone(
    visiting: Visiting, new_studio: Studio, new_operator: httpx.Client, tmp_path: Path
) -> None:
    operator = new_operator
    film = yaml.safe_load(FILM.read_text())
    folder = tmp_path / "pictures"
    folder.mkdir()
    pictures = Pictures(folder)
    write_music(folder / "music.wav")
    take_all(visiting(new_studio, viewport=SCREEN, color_scheme="light"), pictures)
    visit = visiting(new_studio)
    make_by_hand(visit, film, pictures)
    render = press_make(visit.page)
    detail = wait_for_film(operator, render)
    expect(visit.page.locator("#film")).to_be_visible(timeout=PATIENCE_MS)
    by_rest = make_by_rest(operator, film, pictures)
    plan = operator.post("/api/renders/plan", json={"project": by_rest}).raise_for_status().json()
    assert (plan["scenes_new"], plan["scenes_reused"]) == (0, len(film["scenes"])), (
        "the same scenes are there already"
    )
    again = operator.post("/api/renders", json={"project": by_rest}).raise_for_status().json()["id"]
    assert spec_of(operator, render) == spec_of(operator, again)
    assert detail["warnings"] == [] and visit.complaints == []

    video = tmp_path / "film.mp4"
    video.write_bytes(operator.get(f"/api/renders/{render}/files/video").raise_for_status().content)
    with av.open(str(video)) as file:
        assert 4.5 * 60 < file.duration / 1e6 < 6 * 60
        assert (file.streams.video[0].width, file.streams.video[0].height) == (640, 360)
    scenes = operator.get(f"/api/renders/{render}/transcript").raise_for_status().json()["scenes"]
    spoken = [word for scene in film["scenes"] for word in without_marks(scene["script"]).split()]
    lines = operator.get(f"/api/renders/{render}/files/vtt").raise_for_status().text
    captioned = [line for line in lines.splitlines()[1:] if line and "-->" not in line and not line.isdigit()]
    assert " ".join(captioned).split() == spoken
    assert_captions_mark_words(video, scenes)
    assert_music_is_audible(video, scenes)
    assert_pictures_are_seen(video, film, scenes, folder)
