"""The start link of `soundstage up` and `soundstage open`, followed by a browser."""

from __future__ import annotations

from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Studio, Visiting


def test_a_link_logs_a_browser_in_once_and_its_token_stays_nowhere(
    studio: Studio, visiting: Visiting
) -> None:
    link = studio.start_link()
    token = link.rpartition("/")[2]
    visit = visiting(bypass_csp=True)
    page = visit.page
    page.goto(link)
    expect(page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
    assert token not in page.url
    kept = page.evaluate("document.cookie + JSON.stringify(sessionStorage) + JSON.stringify(localStorage)")
    assert kept == "{}{}"
    page.go_back()
    assert token not in page.url
    assert token not in (studio.path / "server.log").read_text()
    assert visit.complaints == []

    # Somebody else has found it, in a chat or on a screen.
    second = visiting().page
    second.goto(link)
    expect(second.locator(".problem > code").last).to_have_text("login.link_used", timeout=PATIENCE_MS)
    expect(second.locator(".problem")).to_contain_text("soundstage open")
    expect(second.locator("#key-value")).to_be_visible()
    assert token not in second.url

    # A fresh link pasted into the same page.
    second.goto(studio.start_link())
    expect(second.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)


def test_a_used_link_in_a_browser_that_is_logged_in_shows_the_page(
    studio: Studio, visiting: Visiting
) -> None:
    link = studio.start_link()
    page = visiting().page
    for _ in range(2):
        page.goto("about:blank")
        page.goto(link)
        expect(page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)


def test_without_a_link_the_page_says_how_to_get_one(studio: Studio, visiting: Visiting) -> None:
    page = visiting().page
    page.goto(studio.url)
    expect(page.locator(".login")).to_contain_text("soundstage open", timeout=PATIENCE_MS)
