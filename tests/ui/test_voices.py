"""Pronunciations and voices on the page in a real Chromium: a word is corrected, heard and removed."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, Studio, Visiting, address, breaches
from waiting import eventually

pytestmark = pytest.mark.browser
# Collects the seconds of each sound that plays to its end or is stopped.
LISTEN = """
window.sounds = [];
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  this.addEventListener("loadedmetadata", () => window.sounds.push(this.duration));
  return play.call(this);
};
"""


def pronunciations_of(studio: Studio) -> dict[str, str]:
    url, headers = f"{studio.url}/api/pronunciations", studio.headers
    answer = httpx.get(url, headers=headers, timeout=60, trust_env=False).raise_for_status()
    return {one["word"]: one["spoken"] for one in answer.json()}


def first_sound(page: Page) -> float:
    """Returns its seconds. By calls of the test: the page's policy forbids expressions that wait in it."""
    sounds = eventually(lambda: page.evaluate("window.sounds"), "a sound", PATIENCE_MS / 1000)
    return float(sounds[0])


def test_a_word_is_corrected_heard_and_removed(visiting: Visiting, studio: Studio) -> None:
    visit = visiting(bypass_csp=False)
    page = visit.open()
    page.add_init_script(LISTEN)
    page.goto(visit.url + address("pronunciations"))
    page.reload()
    expect(page.locator(".view .empty")).to_contain_text("No word", timeout=PATIENCE_MS)
    page.get_by_label("Word", exact=True).fill("Siobhan")
    page.get_by_label("Spoken as").fill("shi-vawn")
    page.keyboard.press("Enter")
    row = page.locator("tbody tr", has_text="Siobhan")
    expect(row).to_contain_text("shi-vawn", timeout=PATIENCE_MS)
    assert pronunciations_of(studio) == {"Siobhan": "shi-vawn"}
    page.get_by_role("button", name="Hear Siobhan").click()
    assert 0.2 < first_sound(page) < 5
    page.get_by_label("Word", exact=True).fill("Niamh")
    page.get_by_label("Spoken as").fill("neev")
    page.route("**/api/pronunciations", lambda route: route.abort())
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_label("Word", exact=True)).to_have_value("Niamh")
    page.unroute("**/api/pronunciations")
    page.get_by_role("button", name="Remove Siobhan").click()
    expect(row).to_have_count(0, timeout=PATIENCE_MS)
    assert pronunciations_of(studio) == {}


def test_the_view_has_no_barriers_and_a_presenter_is_heard(visiting: Visiting, studio: Studio) -> None:
    visit = visiting(color_scheme="dark", bypass_csp=True)
    page = visit.open()
    page.add_init_script(LISTEN)
    page.goto(visit.url + address("pronunciations"))
    page.reload()
    expect(page.get_by_label("Spoken by")).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    page.goto(visit.url + address("presenters"))
    page.get_by_role("button", name="Hear Vera").click(timeout=PATIENCE_MS)
    assert first_sound(page) > 1
