"""Processor time, bytes and elements of the page, by Chromium's own counters.

A server is started in a folder of its own and filled with 10 000 videos and a project of 200 scenes. Script
is the processor time of JavaScript (CDP `Performance.getMetrics`), which says more than wall time on a busy
machine.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "tests/servers"))
sys.path.append(str(Path(__file__).parents[1] / "tests/support"))

import httpx
from playwright.sync_api import CDPSession, Page, sync_playwright
from results import add_figure, add_json_option, percentile, write_figures
from sqlalchemy import insert
from studio_page import CHROMIUM, OPTIONS, Studio, Visit, wait_for

from app.composition import open_services
from soundstage.settings import Settings
from studio.renders.models import Render

ROOT = Path(__file__).parents[1]
SCENES, VIDEOS, EVENTS, IDLE_S = 200, 10_000, 20, 30
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 500
SENTENCE = "The moon pulls the sea towards it, and so the tide comes in once more. "
PATIENCE_MS = 60_000


@contextmanager
def studio_in(folder: Path) -> Iterator[Studio]:
    (folder / "state").mkdir()
    (folder / "playbook.yaml").write_text("- hosts: all\n  gather_facts: false\n  tasks: []\n")
    studio = Studio(folder, {"SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(folder)})
    try:
        studio.start()
        yield studio
    finally:
        studio.stop()


async def add_videos(studio: Studio) -> None:
    """Adds rows of ended videos, as a studio has after years."""
    settings = Settings(state_dir=studio.path / "state", personas_dir=ROOT / "personas")
    rows = [
        {
            "id": f"rnd_{number:026d}",
            "tenant": "default",
            "kind": "video",
            "state": "cancelled",
            "title": f"Video {number}",
            # Lists read none.
            "spec": {},
            "spec_hash": "sha256:0",
            "personas": ["nova"],
            "created_at": BEGIN + timedelta(seconds=number),
        }
        for number in range(VIDEOS)
    ]
    async with open_services(settings) as services, services.database.transaction() as session:
        for begin in range(0, VIDEOS, BATCH):
            await session.execute(insert(Render), rows[begin : begin + BATCH])


def add_scenes(api: httpx.Client) -> str:
    """Returns the id of a project of many scenes."""
    project = api.post("/api/projects", json={"title": "Two hundred"}).raise_for_status().json()
    changes = [{"op": "add_scene", "scene": {"script": f"{one}. {SENTENCE * 2}"}} for one in range(SCENES)]
    body = {"base_revision": project["revision"], "changes": changes}
    api.post(f"/api/projects/{project['id']}/changes", json=body).raise_for_status()
    return str(project["id"])


class Counters:
    """Chromium's counters of a page since they were last read."""

    def __init__(self, page: Page) -> None:
        self.session: CDPSession = page.context.new_cdp_session(page)
        self.session.send("Performance.enable")
        self.last = self.read()

    def read(self) -> dict[str, float]:
        found = self.session.send("Performance.getMetrics")["metrics"]
        return {one["name"]: one["value"] for one in found}

    def since(self) -> dict[str, float]:
        """Returns the difference to the last call."""
        now = self.read()
        found = {name: value - self.last.get(name, 0) for name, value in now.items()}
        self.last = now
        return found


FRAMES = """() => { window.frames_seen = 0;
  const count = () => { window.frames_seen++; requestAnimationFrame(count); };
  requestAnimationFrame(count); }"""


def settle(page: Page) -> None:
    """Waits a while: a page with a stream of events is never idle for the browser."""
    page.wait_for_timeout(2000)


def scroll(page: Page, steps: int) -> tuple[float, float]:
    """Turns the wheel; returns script in ms a frame, and the elements at the end."""
    page.mouse.move(700, 500)
    page.evaluate(FRAMES)
    counters = Counters(page)
    for _ in range(steps):
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(30)
    script_s = counters.since()["ScriptDuration"]
    frames = int(page.evaluate("window.frames_seen"))
    return script_s * 1000 / max(1, frames), page.evaluate("document.querySelectorAll('*').length")


def first_load(visit: Visit) -> tuple[float, float]:
    """Returns KiB as transferred, and seconds until the first view can be used."""
    page = visit.page
    begun = time.perf_counter()
    page.goto(visit.url, wait_until="commit")
    page.get_by_role("button", name="Make it").wait_for(timeout=PATIENCE_MS)
    usable = time.perf_counter() - begun
    settle(page)
    own = page.evaluate(
        """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .filter(one => !new URL(one.name).pathname.startsWith('/api/'))
            .reduce((sum, one) => sum + one.transferSize, 0)"""
    )
    return own / 1024, usable


