"""Two windows on one project: what one changes, the other shows; neither loses anything."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, REPOSITORY, Visiting

pytestmark = pytest.mark.browser
SCRIPTS = ("Good morning. The tide comes in twice a day.", "The moon is why.")


@pytest.fixture
def project(operator: httpx.Client) -> str:
    """A project of two scenes; returns its id."""
    created = operator.post("/api/projects", json={"title": "Harbour"}).raise_for_status()
    found = str(created.json()["id"])
    for script in SCRIPTS:
        operator.post(f"/api/projects/{found}/scenes", json={"script": script}).raise_for_status()
    return found


@pytest.fixture
def window(visiting: Visiting, project: str) -> Callable[[], Page]:
    """Opens the project in a browser of its own."""

    def open_window() -> Page:
        page = visiting().open(f"projects/{project}")
        expect(field(page, 1)).to_have_value(SCRIPTS[0], timeout=PATIENCE_MS)
        return page

    return open_window


def field(page: Page, number: int) -> Any:
    return page.get_by_label(f"Script of scene {number}", exact=True)


def expect_scripts(page: Page, *scripts: str) -> None:
    for number, script in enumerate(scripts, 1):
        expect(field(page, number)).to_have_value(script, timeout=PATIENCE_MS)
    expect(page.locator(".saved")).to_have_text("Saved", timeout=PATIENCE_MS)


def scripts_of(operator: httpx.Client, project: str) -> list[str]:
    found = operator.get(f"/api/projects/{project}/scenes").raise_for_status().json()
    return [scene["script"] for scene in found]


def test_two_windows_that_change_at_random_lose_nothing(built_page: None, tmp_path: Path) -> None:
    script = tmp_path / "merge.mjs"
    bundler = REPOSITORY / "ui" / "node_modules" / ".bin" / "rolldown"
    entry = Path(__file__).with_name("merge_edits.ts")
    bundle = [bundler, entry, "--format", "esm", "--platform", "node", "--file", script]
    subprocess.run(bundle, check=True, capture_output=True)
    done = subprocess.run(["node", script, "3000", "1"], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["wrong"] == [] and found["revisions"] > 1000 and found["addedWords"] > 300


def test_what_one_window_saves_appears_in_the_other_without_a_reload(
    window: Callable[[], Page], operator: httpx.Client, project: str
) -> None:
    here, there = window(), window()
    field(here, 1).fill("From here.")
    field(there, 2).fill("From there.")
    for page in (here, there):
        expect_scripts(page, "From here.", "From there.")
    assert scripts_of(operator, project) == ["From here.", "From there."]
    # Undo takes back what this window did, and nothing of the other's.
    here.get_by_role("button", name="Undo").click()
    for page in (here, there):
        expect_scripts(page, SCRIPTS[0], "From there.")


def test_scenes_added_moved_and_deleted_in_two_windows_at_once_come_together(
    window: Callable[[], Page], operator: httpx.Client, project: str
) -> None:
    here, there = window(), window()
    # Neither hears of the other before both have something to save.
    for page in (here, there):
        page.route("**/changes", lambda route: route.abort())
    field(here, 2).click()
    here.get_by_role("button", name="Add scene").last.click()
    field(here, 3).fill("A third.")
    there.get_by_role("button", name="Move scene 2 up").click()
    field(there, 1).fill("The moon pulls.")
    for page in (here, there):
        expect(page.locator(".saved")).to_contain_text("Not saved", timeout=PATIENCE_MS)
        page.unroute_all()
    for page in (here, there):
        expect_scripts(page, "The moon pulls.", "A third.", SCRIPTS[0])
    assert scripts_of(operator, project) == ["The moon pulls.", "A third.", SCRIPTS[0]]


def test_a_scene_that_is_changed_here_stays_when_it_is_deleted_there(
    window: Callable[[], Page], operator: httpx.Client, project: str
) -> None:
    here, there = window(), window()
    here.route("**/changes", lambda route: route.abort())
    field(here, 2).fill("Still wanted.")
    expect(here.locator(".saved")).to_contain_text("Not saved", timeout=PATIENCE_MS)
    there.get_by_role("button", name="Delete scene 2").click()
    expect(field(there, 2)).to_have_count(0)
    expect(there.locator(".saved")).to_have_text("Saved", timeout=PATIENCE_MS)
    here.unroute_all()
    for page in (here, there):
        expect_scripts(page, SCRIPTS[0], "Still wanted.")
    assert scripts_of(operator, project) == [SCRIPTS[0], "Still wanted."]
