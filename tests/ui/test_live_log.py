"""The stream that keeps the page fresh: it goes by the server's clock, and its log counts what has come."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect
from studio_page import PATIENCE_MS, WRONG_CLOCK, Studio, Visiting

pytestmark = pytest.mark.browser
DAY_MS = 86_400_000
MAX_LINES = 500


class Stream:
    """Stands for the server's stream of events: each request gets what came after its `Last-Event-ID`."""

    def __init__(self, page: Page) -> None:
        self._events: list[str] = []
        # The stream of a shared worker cannot be stood in for: here the page itself has it.
        page.add_init_script("delete globalThis.SharedWorker")
        page.route("**/api/events*", self._answer)

    def send(
        self, count: int = 1, *, age: timedelta = timedelta(), kind: str = "tool.called", **data: Any
    ) -> None:
        at = (datetime.now(UTC) - age).isoformat()
        for number in range(len(self._events) + 1, len(self._events) + count + 1):
            event = {"id": number, "stream": "x:1", "kind": kind, "data": data, "at": at}
            self._events.append(f"id: {number}\nevent: {kind}\ndata: {json.dumps(event)}\n\n")

    def _answer(self, route: Route) -> None:
        headers = {
            "Content-Type": "text/event-stream",
            "Date": format_datetime(datetime.now(UTC), usegmt=True),
        }
        after = int(route.request.headers.get("last-event-id") or 0)
        route.fulfill(status=200, headers=headers, body="".join(self._events[after:]))


def test_the_stream_has_the_time_of_the_server(studio: Studio) -> None:
    with httpx.stream(
        "GET", f"{studio.url}/api/events", headers=studio.headers, timeout=60, trust_env=False
    ) as stream:
        assert stream.headers["Date"].endswith("GMT")


@pytest.mark.parametrize("off_ms", [-DAY_MS, 0, DAY_MS])
def test_news_are_told_and_what_is_old_is_not_whatever_the_clock_of_the_computer_says(
    visiting: Visiting, off_ms: int
) -> None:
    visit = visiting()
    visit.page.add_init_script(WRONG_CLOCK.replace("OFF", str(off_ms)))
    stream = Stream(visit.page)
    stream.send(kind="approval.requested", id="old", age=timedelta(minutes=1))
    page = visit.open("log")
    assert abs(page.evaluate("Date.now()") - off_ms - datetime.now().timestamp() * 1000) < 60_000
    spoken = page.locator("p.visually-hidden[role=status]")
    expect(page.locator(".log li")).to_have_count(1, timeout=PATIENCE_MS)
    assert spoken.inner_text() == ""
    stream.send(kind="approval.requested", id="new")
    expect(page.locator(".log li")).to_have_count(2, timeout=PATIENCE_MS)
    expect(spoken).to_have_text("A call waits for approval.")


def test_a_log_that_is_held_counts_the_lines_that_have_come_since(visiting: Visiting) -> None:
    visit = visiting()
    stream = Stream(visit.page)
    stream.send(3)
    page = visit.open("log")
    expect(page.locator(".log li")).to_have_count(3, timeout=PATIENCE_MS)
    page.get_by_role("button", name="Pause").click()
    stream.send(2)
    stream.send(4, kind="render.progress", id="rnd_1", waits="", stage="frames")
    stream.send()
    expect(page.get_by_role("button", name="Go on (3 new)")).to_be_visible(timeout=PATIENCE_MS)
    stream.send(MAX_LINES + 200)
    goes_on = page.get_by_role("button", name=f"Go on ({MAX_LINES}+ new)")
    expect(goes_on).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".log li")).to_have_count(3)
    goes_on.click()
    expect(page.locator(".log li")).to_have_count(MAX_LINES)


@pytest.mark.slow
def test_what_has_left_the_stream_is_found_again_in_the_log_of_the_server(
    visiting: Visiting, new_studio: Studio
) -> None:
    visit = visiting(new_studio)
    page = visit.open()
    for sentence in ("who can speak?", "list my videos"):
        visit.say(sentence)
        expect(page.locator(".turn", has_text=sentence).locator(".reply")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator(".thinking")).to_have_count(0, timeout=PATIENCE_MS)
    # A page whose stream is silent: what it shows comes from the search alone.
    later = visiting(new_studio)
    Stream(later.page)
    page = later.open("log")
    search = page.get_by_label("Show only lines with")
    expect(page.locator(".empty")).to_be_visible(timeout=PATIENCE_MS)
    search.fill("tool list_personas")
    expect(page.locator(".log li").first).to_contain_text("list_personas", timeout=PATIENCE_MS)
    assert all("list_personas" in line for line in page.locator(".log li").all_inner_texts())
    search.fill("nothing of that kind")
    expect(page.locator(".empty")).to_have_text("No line with “nothing of that kind”.", timeout=PATIENCE_MS)
