"""The page in a real Chromium against a real server: from the sentence to the playing video."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--mute-audio",
]
SENTENCE = (
    "Make a video in 360p where Nova says: Good morning. This is the page speaking to everybody who looks."
)
PATIENCE_MS = 120_000

NOT_BLACK = """
video => {
  const canvas = document.createElement("canvas");
  canvas.width = 64; canvas.height = 36;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 64, 36);
  const data = context.getImageData(0, 0, 64, 36).data;
  let sum = 0;
  for (let index = 0; index < data.length; index += 4) sum += data[index] + data[index + 1] + data[index + 2];
  return sum / (64 * 36 * 3);
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium, then make test")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


class Visit:
    """One open page, and everything that it complained about or fetched."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "request", lambda request: self.hosts.add(re.sub(r"^(\w+://[^/]+).*", r"\1", request.url))
        )

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def open(self) -> Page:
        self.page.goto(self.url)
        expect(self.page.locator("#examples button").first).to_be_visible()
        return self.page


@pytest.fixture
def visit(browser: Browser, server: Any) -> Iterator[Callable[..., Visit]]:
    contexts: list[BrowserContext] = []

    def start(**options: Any) -> Visit:
        contexts.append(browser.new_context(**options))
        return Visit(contexts[-1], server[1])

    yield start
    for context in contexts:
        context.close()


def wait_for(page: Page, script: str) -> None:
    """Asked from outside: the page's own policy forbids what Playwright would evaluate inside."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(script):
        assert time.monotonic() < deadline, script
        time.sleep(0.05)