def editor(visit: Visit, project: str) -> tuple[float, float, float, float]:
    """Returns KiB of the editor's own files, script in ms a key, script in ms a frame of scrolling, nodes."""
    page = visit.page
    page.goto(visit.url)
    settle(page)
    page.goto(f"{visit.url}/studio/p/{project}")
    page.get_by_label(f"Script of scene {SCENES}", exact=True).wait_for(state="attached", timeout=PATIENCE_MS)
    settle(page)
    chunk = page.evaluate(
        """() => performance.getEntriesByType('resource').filter(one => /Editor|editor/.test(one.name))
            .reduce((sum, one) => sum + one.encodedBodySize, 0)"""
    )
    frame, nodes = scroll(page, 60)
    field = page.get_by_label("Script of scene 100", exact=True)
    field.click()
    settle(page)
    counters = Counters(page)
    text = "So the sea comes and goes, day after day."
    for letter in text:
        page.keyboard.type(letter)
        page.wait_for_timeout(20)
    key = counters.since()["ScriptDuration"] * 1000 / len(text)
    settle(page)
    return chunk / 1024, key, frame, nodes


def wall(visit: Visit) -> tuple[float, float]:
    """Returns script in ms a frame of scrolling, and nodes."""
    page = visit.page
    page.goto(f"{visit.url}/videos")
    page.locator(".tile").nth(20).wait_for(state="attached", timeout=PATIENCE_MS)
    settle(page)
    for _ in range(8):
        more = page.get_by_role("button", name="Show more")
        if more.count():
            more.click()
            page.wait_for_timeout(300)
    return scroll(page, 80)


def live(visit: Visit, api: httpx.Client) -> list[float]:
    """Returns ms from a change by REST to the new word on an open page, of each of some changes."""
    project = api.post("/api/projects", json={"title": "Live"}).raise_for_status().json()["id"]
    page = visit.page
    page.goto(f"{visit.url}/studio/p/{project}")
    page.get_by_label("Title of the project").wait_for(timeout=PATIENCE_MS)
    settle(page)
    times = []
    for number in range(EVENTS):
        title = f"Live {number}"
        # Watches before the change is sent: the answer to the PATCH may come after the event.
        page.evaluate(
            """title => { window.seen = 0; const field = document.querySelector('.editor-bar .title');
              const look = () => {
                if (field.value === title) window.seen = Date.now(); else requestAnimationFrame(look); };
              look(); }""",
            title,
        )
        sent = time.time() * 1000
        api.patch(f"/api/projects/{project}", json={"title": title}).raise_for_status()
        wait_for(page, "window.seen > 0")
        times.append(page.evaluate("window.seen") - sent)
        page.wait_for_timeout(100)
    return times


def idle(visit: Visit) -> tuple[float, float]:
    """Returns requests and the share of a core of a page that nobody touches."""
    page = visit.page
    page.goto(f"{visit.url}/projects")
    page.get_by_role("heading", name="Projects", level=1).wait_for(timeout=PATIENCE_MS)
    settle(page)
    page.wait_for_timeout(3000)
    requests: list[str] = []
    page.on("request", lambda one: requests.append(one.url))
    counters = Counters(page)
    page.wait_for_timeout(IDLE_S * 1000)
    return len(requests), counters.since()["TaskDuration"] / IDLE_S * 100


def report(name: str, value: float, unit: str, goal: str) -> None:
    print(f"{name}: {value:.2f} {unit} (goal {goal})")
    add_figure(name, value, unit, goal=goal)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_json_option(parser)
    options = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    folder = Path(tempfile.mkdtemp())
    try:
        with studio_in(folder) as studio, sync_playwright() as playwright:
            in_thread(lambda: asyncio.run(add_videos(studio)))
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            visit = Visit(context.new_page(), studio.url, studio.start_link)
            visit.log_in()
            with httpx.Client(
                base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False
            ) as api:
                project = add_scenes(api)
                # As for somebody who comes for the first time: nothing is in the cache of the browser.
                fresh = browser.new_context(
                    viewport={"width": 1440, "height": 900}, storage_state=context.storage_state()
                )
                kib, usable = first_load(Visit(fresh.new_page(), studio.url, studio.start_link))
                report("first load, as transferred", kib, "KiB", "<= 150")
                report("first load until it can be used", usable, "s", "<= 1.0")
                chunk, key, frame, nodes = editor(visit, project)
                report("files of the editor, compressed", chunk, "KiB", "<= 220")
                report(f"script of a key in {SCENES} scenes", key, "ms", "<= 8")
                report(f"script of a frame, scrolling {SCENES} scenes", frame, "ms", "<= 4")
                report(f"elements of {SCENES} scenes", nodes, "elements", "< 2500")
                frame, nodes = wall(visit)
                report(f"script of a frame, scrolling {VIDEOS} videos", frame, "ms", "<= 4")
                report(f"elements of {VIDEOS} videos", nodes, "elements", "< 2500")
                report("change to screen, p95", percentile(live(visit, api), 0.95), "ms", "< 150")
                requests, share = idle(visit)
                report(f"requests of an idle page in {IDLE_S} s", requests, "requests", "0")
                report("processor of an idle page", share, "% of a core", "< 0.5")
            browser.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_figures("page", options.json)
    return 0


def in_thread(work: Callable[[], None]) -> None:
    """Runs what needs an event loop of its own: Playwright has one in this thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


if __name__ == "__main__":
    sys.exit(main())
