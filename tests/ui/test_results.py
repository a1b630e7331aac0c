"""Results of tools on the page: drawn from the blocks of an answer, whatever its sentences say."""

from __future__ import annotations

import json
import os
import re
from itertools import product
from pathlib import Path
from typing import Literal, cast

import pytest
from playwright.sync_api import Page, Route, expect
from studio_page import PATIENCE_MS, Studio, Visiting, breaches

pytestmark = pytest.mark.browser
SENTENCES = (
    "Make a video in 360p where Nova says: Hello",
    "list my videos",
    "who can speak?",
    "Run this Python: print('a' * 200)",
    "help",
)


def _other_spaces(route: Route) -> None:
    """Sends the events of a turn with one blank where a sentence has several, and none before its lines."""
    answer = route.fetch()
    lines = []
    for line in answer.text().splitlines():
        if line.startswith("data:") and (event := json.loads(line[5:])).get("type") == "text":
            event["text"] = re.sub(r"\s+", " ", event["text"])
            line = f"data: {json.dumps(event)}"
        lines.append(line)
    route.fulfill(response=answer, body="\n".join([*lines, "", ""]))


def _ask(page: Page, sentence: str) -> None:
    page.locator("#utterance").fill(sentence)
    page.keyboard.press("Enter")
    expect(page.locator(".turn", has_text=sentence).last).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".thinking")).to_have_count(0, timeout=PATIENCE_MS)


def test_rows_and_links_do_not_depend_on_the_spaces_of_a_sentence(
    visiting: Visiting, workless_studio: Studio
) -> None:
    page = visiting(workless_studio).open()
    page.route("**/turns/*/events*", _other_spaces)
    _ask(page, SENTENCES[0])
    made = page.locator(".turn").last.locator(".reply")
    expect(made).to_have_text("I am making “Hello” with Nova.")
    address = made.get_by_role("link", name="“Hello”").get_attribute("href") or ""
    assert re.fullmatch(r"/videos/rnd_[0-9a-z]{26}", address)
    expect(page.locator(".made .chip")).to_have_text("failed", timeout=PATIENCE_MS)
    _ask(page, "list my videos")
    row = page.locator(".turn").last.get_by_role("row").last
    expect(row.get_by_role("link", name="Hello")).to_have_attribute("href", address)
    expect(row.locator(".chip.bad")).to_have_text("failed")
    expect(row).not_to_contain_text("rnd_")


def test_results_fit_into_windows_of_every_width(visiting: Visiting, studio: Studio) -> None:
    """With PICTURES_TO=FOLDER it takes pictures, too, which people look at."""
    visit = visiting(studio, bypass_csp=True)
    page = visit.open()
    for sentence in SENTENCES:
        _ask(page, sentence)
    expect(page.locator(".reply")).to_have_count(len(SENTENCES))
    folder = os.environ.get("PICTURES_TO")
    for width, scheme in product((390, 820, 1440), ("light", "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=cast("Literal['light', 'dark']", scheme))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        spilt = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.innerText)"
        assert page.locator(".reply, .reply > p, .reply > ul").evaluate_all(spilt) == [], (width, scheme)
        for part, top in (("top", "0"), ("end", "all.scrollHeight")) if folder else ():
            page.locator(".turns").evaluate(f"all => {{ all.scrollTop = {top}; }}")
            page.screenshot(path=Path(folder) / f"results-{width}-{scheme}-{part}.png")
    assert breaches(page) == []
    assert visit.complaints == []