@pytest.fixture(scope="module")
def made(browser: Browser, server: Any) -> Iterator[Visit]:
    """A visit that typed the sentence, watched the progress and has the video in the player."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    visit = Visit(context, server[1])
    page = visit.open()
    page.keyboard.type(SENTENCE)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#progress")).to_be_visible(timeout=PATIENCE_MS)
    wait_for(page, "document.getElementById('progress-bar').value > 0")
    expect(page.locator("#progress-frames")).to_contain_text(" of ")
    expect(page.locator("#player")).to_be_visible(timeout=PATIENCE_MS)
    yield visit
    context.close()


def test_a_typed_sentence_becomes_a_video_that_plays(made: Visit) -> None:
    page = made.page
    wait_for(page, "document.getElementById('video').readyState >= 2")
    video = page.locator("#video")
    facts = video.evaluate("v => [v.videoWidth, v.videoHeight, v.error]")
    assert facts == [640, 360, None]
    video.evaluate("v => { v.muted = true; return v.play(); }")
    wait_for(page, "document.getElementById('video').currentTime > 0.5")
    assert video.evaluate(NOT_BLACK) > 10
    expect(page.locator("#progress")).to_be_hidden()


def test_the_captions_and_the_poster_are_in_the_player(made: Visit) -> None:
    video = made.page.locator("#video")
    assert video.evaluate("v => v.poster").endswith("/files/poster")
    wait_for(made.page, "document.getElementById('video').textTracks[0]?.cues?.length > 0")
    cues = video.evaluate(
        "v => [...v.textTracks[0].cues].map(cue => cue.text.replace(/\\n/g, ' ')).join(' ')"
    )
    assert cues == SENTENCE.partition(": ")[2]
    labels = made.page.locator("#player-files a").all_text_contents()
    assert labels[0] == "MP4" and {"Captions (VTT)", "Captions (SRT)", "Provenance"} <= set(labels)


def test_the_video_is_in_the_list_with_its_picture(made: Visit) -> None:
    picture = made.page.locator(".tile img").first
    expect(picture).to_be_visible()
    wait_for(made.page, "document.querySelector('.tile img').naturalWidth > 0")


def test_nothing_is_fetched_from_elsewhere_and_nothing_complains(made: Visit) -> None:
    assert made.hosts == {made.url}
    assert made.complaints == []


def test_a_reload_in_the_middle_goes_on_with_the_progress(visit: Callable[..., Visit]) -> None:
    page = visit().open()
    page.locator("#utterance").fill("Make a video in 720p where Nova says: " + "It takes a while. " * 40)
    page.locator("#send").click()
    expect(page.locator("#progress")).to_be_visible()
    page.reload()
    expect(page.locator("#progress")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#cancel").click()
    expect(page.locator("#answer-text")).to_contain_text("Cancelled", timeout=PATIENCE_MS)
    expect(page.locator("#progress")).to_be_hidden()


def test_a_misspelt_sentence_gets_an_error_box_with_a_sentence_to_click(visit: Callable[..., Visit]) -> None:
    page = visit().open()
    page.locator("#utterance").fill("Mkae a vidoe where Nova sayz: hi")
    page.locator("#send").click()
    expect(page.locator("#problem")).to_be_visible()
    expect(page.locator("#problem-code")).to_have_text("agent.not_understood")
    page.locator("#problem-suggestions button").first.click()
    expect(page.locator("#utterance")).to_have_value("Make a video where Nova says: hi")
    expect(page.locator("#utterance")).to_be_focused()


def test_a_script_with_markup_in_it_stays_text(visit: Callable[..., Visit], made: Visit) -> None:
    visited = visit()
    page = visited.open()
    page.locator("#utterance").fill(
        'In 360p, have Nova say: <img src=x onerror="document.title=1"><b>bold</b>'
    )
    page.locator("#send").click()
    expect(page.locator("#player")).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator("#player-title img, #player-title b, .title b").count() == 0
    assert page.title() == "Soundstage"
    assert visited.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_of_360_pixels_shows_everything_without_scrolling_sideways(
    visit: Callable[..., Visit], made: Visit, scheme: str, tmp_path: Path
) -> None:
    page = visit(viewport={"width": 360, "height": 740}, color_scheme=scheme).open()
    page.locator(".tile").first.click()
    expect(page.locator("#player")).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    targets = page.locator("button:visible, #player-files a:visible").all()
    boxes = [box for target in targets if (box := target.bounding_box()) is not None]
    assert boxes and min(box["height"] for box in boxes) >= 24
    brightness = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    )
    assert (brightness > 128) == (scheme == "light")
    assert len(page.screenshot(path=tmp_path / f"{scheme}.png")) > 10_000


def test_the_whole_page_can_be_used_with_the_keyboard(visit: Callable[..., Visit], made: Visit) -> None:
    page = visit().open()
    expect(page.locator("#utterance")).to_be_focused()
    expect(page.locator(".tile").first).to_be_visible(timeout=PATIENCE_MS)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "(() => { const at = document.activeElement; "
            "return [at.id || at.className || at.tagName, getComputedStyle(at).outlineStyle]; })()"
        )
        if name == "BODY":
            break
        assert outline != "none", name
        reached.add(name)
    assert {"send", "tile"} <= reached
    page.locator(".tile").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#player")).to_be_visible(timeout=PATIENCE_MS)


@pytest.fixture
def guarded(home: Any) -> Iterator[tuple[str, str]]:
    """A server that trusts nobody without a key: (URL, key)."""
    process = home.start("up", "--json", SOUNDSTAGE_AUTH__LOOPBACK_IS_ADMIN="false")
    made, ready = json.loads(process.stdout.readline()), json.loads(process.stdout.readline())
    yield ready["url"], made["key"]
    process.terminate()
    process.wait(30)


def test_where_a_key_is_wanted_the_page_asks_for_it_and_keeps_it_from_scripts(
    browser: Browser, guarded: tuple[str, str]
) -> None:
    url, key = guarded
    page = browser.new_context().new_page()
    page.goto(url)
    expect(page.locator("#key")).to_be_visible()
    page.locator("#key-value").fill("0" * 64)
    page.keyboard.press("Enter")
    expect(page.locator("#problem-code")).to_have_text("auth.bad_key")
    page.locator("#key-value").fill(key)
    page.keyboard.press("Enter")
    expect(page.locator("#no-videos")).to_be_visible()
    expect(page.locator("#key")).to_be_hidden()
    assert (
        page.evaluate("document.cookie + JSON.stringify(sessionStorage) + JSON.stringify(localStorage)")
        == "{}{}"
    )
    page.reload()
    expect(page.locator("#no-videos")).to_be_visible()
    page.context.close()


def test_the_api_page_shows_its_operations_without_any_other_host(visit: Callable[..., Visit]) -> None:
    visited = visit()
    visited.page.goto(f"{visited.url}/docs")
    expect(visited.page.locator(".opblock").first).to_be_visible(timeout=30_000)
    assert visited.hosts == {visited.url}
    assert visited.complaints == []
