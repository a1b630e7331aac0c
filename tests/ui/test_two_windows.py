"""Two windows on one project: what one changes, the other shows; neither loses anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from editor_page import SCRIPTS, create_project, expect_saved, field, open_project, scripts
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, Visiting, run_script

pytestmark = pytest.mark.browser


@pytest.fixture
def project(operator: httpx.Client) -> str:
    return create_project(operator, *SCRIPTS)


@pytest.fixture
def window(visiting: Visiting, project: str) -> Callable[[], Page]:
    """Opens the project in a browser of its own."""

    return lambda: open_project(visiting(), project)


def expect_scripts(page: Page, *expected: str) -> None:
    for number, script in enumerate(expected, 1):
        expect(field(page, number)).to_have_value(script, timeout=PATIENCE_MS)
    expect_saved(page)


def test_two_windows_that_change_at_random_lose_nothing(built_page: None, tmp_path: Path) -> None:
    found = run_script(Path(__file__).with_name("merge_edits.ts"), tmp_path, "3000", "1")
    assert found["wrong"] == [] and found["revisions"] > 1000 and found["addedWords"] > 300


def test_what_one_window_saves_appears_in_the_other_without_a_reload(
    window: Callable[[], Page], operator: httpx.Client, project: str
) -> None:
    here, there = window(), window()
    field(here, 1).fill("From here.")
    field(there, 2).fill("From there.")
    for page in (here, there):
        expect_scripts(page, "From here.", "From there.")
    assert scripts(operator, project) == ["From here.", "From there."]
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
    assert scripts(operator, project) == ["The moon pulls.", "A third.", SCRIPTS[0]]


def test_a_scene_that_is_changed_here_stays_when_it_is_deleted_there(
    window: Callable[[], Page], operator: httpx.Client, project: str
) -> None:
    here, there = window(), window()
    here.route("**/changes", lambda route: route.abort())
    field(here, 2).fill("Still wanted.")
    expect(here.locator(".saved")).to_contain_text("Not saved", timeout=PATIENCE_MS)
    there.get_by_role("button", name="Delete scene 2").click()
    expect(field(there, 2)).to_have_count(0)
    expect_saved(there)
    here.unroute_all()
    for page in (here, there):
        expect_scripts(page, SCRIPTS[0], "Still wanted.")
    assert scripts(operator, project) == [SCRIPTS[0], "Still wanted."]
