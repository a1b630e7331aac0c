"""The pictures of docs/guide/mission-control.md, taken of the page as it is.

Taken anew into the docs by `PICTURES_TO=docs/pictures .venv/bin/pytest tests/ui/test_pictures.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from ramdisk import switched_on
from studio_page import PATIENCE_MS, Studio, Visiting, address, play_a_moment, run_in_thread, wait_for

pytestmark = pytest.mark.browser
# Whoever looks at the pictures sees the pixels of the video.
QUALITY = "720p" if "PICTURES_TO" in os.environ else "360p"
SENTENCE = f"Make a video in {QUALITY} where Nova says: Good morning. The tide comes in twice a day."


def test_pictures_of_a_desk_in_light_and_dark_and_of_a_phone(
    new_studio: Studio, visiting: Visiting, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("PICTURES_TO", tmp_path))
    visit = visiting(new_studio, viewport={"width": 1280, "height": 800}, color_scheme="light")
    page = visit.open()
    for sentence in (SENTENCE, "who can speak?", "list my videos"):
        if sentence != SENTENCE:
            expect(page.locator(".made .chip")).to_have_text("done", timeout=PATIENCE_MS)
        expect(page.locator(".thinking")).to_have_count(0, timeout=PATIENCE_MS)
        visit.say(sentence)
        expect(page.locator(".turn", has_text=sentence)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".thinking")).to_have_count(0, timeout=PATIENCE_MS)
    expect(page.locator(".made .chip")).to_have_text("done", timeout=PATIENCE_MS)
    page.locator("a.made").click()
    play_a_moment(page, 0.4, "#video")
    _take(page, folder / "mission-control-light.png")
    page.emulate_media(color_scheme="dark")
    page.goto(new_studio.url + address("log"))
    expect(page.locator(".log li").last).to_be_visible(timeout=PATIENCE_MS)
    _take(page, folder / "mission-control-dark.png")
    page.emulate_media(color_scheme="light")
    names = [_switched_on(new_studio, threads) for threads in (8, 16, 32)]
    page.goto(new_studio.url + address("machines"))
    expect(page.locator(".view tbody tr")).to_have_count(len(names), timeout=PATIENCE_MS)
    _take(page, folder / "mission-control-machines.png")
    visit.say(f"accept the machine {names[0]}")
    page.get_by_role("link", name="See the plan").click(timeout=PATIENCE_MS)
    expect(page.locator(".approval .changes li").first).to_be_visible(timeout=PATIENCE_MS)
    _take(page, folder / "mission-control-approval.png")
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(new_studio.url + address("chat"))
    page.reload()
    expect(page.locator(".asks")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#utterance")).to_be_visible(timeout=PATIENCE_MS)
    _take(page, folder / "mission-control-phone.png")
    assert all(one.stat().st_size > 10_000 for one in folder.glob("mission-control-*.png"))


def _switched_on(studio: Studio, threads: int) -> str:
    """A machine that reports from its ramdisk; gives its name."""
    hardware = {
        "serial": f"RACK-{threads}",
        "cpu_threads": threads,
        "memory_mib": 2048 * threads,
        "disks": [{"name": "sda", "bytes": 10**12}],
    }
    address = f"10.0.0.{10 + threads}"
    reporting = switched_on(studio.provisioning_url, studio.provisioning_tls_url, hardware, address)
    return run_in_thread(reporting)


def _take(page: Page, path: Path) -> None:
    # A pane that is not shown loads its pictures when it is.
    there = "[...document.images].every(one => one.complete || !one.checkVisibility())"
    wait_for(page, f"document.fonts.status == 'loaded' && {there}")
    pane = "document.querySelector('.turns') ?? document.body"
    sideways = f"(() => {{ const at = {pane}; return at.scrollWidth - at.clientWidth; }})()"
    assert page.evaluate(sideways) <= 0, "a long sentence widens the conversation"
    page.screenshot(path=path, animations="disabled")
