"""The queue on the page: what runs where, what waits and why, another priority, and cancelling several."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from studio_page import PATIENCE_MS, REPOSITORY, Studio, Visiting, breaches, studio_up
from waiting import eventually

pytestmark = pytest.mark.browser

STAND_IN = REPOSITORY / "tests" / "farm" / "stand_in.py"


@pytest.fixture
def busy_studio(
    built_page: None, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Iterator[Studio]:
    """A studio with one worker, which obeys orders in scripts and is slow when it is told so."""
    program = tmp_path / "worker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {STAND_IN} "$@"\n')
    program.chmod(0o755)
    worker = {"SOUNDSTAGE_WORKER__COMMAND": str(program), "SOUNDSTAGE_WORKER__CONCURRENCY": "1"}
    with studio_up(tmp_path_factory, **worker) as studio:
        yield studio


def ask_for(studio: Studio, *titles: str) -> None:
    """Films that take an hour; the next is asked for when one runs or waits for a worker."""
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as client:
        for title in titles:
            body = {"script": f"!slow 3600\n{title}", "title": title, "persona": "nova"}
            path = f"/api/renders/{client.post('/api/renders', json=body).raise_for_status().json()['id']}"

            def is_taken(path: str = path) -> bool:
                render = client.get(path).raise_for_status().json()
                return render["state"] == "running" or "workers busy" in render["waits"]

            eventually(is_taken, f"a worker to be asked for {title}")


def part(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name).get_by_role("listitem")


def test_what_waits_is_moved_and_several_are_cancelled(visiting: Visiting, busy_studio: Studio) -> None:
    ask_for(busy_studio, "Tides", "Waves", "Harbour")
    page = visiting(busy_studio, bypass_csp=True).open("queue")
    running, waiting = part(page, "Being made"), part(page, "Waiting, the next one first")
    expect(running).to_have_count(1, timeout=PATIENCE_MS)
    expect(running).to_contain_text("Tides")
    expect(running).to_contain_text(f"on {platform.node()}", timeout=PATIENCE_MS)
    expect(running).to_contain_text("Nova")
    expect(waiting).to_have_count(2)
    expect(waiting.nth(0)).to_contain_text("Waves")
    expect(waiting.nth(0)).to_contain_text("1 of 1 workers busy", timeout=PATIENCE_MS)
    german = visiting(busy_studio, locale="de-AT")
    first = part(german.open("queue"), "Wartend, das nächste zuerst").nth(0)
    expect(first).to_contain_text("1 von 1 Arbeitsplätzen sind belegt", timeout=PATIENCE_MS)
    german.page.close()
    assert breaches(page) == []
    # Live, and not by a clock: nothing is asked for while nothing moves.
    requests: list[str] = []
    page.on("request", lambda one: requests.append(one.url) if "/api/queue" in one.url else None)

    def asks_for_nothing() -> bool:
        # What happened just before the page was opened is asked for once more; a clock would never stop.
        requests.clear()
        page.wait_for_timeout(6000)
        return requests == []

    eventually(asks_for_nothing, "the page to be quiet")
    page.get_by_label("When Harbour runs").select_option("at once")
    expect(waiting.nth(0)).to_contain_text("Harbour", timeout=PATIENCE_MS)
    # Another one, asked for elsewhere, comes by itself.
    ask_for(busy_studio, "Lighthouse")
    expect(waiting).to_have_count(3, timeout=PATIENCE_MS)
    page.get_by_label("Choose Tides").check()
    page.get_by_label("Choose Waves").check()
    page.get_by_role("button", name="Cancel 2 videos").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It is stopped", timeout=PATIENCE_MS)
    expect(dialog.locator(".changes li")).to_have_count(2)
    assert breaches(page) == []
    dialog.get_by_role("button", name="Cancel 2 videos").click()
    expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
    # What was moved to the front runs now, perhaps before the other's worker has ended.
    expect(running.filter(has_text="Harbour")).to_be_visible(timeout=PATIENCE_MS)
    expect(running).to_have_count(1, timeout=PATIENCE_MS)
    expect(waiting).to_have_count(1)
    expect(waiting).to_contain_text("Lighthouse")


def test_the_queue_is_worked_by_keyboard_on_a_phone(visiting: Visiting, busy_studio: Studio) -> None:
    ask_for(busy_studio, "Tides", "Waves", "Harbour")
    options: dict[str, Any] = {"bypass_csp": True, "viewport": {"width": 390, "height": 800}}
    page = visiting(busy_studio, **options).open("queue")
    waiting = part(page, "Waiting, the next one first")
    expect(waiting).to_have_count(2, timeout=PATIENCE_MS)
    assert breaches(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("When Harbour runs").focus()
    page.keyboard.type("sooner")
    page.keyboard.press("Enter")
    expect(waiting.nth(0)).to_contain_text("Harbour", timeout=PATIENCE_MS)
    box = page.get_by_label("Choose all")
    box.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Cancel 3 videos")).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".changes li")).to_have_count(3, timeout=PATIENCE_MS)
    expect(dialog.get_by_role("button", name="Cancel", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(waiting).to_have_count(2)
    page.get_by_role("button", name="Cancel Waves").focus()
    page.keyboard.press("Enter")
    expect(dialog.locator(".changes li")).to_have_count(1, timeout=PATIENCE_MS)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(waiting).to_have_count(1, timeout=PATIENCE_MS)
    expect(waiting).to_contain_text("Harbour")


@pytest.mark.slow
def test_an_empty_queue_and_one_that_cannot_be_read_say_so(visiting: Visiting, new_studio: Studio) -> None:
    visit = visiting(new_studio, bypass_csp=True)
    page = visit.open("queue")
    expect(page.get_by_text("Nothing runs and nothing waits")).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    problem = (
        '{"code": "database.busy", "detail": "The database is busy.", "hint": "Try again.", "status": 503}'
    )

    def busy(route: Route) -> None:
        route.fulfill(status=503, content_type="application/problem+json", body=problem)

    page.route("**/api/queue", busy)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The database is busy.", timeout=PATIENCE_MS)
    assert breaches(page) == []
    page.unroute("**/api/queue")
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_text("Nothing runs and nothing waits")).to_be_visible(timeout=PATIENCE_MS)
