"""A project is duplicated from its card and from the editor, with what was typed last."""

from __future__ import annotations

import re

import httpx
import pytest
from editor_page import SCRIPTS, create_project, field, open_project, scripts
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, breaches

pytestmark = pytest.mark.browser


def test_a_card_is_duplicated_and_its_copy_stands_first(visiting: Visiting, operator: httpx.Client) -> None:
    project = create_project(operator, *SCRIPTS)
    operator.patch(f"/api/projects/{project}", json={"title": "Storm surge"}).raise_for_status()
    page = visiting(locale="de", bypass_csp=True).open("projects")
    card = page.locator(".project", has=page.get_by_role("link", name="Storm surge", exact=True))
    card.get_by_role("button", name="Duplizieren Storm surge").click()
    first = page.locator(".project").first
    expect(first.get_by_role("link")).to_have_text("Storm surge (copy)", timeout=PATIENCE_MS)
    assert breaches(page) == []
    first.get_by_role("link").click()
    expect(page.get_by_label("Skript der Szene 2", exact=True)).to_have_value(SCRIPTS[1], timeout=PATIENCE_MS)


def test_the_editor_duplicates_what_was_typed_last_and_opens_the_copy(
    visiting: Visiting, operator: httpx.Client
) -> None:
    project = create_project(operator, *SCRIPTS)
    operator.patch(f"/api/projects/{project}", json={"title": "Neap tide"}).raise_for_status()
    page = open_project(visiting(), project)
    field(page, 2).fill("Typed last.")
    page.get_by_role("button", name="Duplicate this project").click()
    expect(page).to_have_url(re.compile("neap-tide-copy$"), timeout=PATIENCE_MS)
    expect(page.get_by_label("Title of the project")).to_have_value("Neap tide (copy)", timeout=PATIENCE_MS)
    assert scripts(operator, "neap-tide-copy") == [SCRIPTS[0], "Typed last.", *SCRIPTS[2:]]
    field(page, 2).fill("Of the copy.")
    expect(page.get_by_text("Saved", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    assert scripts(operator, project)[1] == "Typed last."


def test_who_may_not_create_projects_is_offered_no_copy(visiting: Visiting, operator: httpx.Client) -> None:
    create_project(operator, *SCRIPTS)
    body = {"name": "watcher", "role": "viewer"}
    key = operator.post("/api/keys", json=body).raise_for_status().json()["key"]
    visit = visiting()
    visit.page.goto(visit.url)
    visit.page.locator("#key-value").fill(key)
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
    page = visit.open("projects")
    expect(page.locator(".project").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Duplicate")).to_have_count(0)
