"""Projects on the page: written, cut, moved, taken back, made into a video; nothing is lost between tabs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect
from studio_page import PATIENCE_MS, Studio, Visiting, breaches

pytestmark = pytest.mark.browser
WIDTHS = (1440, 1024, 390)


def scripts(page: Page) -> Locator:
    return page.locator(".scene textarea")


def expect_saved(page: Page) -> None:
    for one in page.locator(".scene").all():
        expect(one.get_by_role("status")).to_have_text("Saved")


@pytest.fixture
def project(visiting: Visiting, studio: Studio) -> Page:
    """A new project with its first, empty scene, opened by two clicks."""
    page = visiting(studio, bypass_csp=True).open("projects")
    page.get_by_role("button", name="New project").click()
    expect(scripts(page)).to_have_count(1)
    return page


def test_a_project_is_written_and_made_into_a_video_that_plays(project: Page) -> None:
    page = project
    make = page.get_by_role("button", name="Make the video")
    expect(make).to_be_disabled()
    page.get_by_label("Title of the project").fill("Tides")
    scripts(page).fill("The sea rises.")
    page.get_by_label("Presenter of scene 1").select_option(label="Milo")
    page.get_by_label("Shape").select_option("1:1")
    expect_saved(page)
    # No change waits any more.
    expect(page.get_by_role("button", name="Undo shape")).to_be_enabled()
    page.reload()
    expect(page.get_by_label("Title of the project")).to_have_value("Tides")
    expect(scripts(page)).to_have_value("The sea rises.")
    expect(page.get_by_label("Shape")).to_have_value("1:1")
    make.click()
    video = page.locator("section[aria-label='The video'] video")
    expect(video).to_be_visible(timeout=10 * PATIENCE_MS)
    expect(video).to_have_js_property("videoWidth", 1080, timeout=PATIENCE_MS)
    assert video.evaluate("one => one.videoHeight") == 1080
    page.goto(re.sub("#.*", "#/projects", page.url))
    expect(page.locator(".tile .title", has_text="Tides")).to_be_visible()


def test_scenes_are_split_joined_moved_deleted_and_taken_back(project: Page) -> None:
    page = project
    scripts(page).fill("One. Two.")
    scripts(page).evaluate("one => one.setSelectionRange(5, 5)")
    page.get_by_role("button", name="Split scene 1 at the cursor").click()
    expect(scripts(page)).to_have_count(2)
    assert [one.input_value() for one in scripts(page).all()] == ["One.", "Two."]
    page.get_by_role("button", name="Move scene 2 up").click()
    expect(scripts(page).first).to_have_value("Two.")
    page.get_by_role("button", name="Delete scene 1").click()
    expect(scripts(page)).to_have_count(1)
    undo = page.get_by_role("button", name="Undo")
    undo.click()
    expect(scripts(page)).to_have_count(2)
    expect(scripts(page).first).to_have_value("Two.")
    page.locator("h2").first.click()
    page.keyboard.press("Control+z")
    expect(scripts(page).first).to_have_value("One.")
    page.get_by_role("button", name="Join scene 1 with the next").click()
    expect(scripts(page)).to_have_count(1)
    expect(scripts(page)).to_have_value("One.\n\nTwo.")
    undo.click()
    expect(scripts(page)).to_have_count(2)
    page.get_by_role("button", name="Redo").click()
    expect(scripts(page)).to_have_count(1)


def test_marks_go_where_the_cursor_is(project: Page) -> None:
    scripts(project).fill("The sea rises.")
    scripts(project).evaluate("one => one.setSelectionRange(4, 7)")
    project.get_by_role("button", name="Emphasis").click()
    expect(scripts(project)).to_have_value("The *sea* rises.")
    project.keyboard.press("Control+z")
    expect(scripts(project)).to_have_value("The sea rises.")


def test_a_text_that_another_tab_has_changed_is_not_written_over(project: Page, visiting: Visiting) -> None:
    scripts(project).fill("First.")
    expect_saved(project)
    other = project.context.new_page()
    other.goto(project.url)
    expect(scripts(other)).to_have_value("First.")
    scripts(other).fill("Theirs.")
    expect_saved(other)
    scripts(project).fill("Mine.")
    choice = project.get_by_role("alert")
    expect(choice).to_contain_text("Theirs.")
    choice.get_by_role("button", name="Keep mine").click()
    expect_saved(project)
    other.reload()
    expect(scripts(other)).to_have_value("Mine.")
    other.close()


def test_a_list_that_was_read_before_a_change_brings_no_older_text_back(project: Page) -> None:
    """A scene is added while the text of the first is being saved, and the list of scenes arrives late."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        # Read now, delivered later.
        response = route.fetch()
        held.append(route)
        if len(held) == 1:
            project.wait_for_timeout(1500)
        route.fulfill(response=response)

    project.route(
        "**/api/projects/*/scenes", lambda route: hold(route) if is_read(route) else route.continue_()
    )
    scripts(project).fill("The sea rises.")
    project.get_by_role("button", name="Add a scene").click()
    expect(scripts(project)).to_have_count(2)
    expect_saved(project)
    project.wait_for_timeout(500)
    expect(scripts(project).first).to_have_value("The sea rises.")


def is_read(route: Route) -> bool:
    return route.request.method == "GET"


def test_a_text_that_could_not_be_saved_is_there_after_a_reload(project: Page) -> None:
    project.route("**/scenes/*", lambda route: route.abort())
    scripts(project).fill("Written offline.")
    expect(project.locator(".scene").get_by_role("status")).to_contain_text(
        "Not saved: the server does not answer"
    )
    project.unroute("**/scenes/*")
    project.reload()
    expect(scripts(project)).to_have_value("Written offline.")
    expect_saved(project)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_editor_fits_and_can_be_used_by_all(project: Page, width: int) -> None:
    scripts(project).fill("The sea rises and falls twice a day.")
    project.get_by_role("button", name="Add a scene").click()
    expect(scripts(project)).to_have_count(2)
    project.set_viewport_size({"width": width, "height": 900})
    assert breaches(project) == []
    assert project.evaluate("document.documentElement.scrollWidth") <= width
