"""Plans in words for a time and an event, finds both on the page, and cancels one by a click."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, breaches

pytestmark = pytest.mark.browser

VIDEO = "make a video where Nova says good night"
# Long enough to be at work still when the next sentence speaks of it.
LONG = f"make a video where Nova says: Good night. {'Sleep well, and see you all tomorrow. ' * 40}"


def test_what_is_planned_is_listed_and_cancelled(visiting: Visiting, operator: httpx.Client) -> None:
    visit = visiting(bypass_csp=True)
    page = visit.open("planned")
    expect(page.get_by_role("heading", name="Planned")).to_be_visible()
    turns = page.locator("article.turn[aria-label]")
    sentences = (f"Every day at 3:07 {VIDEO}.", "yes", LONG, "If it fails, list the machines.", "yes")
    for number, sentence in enumerate(sentences, 1):
        visit.say(sentence)
        expect(turns).to_have_count(number, timeout=PATIENCE_MS)
        expect(page.locator(".turn .thinking")).to_have_count(0, timeout=PATIENCE_MS)

    planned = page.get_by_role("group", name="What is planned")
    expect(planned.locator("tbody tr")).to_have_count(2, timeout=PATIENCE_MS)
    daily = planned.locator("tbody tr").filter(has_text=re.compile("03:07|3:07"))
    expect(daily).to_contain_text("Make video")
    expect(planned).to_contain_text(re.compile(r"If the video “Good night\. .*” fails"))
    assert breaches(page) == []

    daily.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel it").click()
    expect(planned.locator("tbody tr")).to_have_count(1, timeout=PATIENCE_MS)
    over = page.get_by_role("group", name="What is over")
    expect(over).to_contain_text("cancelled")
    for render in operator.get("/api/renders").json():
        operator.post(f"/api/renders/{render['id']}/cancel")
    waiting = visit.page.request.get(f"{visit.url}/api/triggers").json()
    assert len(waiting) == 1
    assert visit.complaints == []
