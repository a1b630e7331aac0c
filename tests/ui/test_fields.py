"""Fields say in words what the server would refuse, and show what it refuses; by the keyboard alone."""

from __future__ import annotations

import httpx
import pytest
from editor_page import SCRIPTS, create_project, expect_saved, open_project
from page_hands import EACH_WIDTH, Keyboard
from playwright.sync_api import Locator, Page, Request, expect
from studio_page import PATIENCE_MS, Visiting, breaches

pytestmark = pytest.mark.browser


def expect_problem(field: Locator, words: str) -> None:
    """Waits until the field is marked and described with these words, as readers of screens tell them."""
    expect(field).to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    expect(field).to_have_accessible_description(words)


def expect_good(field: Locator) -> None:
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("")


def record_requests(page: Page, method: str, ending: str) -> list[Request]:
    """Returns the list that such requests of the page come into."""
    found: list[Request] = []
    page.on(
        "request",
        lambda one: found.append(one) if (one.method, one.url.endswith(ending)) == (method, True) else None,
    )
    return found


@EACH_WIDTH
def test_a_new_key_says_what_its_name_lacks_before_it_is_sent(visiting: Visiting, width: int) -> None:
    page = visiting(bypass_csp=True).open("keys")
    hand, requests = Keyboard(page), record_requests(page, "POST", "/api/keys")
    name = page.get_by_label("What the new key is for", exact=True)
    expect(name).to_have_attribute("aria-required", "true", timeout=PATIENCE_MS)
    hand.reach(name)
    page.keyboard.press("Tab")
    # Passing by is no mistake.
    expect_good(name)
    hand.press(page.get_by_role("button", name="Create key"))
    expect_problem(name, "This is needed.")
    expect(name).to_be_focused()
    name.fill("x" * 101)
    expect_problem(name, "101 characters; 100 are the most.")
    page.keyboard.press("Enter")
    expect(name, "nothing is cut off").to_have_value("x" * 101)
    assert breaches(page) == [] and requests == []
    hand.write(name, f"Ticker {width}")
    expect_good(name)
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr", has_text=f"Ticker {width}").first).to_be_visible(timeout=PATIENCE_MS)
    expect(name, "the form is empty again, and blames nobody").to_have_value("")
    expect_good(name)


@EACH_WIDTH
def test_the_address_of_a_webhook_is_refused_at_its_field(visiting: Visiting) -> None:
    page = visiting(bypass_csp=True).open("run/webhooks")
    hand = Keyboard(page)
    url = page.get_by_label("Address of the program", exact=True)
    hand.write(url, "my program")
    page.keyboard.press("Tab")
    expect_problem(url, "This is no address: it begins with https://.")
    # Only the server knows which hosts there are.
    hand.write(hand.reach(url), "https://10.1.2.3/hook")
    expect_good(url)
    page.keyboard.press("Enter")
    expect(url).to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    expect(page.get_by_role("alert")).to_contain_text("10.1.2.3")
    expect(url).to_be_focused()
    expect(page.locator(".problem")).to_have_count(0)
    assert breaches(page) == []
    page.keyboard.press("End")
    page.keyboard.type("s")
    expect_good(url)


def test_a_pattern_is_told_in_words(visiting: Visiting) -> None:
    page = visiting(bypass_csp=True).open("run/policy")
    tenant = page.get_by_label("to what belongs to the tenant", exact=True)
    expect(tenant).to_be_visible(timeout=PATIENCE_MS)
    Keyboard(page).write(tenant, "Acme Inc")
    expect_good(tenant)
    page.keyboard.press("Tab")
    expect_problem(tenant, "Small letters and digits, with hyphens between them.")
    Keyboard(page).write(page.get_by_label("do", exact=True), "render:create")
    page.keyboard.press("Enter")
    expect(tenant).to_be_focused()
    Keyboard(page).write(tenant, "acme")
    expect_good(tenant)


def test_a_project_is_not_renamed_to_what_is_too_long(visiting: Visiting, operator: httpx.Client) -> None:
    create_project(operator, title="Lighthouse")
    page = visiting(bypass_csp=True).open("projects")
    hand, requests = Keyboard(page), record_requests(page, "PATCH", "")
    hand.press(page.get_by_role("button", name="Rename Lighthouse"))
    title = page.get_by_label("New title", exact=True)
    hand.write(title, "")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect_problem(title, "This is needed.")
    title.fill("🗼" * 201)
    expect_problem(title, "201 characters; 200 are the most.")
    page.keyboard.press("Enter")
    assert breaches(page) == [] and requests == []
    hand.write(title, "Beacon")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Beacon")).to_be_visible(timeout=PATIENCE_MS)


def test_a_snapshot_shows_at_its_name_that_it_is_taken(visiting: Visiting, operator: httpx.Client) -> None:
    session = operator.post("/api/chat", json={"message": "help"}).raise_for_status().json()["session_id"]
    operator.post("/api/snapshots", json={"name": "tides", "session_id": session}).raise_for_status()
    visit = visiting(bypass_csp=True)
    page = visit.open()
    visit.say("help")
    expect(page.locator(".turn").last).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("link", name="Snapshots", exact=True).click()
    name = page.get_by_label("Name of the snapshot", exact=True)
    Keyboard(page).write(name, "tides")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(
        "There is a snapshot called 'tides' already.", timeout=PATIENCE_MS
    )
    expect(name).to_be_focused()
    expect(page.locator(".problem")).to_have_count(0)
    assert breaches(page) == []


def test_the_name_of_a_presenter_is_checked_while_it_is_typed(visiting: Visiting) -> None:
    page = visiting(bypass_csp=True).open("presenters")
    Keyboard(page).press(page.get_by_role("button", name="New presenter"))
    dialog = page.get_by_role("dialog", name="New presenter")
    name, person = dialog.get_by_label("Name", exact=True), dialog.get_by_label("Full name of the person")
    name.fill("n" * 81)
    expect_problem(name, "81 characters; 80 are the most.")
    person.fill("p" * 201)
    expect_problem(person, "201 characters; 200 are the most.")
    assert breaches(page) == []


def test_a_share_of_the_picture_out_of_range_is_said_and_not_saved(
    visiting: Visiting, operator: httpx.Client
) -> None:
    project = create_project(operator, *SCRIPTS)
    page = open_project(visiting(bypass_csp=True), project)
    page.get_by_role("button", name="Add ▾").first.click()
    page.get_by_role("menuitem", name="Title", exact=True).click()
    page.get_by_text("Place on the picture, in %").first.click()
    width = page.get_by_label(": width").first
    width.fill("250")
    expect(width).to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    expect(width).to_have_accessible_description("200 or less.")
    width.fill("50")
    expect_good(width)
    expect_saved(page)
    [scene, *_] = operator.get(f"/api/projects/{project}/scenes").json()
    assert scene["overlays"][0]["box"]["width"] == 0.5
