"""Palette, keys, settings, inbox and toasts of the page: by keyboard, and looked at by axe."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, Studio, Visiting, address, breaches

pytestmark = pytest.mark.browser


def test_the_palette_leads_to_views_and_tools_by_a_few_letters(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.open("projects")
    page.keyboard.press("Control+k")
    search = page.get_by_role("searchbox", name="Go to a view, or call a tool")
    expect(search).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.type("machi")
    options = page.get_by_role("dialog").get_by_role("option")
    expect(options.first).to_have_text("Machines")
    page.keyboard.press("Enter")
    page.wait_for_url(visit.url + address("machines"))
    expect(search).to_have_count(0)
    page.keyboard.press("Control+k")
    expect(search).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.type("make_render")
    expect(options.first).to_have_text("Make video", timeout=PATIENCE_MS)
    options.first.click()
    expect(page.locator("#utterance")).to_have_value(
        "Make a video where Nova says: Hello", timeout=PATIENCE_MS
    )
    expect(page.locator("#utterance")).to_be_focused()
    assert visit.complaints == []


def test_the_palette_says_which_right_is_missing(visiting: Visiting) -> None:
    visit = visiting()

    def without_keys(route: object) -> None:
        answer = route.fetch()  # type: ignore[attr-defined]
        me = answer.json()
        me["permissions"].remove("key:read")
        route.fulfill(response=answer, json=me)  # type: ignore[attr-defined]

    visit.page.route("**/api/me", without_keys)
    page = visit.open("projects")
    page.keyboard.press("Control+k")
    page.get_by_role("searchbox", name="Go to a view, or call a tool").fill("keys run")
    option = page.get_by_role("dialog").get_by_role("option").first
    expect(option).to_contain_text("needs key:read", timeout=PATIENCE_MS)
    expect(option).to_have_attribute("aria-disabled", "true")


OPENED: dict[str, Callable[[Page], None]] = {
    "Go to, or do": lambda page: page.keyboard.press("Control+k"),
    "Keyboard shortcuts": lambda page: page.keyboard.press("?"),
    "Inbox": lambda page: page.get_by_role("button", name="Inbox").press("Enter"),
}


@pytest.mark.parametrize("scheme", ["dark", pytest.param("light", marks=pytest.mark.slow)])
def test_axe_finds_nothing_on_what_opens_and_escape_closes_it(visiting: Visiting, scheme: str) -> None:
    page = visiting(color_scheme=scheme, bypass_csp=True).open("projects")
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible(timeout=PATIENCE_MS)
    for name, act in OPENED.items():
        act(page)
        dialog = page.get_by_role("dialog", name=name)
        expect(dialog).to_be_visible(timeout=PATIENCE_MS)
        assert breaches(page) == [], name
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    settings = page.get_by_role("button", name="Settings")
    settings.press("Enter")
    expect(page.get_by_role("menuitemradio", name="System").first).to_be_focused(timeout=PATIENCE_MS)
    assert breaches(page) == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(settings).to_be_focused()


def test_a_single_key_can_be_switched_off(visiting: Visiting) -> None:
    page = visiting().open("projects")
    page.keyboard.press("?")
    page.get_by_label("Single keys work").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.get_by_role("dialog", name="Go to, or do")).to_be_visible()


COVERED = """() => [
    ...document.querySelectorAll(".bar :is(a, button), .rooms a, .view .row.apart :is(a, button)")
  ].filter((one) => {
    const box = one.getBoundingClientRect();
    const over = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return over?.closest(".toasts");
  }).map((one) => one.textContent)"""


def test_no_view_is_longer_than_the_window_and_a_dialog_dims_all_of_it(visiting: Visiting) -> None:
    page = visiting().open("create")
    expect(page.get_by_role("button", name="Import a document")).to_be_visible(timeout=PATIENCE_MS)
    for width in (1440, 820, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollHeight") == 900
        page.get_by_role("button", name="Import a document").click()
        expect(page.locator(".overlay")).to_have_count(1, timeout=PATIENCE_MS)
        assert page.locator(".overlay").bounding_box() == {"x": 0, "y": 0, "width": width, "height": 900}
        page.keyboard.press("Escape")
        expect(page.locator(".overlay")).to_have_count(0)


def test_a_film_that_ends_is_told_where_it_is_not_shown_and_stays_in_the_inbox(
    visiting: Visiting, workless_studio: Studio
) -> None:
    visit = visiting(workless_studio, bypass_csp=True)
    page = visit.open("projects")
    expect(page.locator(".line")).to_have_text("Live", timeout=PATIENCE_MS)
    order = {"script": "Hello", "title": "Ebb", "canvas": {"width": 320, "height": 180}}
    url, headers = f"{workless_studio.url}/api/renders", workless_studio.headers
    httpx.post(url, json=order, headers=headers, timeout=60, trust_env=False).raise_for_status()
    toast = page.locator(".toast")
    expect(toast).to_contain_text("“Ebb” has failed", timeout=PATIENCE_MS)
    assert breaches(page) == []
    for width in (1440, 820, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(COVERED) == [], f"behind the toast at {width}"
    toast.get_by_role("button", name="Close").click()
    expect(toast).to_have_count(0)
    page.get_by_role("button", name="Inbox, 1 new").click()
    page.get_by_role("dialog", name="Inbox").get_by_role("link", name="“Ebb” has failed").click()
    expect(page.locator(".view h1:visible")).to_have_text("Ebb", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Inbox", exact=True)).to_be_visible()
