"""Addresses of the page; what is fetched at first; the chat beside the views."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Request, expect
from studio_page import PATIENCE_MS, REPOSITORY, Studio, Visiting, address

pytestmark = pytest.mark.browser
BUILT = REPOSITORY / "app" / "page" / "built"
FIRST_LOAD_KIB = 150


def test_an_address_is_opened_left_and_reloaded_like_any_page(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.open("presenters")
    page.get_by_role("link", name="Projects", exact=True).click()
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("link", name="Log", exact=True).click()
    page.wait_for_url(visit.url + address("log"))
    expect(page).to_have_title("Log · Soundstage")
    page.go_back()
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible(timeout=PATIENCE_MS)
    page.reload()
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("link", name="Projects", exact=True)).to_have_attribute("aria-current", "page")
    page.goto(f"{visit.url}/no/such/view")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("link", name="New video", exact=True).first.click()
    expect(page.get_by_role("heading", name="What should be said?")).to_be_visible(timeout=PATIENCE_MS)


def test_the_first_load_is_small_and_other_views_come_when_they_are_opened(
    visiting: Visiting, new_studio: Studio
) -> None:
    # In another one a film may be made just now, which is told of by more code.
    visit = visiting(new_studio)
    fetched: set[Path] = set()

    def note(request: Request) -> None:
        name = request.url.partition("/page/")[2]
        if name.endswith((".js", ".css", ".woff2")):
            fetched.add(BUILT / name)

    visit.page.on("request", note)
    visit.log_in()
    expect(visit.page.locator(".faces label").first).to_be_visible(timeout=PATIENCE_MS)
    fonts = {path for path in fetched if path.suffix == ".woff2"}
    assert len(fonts) == 1, "one font, of the letters that the page uses"
    texts = {*(fetched - fonts), BUILT / "index.html"}
    # As sent to those who take Brotli (HTTPS, and this machine), and without the font to others.
    for ending, others in ((".br", fonts), (".gz", set[Path]())):
        files = {*(path.with_name(path.name + ending) for path in texts), *others}
        sizes = sorted((path.stat().st_size, path.name) for path in files)
        assert sum(size for size, _ in sizes) <= FIRST_LOAD_KIB * 1024, sizes
    before = set(fetched)
    visit.page.get_by_role("button", name="More", exact=True).click()
    visit.page.get_by_role("link", name="Log", exact=True).click()
    expect(visit.page.get_by_role("heading", name="Log")).to_be_visible(timeout=PATIENCE_MS)
    assert any("LogView" in path.name for path in fetched - before)


def test_rare_views_of_the_rail_are_behind_a_button_that_stays_as_it_was_left(visiting: Visiting) -> None:
    page = visiting().open("projects")
    views = page.get_by_role("navigation", name="Views")
    audit, more = (
        views.get_by_role("link", name="Audit"),
        views.get_by_role("button", name="More", exact=True),
    )
    expect(views.get_by_role("link", name="Machines")).to_be_visible()
    expect(audit).to_be_hidden()
    more.press("Enter")
    expect(audit).to_be_visible()
    page.reload()
    audit.click()
    views.get_by_role("button", name="Less", exact=True).click()
    expect(views.get_by_role("link", name="API keys")).to_be_hidden()
    expect(audit, "the view that is shown stays in the rail").to_be_visible()


def test_the_chat_stands_beside_a_view_when_it_is_asked_for(visiting: Visiting) -> None:
    page = visiting().open("projects")
    sentence = page.locator("#utterance")
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible(timeout=PATIENCE_MS)
    expect(sentence).to_have_count(0)
    page.keyboard.press("Control+j")
    expect(sentence).to_be_focused(timeout=PATIENCE_MS)
    page.reload()
    expect(sentence).to_be_visible(timeout=PATIENCE_MS)
    edge = page.get_by_role("separator", name="Width of the chat")
    width = int(edge.get_attribute("aria-valuenow") or 0)
    edge.press("ArrowLeft")
    expect(edge).to_have_attribute("aria-valuenow", str(width + 24))
    box = page.locator(".chat").bounding_box()
    assert box is not None and abs(box["width"] - width - 24) < 5
    page.get_by_role("button", name="Close the chat").click()
    expect(sentence).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible(timeout=PATIENCE_MS)
    expect(sentence).to_have_count(0)


def test_a_phone_has_the_rooms_below_and_the_views_of_one_above(visiting: Visiting) -> None:
    page = visiting(viewport={"width": 390, "height": 844}).open("projects")
    rooms = page.get_by_role("navigation", name="Rooms")
    rooms.get_by_role("link", name="Run").click()
    expect(page.get_by_role("heading", name="Approvals")).to_be_visible(timeout=PATIENCE_MS)
    views = page.get_by_role("navigation", name="Views")
    expect(views.get_by_role("link", name="Machines")).to_be_visible()
    expect(views.get_by_role("link", name="Projects")).to_be_hidden()
    rooms.get_by_role("link", name="Chat").click()
    expect(page.locator("#utterance")).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_view_without_the_right_to_it_says_which_is_missing(studio: Studio, visiting: Visiting) -> None:
    visit = visiting()
    visit.page.route(
        "**/api/me", lambda route: route.fulfill(json={**route.fetch().json(), "permissions": []})
    )
    page = visit.open("machines")
    expect(page.locator(".view .problem")).to_contain_text("machine:read", timeout=PATIENCE_MS)
    expect(page.get_by_role("navigation", name="Views").get_by_role("link")).to_have_count(0)
