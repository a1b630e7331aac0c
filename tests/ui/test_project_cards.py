"""The card of a project shows who speaks in it, and its buttons stand in one line."""

from __future__ import annotations

import httpx
import pytest
from editor_page import create_project
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting
from waiting import eventually

pytestmark = pytest.mark.browser


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
