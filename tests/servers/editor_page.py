"""Creates small projects for tests of the editor, and reads their fields on the page and on the server."""

from __future__ import annotations

from typing import Any

import httpx
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, Visit

SCRIPTS = ("Good morning. The tide comes in twice a day.", "The moon is why.")
SMALL = {"width": 640, "height": 360, "fps": 10}


def create_project(operator: httpx.Client, *scripts: str, title: str = "Harbour") -> str:
    """Creates a project with these scenes; returns its id."""
    created = operator.post("/api/projects", json={"title": title, "canvas": SMALL}).raise_for_status()
    found = str(created.json()["id"])
    for script in scripts:
        operator.post(f"/api/projects/{found}/scenes", json={"script": script}).raise_for_status()
    return found


def scenes(operator: httpx.Client, project: str) -> list[dict[str, Any]]:
    return list(operator.get(f"/api/projects/{project}/scenes").raise_for_status().json())


def scripts(operator: httpx.Client, project: str) -> list[str]:
    return [scene["script"] for scene in scenes(operator, project)]


def field(page: Page, number: int) -> Any:
    return page.get_by_label(f"Script of scene {number}", exact=True)


def expect_saved(page: Page) -> None:
    expect(page.locator(".saved")).to_have_text("Saved", timeout=PATIENCE_MS)


def open_project(visit: Visit, project: str) -> Page:
    page = visit.open(f"projects/{project}")
    expect(field(page, 1)).to_have_value(SCRIPTS[0], timeout=PATIENCE_MS)
    return page
