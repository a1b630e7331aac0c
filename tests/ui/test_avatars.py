"""A VRM avatar is uploaded on the page, and answers in Talk: its mouth, its lids, and the ways out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from avatar_looks import Looks
from page_hands import EACH_WIDTH
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from studio_page import PATIENCE_MS, Studio, Visit, breaches, run_script
from test_talk import LONG_ANSWER, QUESTION, choose, start, talking_by, until, write
from vrm_files import vrm_file
from waiting import eventually

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")
pytestmark = pytest.mark.browser
NO_WEBGL = """(() => {
  const real = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
    return kind.startsWith("webgl") ? null : real.call(this, kind, ...more);
  };
})()"""
Entering = Callable[..., Page]


@pytest.fixture(scope="module")
def talking(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with talking_by(tmp_path_factory, "websocket") as found:
        yield found


@pytest.fixture(scope="module")
def ada(talking: Studio) -> str:
    """A presenter with an avatar of VRM 0.x, made over REST; its id."""
    with httpx.Client(base_url=talking.url, headers=talking.headers, timeout=60, trust_env=False) as api:
        asset = api.post("/api/assets?name=ada.vrm", content=vrm_file("0.x")).raise_for_status().json()
        answer = api.post("/api/personas", json={"name": "Ada", "media": asset["id"]}).raise_for_status()
        return str(answer.json()["persona"]["id"])


@pytest.fixture
def entering(browser: Browser, talking: Studio, width: int) -> Iterator[Entering]:
    """Opens views in pages that close with the test, without a microphone."""
    contexts: list[BrowserContext] = []

    def enter(view: str = "talk", script: str = "", **options: Any) -> Page:
        options = {"viewport": {"width": width, "height": 900}, **options}
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(PATIENCE_MS)
        page = contexts[-1].new_page()
        if script:
            page.add_init_script(script)
        opened: Page = Visit(page, talking.url, talking.start_link).open(view)
        return opened

    yield enter
    for context in contexts:
        context.close()


def canvas_of(page: Page) -> Locator:
    canvas = page.locator(".talk-ring canvas")
    expect(canvas).to_be_visible(timeout=PATIENCE_MS)
    return canvas


def pick(page: Page, name: str) -> None:
    """Chooses who answers."""
    page.get_by_role("button", name="Who answers").click()
    page.get_by_role("dialog").get_by_text(name, exact=True).click()


@EACH_WIDTH
def test_an_avatar_is_uploaded_with_its_licence_and_answers_in_talk(
    entering: Entering, talking: Studio, tmp_path: Path
) -> None:
    page = entering("presenters", bypass_csp=True)
    page.get_by_role("button", name="New presenter").click()
    dialog = page.get_by_role("dialog", name="New presenter")
    files = dialog.locator("input[type=file]")
    (tmp_path / "broken.vrm").write_bytes(vrm_file()[:-500])
    files.set_input_files(tmp_path / "broken.vrm")
    expect(dialog.get_by_role("alert")).to_contain_text("vrm.bad_chunks", timeout=PATIENCE_MS)
    create = dialog.get_by_role("button", name="Create presenter")
    expect(create).to_be_disabled()
    (tmp_path / "grace.vrm").write_bytes(vrm_file(avatarPermission="onlyAuthor"))
    files.set_input_files(tmp_path / "grace.vrm")
    expect(dialog.locator(".avatar-facts")).to_contain_text("its author alone", timeout=PATIENCE_MS)
    expect(dialog.locator(".avatar-facts")).to_contain_text("VRM 1.0")
    preview = Looks(dialog.get_by_role("img", name="Preview of the avatar"))
    eventually(lambda: preview.mouth() > 0, "a face in the preview", PATIENCE_MS / 1000)
    dialog.get_by_label("Name", exact=True).fill("Grace")
    confirm = dialog.get_by_label("I am the author of this avatar")
    create.click()
    assert not confirm.evaluate("one => one.validity.valid")
    confirm.check()
    assert breaches(page) == []
    dialog.screenshot(path=tmp_path / "maker.png")
    create.click()
    expect(page.get_by_role("status").filter(has_text="Grace can speak now")).to_be_visible(
        timeout=PATIENCE_MS
    )
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Grace"))
    expect(card).to_contain_text("Talk only")
    picture = card.locator("img")
    eventually(lambda: picture.evaluate("one => one.naturalWidth > 0"), "its picture", PATIENCE_MS / 1000)
    card.get_by_role("link", name="Talk to Grace").click()
    canvas = canvas_of(page)
    looks = Looks(canvas)
    eventually(lambda: looks.mouth() > 0 and looks.eyes() > 0, "a face", PATIENCE_MS / 1000)
    page.screenshot(path=tmp_path / "talk.png")
    page.goto(f"{talking.url}/")
    expect(page.get_by_role("radio", name="Nova")).to_be_attached()
    expect(page.get_by_role("radio", name="Grace")).to_have_count(0)
    with httpx.Client(base_url=talking.url, headers=talking.headers, trust_env=False) as api:
        assert api.get("/api/personas/grace").json()["face"]["confirmed_at"]
        api.delete("/api/personas/grace").raise_for_status()


def test_the_mouth_opens_with_the_sound_and_shuts_when_interrupted_and_the_eyes_blink(
    entering: Entering, ada: str, tmp_path: Path
) -> None:
    page = entering()
    choose(page, ada)
    looks = Looks(canvas_of(page))
    eventually(lambda: looks.mouth() > 0, "a face", PATIENCE_MS / 1000)
    shut = looks.mouth()
    start(page, "writing")
    write(page, LONG_ANSWER)
    until(page, "speaking")
    eventually(lambda: looks.mouth() > 2.5 * shut, "an open mouth", PATIENCE_MS / 1000)
    page.screenshot(path=tmp_path / "speaking.png")
    page.get_by_role("button", name="Interrupt").click()
    until(page, "writing")
    # What is drawn after the moment of the click and its 100 ms is shut, and stays so.
    page.wait_for_timeout(400)
    for _ in range(5):
        assert looks.mouth() < 1.5 * shut
    assert looks.blinks(PATIENCE_MS / 1000)


def test_whoever_asks_for_less_motion_sees_lips_and_lids_alone(entering: Entering, ada: str) -> None:
    page = entering(reduced_motion="reduce")
    choose(page, ada)
    looks = Looks(canvas_of(page))
    eventually(lambda: looks.body() == looks.body(), "a still body", PATIENCE_MS / 1000)
    first = looks.body()
    for _ in range(4):
        page.wait_for_timeout(300)
        assert looks.body() == first
    page.emulate_media(reduced_motion="no-preference")
    eventually(lambda: looks.body() != first, "a breath", PATIENCE_MS / 1000)


def test_without_webgl_the_picture_of_the_avatar_speaks(entering: Entering, ada: str) -> None:
    page = entering(script=NO_WEBGL)
    choose(page, ada)
    still = page.locator(".talk-ring img")
    expect(still).to_be_visible(timeout=PATIENCE_MS)
    eventually(lambda: still.evaluate("one => one.naturalWidth > 0"), "its picture", PATIENCE_MS / 1000)
    start(page, "writing")
    write(page, QUESTION)
    until(page, "speaking")
    expect(page.locator(".talk-ring canvas")).to_be_hidden()


def test_three_js_is_loaded_for_an_avatar_alone(entering: Entering, ada: str) -> None:
    page = entering()
    loaded: list[str] = []
    page.on("request", lambda one: loaded.append(one.url.rpartition("/")[2]))
    page.reload()
    canvas_of(page)
    assert not [one for one in loaded if one.startswith("avatar-")]
    pick(page, "Ada")
    looks = Looks(canvas_of(page))
    eventually(lambda: looks.mouth() > 0 and looks.eyes() > 0, "the avatar", PATIENCE_MS / 1000)
    assert [one for one in loaded if one.startswith("avatar-")]
    body = looks.body()
    pick(page, "Nova")
    eventually(lambda: canvas_of(page).is_visible() and looks.body() != body, "Nova", PATIENCE_MS / 1000)
    pick(page, "Ada")
    canvas_of(page)
    eventually(lambda: looks.mouth() > 0 and looks.eyes() > 0, "the avatar again", PATIENCE_MS / 1000)


def test_mouth_shapes_are_those_of_the_speech_and_end_within_100_ms(built_page: None, tmp_path: Path) -> None:
    found = run_script(Path(__file__).with_name("avatar_calls.ts"), tmp_path)
    shown = {viseme: one["shown"] for viseme, one in found.items()}
    strongest = {viseme: max(one, key=one.get) for viseme, one in shown.items()}
    assert (strongest["aa"], strongest["U"]) == ("aa", "ou"), shown
    assert strongest["I"] in ("ih", "ee") and strongest["O"] in ("oh", "ou"), shown
    assert shown["aa"]["aa"] > 0.5 and all(sum(one.values()) <= 1.3 for one in shown.values())
    for shut in ("sil", "PP"):
        assert sum(shown[shut].values()) < 0.05
    # Pictures of 1/60 s: the sixth is that of 100 ms.
    assert all(sum(one["after"][5:]) < 0.02 for one in found.values())
