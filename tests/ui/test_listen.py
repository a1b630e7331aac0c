"""A scene is heard before its film, from any word on; its words, sound and overlays stand in time."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from editor_page import create_project, expect_saved, scenes
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, Visiting, breaches, wait_for

pytestmark = pytest.mark.browser
SCRIPT = "The tide comes in, [pause 200ms] and the *tide* goes out."
TITLE = {"kind": "title", "title": "Out", "start": {"at": "word", "word": "goes"}}
# What the page hands to the loudspeaker: seconds of sound, and from where.
RECORD = """
  window.heard = [];
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (when, offset) {
    const samples = this.buffer.getChannelData(0);
    const peak = samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    window.heard.push([this.buffer.duration, offset, peak]);
    return start.call(this, when, offset);
  };
"""


@pytest.fixture
def page(visiting: Visiting, operator: httpx.Client) -> Page:
    project = create_project(operator, SCRIPT, title="Aloud")
    [scene] = scenes(operator, project)
    change = {"overlays": [TITLE]}
    operator.patch(f"/api/projects/{project}/scenes/{scene['id']}", json=change).raise_for_status()
    visit = visiting(bypass_csp=True)
    visit.page.add_init_script(RECORD)
    opened = visit.open(f"projects/{project}")
    expect(opened.get_by_label("Script of scene 1", exact=True)).to_have_value(SCRIPT, timeout=PATIENCE_MS)
    return opened


def wait_for_sound(page: Page, times: int) -> tuple[float, float, float]:
    """Returns length, beginning and peak of the newest sound, once so many were played."""
    wait_for(page, f"window.heard.length === {times}")
    found: Any = page.evaluate("window.heard.at(-1)")
    return found[0], found[1], found[2]


def test_a_scene_is_heard_from_the_start_and_from_a_word(page: Page) -> None:
    script = page.get_by_label("Script of scene 1", exact=True)
    page.get_by_role("button", name="Listen", exact=False).click()
    length, offset, peak = wait_for_sound(page, 1)
    assert 1.5 < length < 8 and offset == 0 and 0.05 < peak <= 1
    strip = page.get_by_role("region", name="Words of scene 1 in time")
    words = strip.get_by_role("button")
    expect(words).to_have_text(["The", "tide", "comes", "in,", "and", "the", "tide", "goes", "out."])
    expect(strip.locator(".playhead")).to_be_visible()
    layer, goes = strip.locator(".strip-layer").bounding_box(), words.nth(7).bounding_box()
    assert layer is not None and goes is not None and layer["x"] == pytest.approx(goes["x"], abs=1)
    page.get_by_role("button", name="Stop").click()
    expect(strip.locator(".playhead")).to_be_hidden()
    expect(page.locator(".layout figcaption span")).to_have_text("Scene 1 at “The”", timeout=PATIENCE_MS)
    assert breaches(page) == []

    words.nth(7).click()
    again, offset, _ = wait_for_sound(page, 2)
    assert again == length and 0.5 * length < offset < length
    assert script.evaluate("field => field.selectionStart") == SCRIPT.index("goes")
    expect(page.locator(".layout figcaption span")).to_have_text("Scene 1 at “goes”", timeout=PATIENCE_MS)
    # It ends by itself. A caret inside a word belongs to that word.
    listen = page.get_by_role("button", name="Listen", exact=False)
    expect(listen).to_be_visible()
    inside = SCRIPT.index("goes") + 2
    script.evaluate("(field, at) => { field.focus(); field.setSelectionRange(at, at); }", inside)
    listen.click()
    assert wait_for_sound(page, 3)[1] == offset


def test_other_words_are_spoken_anew_and_another_look_is_not(page: Page) -> None:
    button = page.get_by_role("button", name="Listen", exact=False)
    strip = page.get_by_role("region", name="Words of scene 1 in time")
    requests: list[str] = []
    page.on("request", lambda request: "/speech" in request.url and requests.append(request.url))
    button.click()
    length, _, _ = wait_for_sound(page, 1)
    page.get_by_label("Background").select_option("office")
    expect(strip).to_be_visible()
    expect(button).to_be_visible()
    button.click()
    assert wait_for_sound(page, 2)[0] == length and len(requests) == 2
    page.get_by_label("Script of scene 1", exact=True).fill("Only three words.")
    expect(strip).to_have_count(0)
    button.click()
    assert wait_for_sound(page, 3)[0] < length and len(requests) == 4
    expect(strip.get_by_role("button")).to_have_count(3)
    expect_saved(page)


def test_a_voice_that_cannot_speak_says_why(page: Page) -> None:
    page.route("**/speech", lambda route: route.fulfill(status=503, json=REFUSAL))
    page.get_by_role("button", name="Listen", exact=False).click()
    expect(page.locator(".scene")).to_contain_text("There is no voice")
    page.unroute("**/speech")
    page.get_by_role("button", name="Listen", exact=False).click()
    wait_for_sound(page, 1)
    expect(page.locator(".scene")).not_to_contain_text("There is no voice")


REFUSAL = {
    "code": "speech.no_worker",
    "detail": "There is no voice.",
    "hint": "Install it with `make setup`.",
}
