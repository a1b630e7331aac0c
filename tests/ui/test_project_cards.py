"""The card of a project shows who speaks in it, its buttons stand in one line, and a list comes at once."""

from __future__ import annotations

import time

import httpx
import pytest
from editor_page import create_project
from playwright.sync_api import Route, expect
from studio_page import PATIENCE_MS, Visiting, address
from waiting import eventually

pytestmark = pytest.mark.browser
APPEARS_MS = 400
"""When a panel that says that a list is coming, or empty, is seen."""
SEEN = """(() => {
  const first = new Map();
  globalThis.panels = [];
  const look = (now) => {
    for (const one of document.querySelectorAll(".empty, .pending")) {
      if (!first.has(one)) first.set(one, now);
      if (one.checkVisibility({ visibilityProperty: true }) && first.get(one) !== null) {
        panels.push(now - first.get(one));
        first.set(one, null);
      }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
"""Writes down after how many milliseconds each panel is seen."""


@pytest.mark.parametrize("width", [390, 1440])
def test_a_card_shows_the_presenters_of_its_scenes(
    visiting: Visiting, operator: httpx.Client, width: int
) -> None:
    title = f"Round table {width}"
    project = create_project(operator, title=title)
    for persona in ("milo", "vera", "finn"):
        scene = {"script": "Hello.", "persona": persona}
        operator.post(f"/api/projects/{project}/scenes", json=scene).raise_for_status()
    visit = visiting(locale="de-DE", viewport={"width": width, "height": 844})
    card = visit.open("projects").locator(".project", has_text=title)
    expect(card.locator(".words")).to_contain_text("Milo, Vera, Finn · 3 Szenen", timeout=PATIENCE_MS)
    faces = card.locator("img.face")
    expect(faces).to_have_count(3)
    for number, persona in enumerate(("milo", "vera", "finn")):
        assert f"/{persona}/" in (faces.nth(number).get_attribute("src") or "")
        drawn = faces.nth(number)
        eventually(lambda one=drawn: one.evaluate("one => one.complete && one.naturalWidth > 0"), persona)
        assert drawn.evaluate("one => one.getBoundingClientRect().width") > 20
    frame, last = card.locator(".frame").bounding_box(), faces.last.bounding_box()
    assert frame is not None and last is not None
    assert last["x"] + last["width"] <= frame["x"] + frame["width"]
    tops = {button.bounding_box()["y"] for button in card.get_by_role("button").all()}  # type: ignore[index]
    assert len(tops) == 1, "the buttons stand in one line"


def test_a_list_that_comes_at_once_has_no_panel_before_it(visiting: Visiting, operator: httpx.Client) -> None:
    create_project(operator, title="Comes at once")
    visit = visiting()
    page = visit.open("projects")

    def answer_late(route: Route) -> None:
        time.sleep(3 * APPEARS_MS / 1000)
        route.continue_()

    page.route("**/api/projects?*", answer_late)
    page.add_init_script(SEEN)
    page.goto(visit.url + address("projects"))
    expect(page.locator(".project").first).to_be_visible(timeout=PATIENCE_MS)
    waits = page.evaluate("panels")
    assert waits, "a list that takes longer says so"
    assert min(waits) >= APPEARS_MS - 50
