"""A document becomes a project by a few clicks: its outline is shown before anything is made."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, Visiting, breaches

pytestmark = pytest.mark.browser
NOTES = """# Tides

The moon pulls the sea.

## Twice a day

High water comes twice a day.

## Why not at the same hour

The moon moves on, so it comes fifty minutes later each day.
"""


def dialog_on(visiting: Visiting) -> Page:
    page = visiting(bypass_csp=True).open("create")
    page.get_by_role("button", name="Import a document").click()
    return page


def test_a_file_shows_its_scenes_and_becomes_a_project(
    visiting: Visiting, operator: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "tides.md"
    file.write_text(NOTES)
    before = len(operator.get("/api/projects?limit=200").json())
    page = dialog_on(visiting)
    dialog = page.get_by_role("dialog", name="Import a document")
    assert breaches(page) == []
    dialog.get_by_label("Choose a file").set_input_files(file)
    outline = dialog.get_by_role("list", name="Scenes").get_by_role("listitem")
    expect(outline).to_have_count(3, timeout=PATIENCE_MS)
    expect(outline.nth(1)).to_contain_text("High water comes twice a day.")
    expect(dialog.get_by_label("Title of the project")).to_have_value("Tides")
    assert breaches(page) == []
    assert len(operator.get("/api/projects?limit=200").json()) == before
    dialog.get_by_label("Title of the project").fill("High water")
    dialog.get_by_text("Milo").click()
    dialog.get_by_role("button", name="Make the project").click()
    script = page.get_by_label("Script of scene 3", exact=True)
    expect(script).to_have_value(
        "The moon moves on, so it comes fifty minutes later each day.", timeout=PATIENCE_MS
    )
    project = operator.get(f"/api/projects/{page.url.rpartition('/')[2]}").raise_for_status().json()
    assert (project["title"], project["persona"]) == ("High water", "milo")


def test_a_pasted_text_becomes_scenes(visiting: Visiting) -> None:
    page = dialog_on(visiting)
    page.get_by_label("Text or Markdown").fill(NOTES)
    page.get_by_role("button", name="Use this text").click()
    expect(page.get_by_role("list", name="Scenes").get_by_role("listitem")).to_have_count(
        3, timeout=PATIENCE_MS
    )


def test_what_cannot_be_read_says_why_and_makes_nothing(
    visiting: Visiting, operator: httpx.Client, tmp_path: Path
) -> None:
    before = len(operator.get("/api/projects?limit=200").json())
    broken = tmp_path / "slides.pptx"
    broken.write_bytes(b"PK\x03\x04 cut off")
    page = dialog_on(visiting)
    page.get_by_label("Choose a file").set_input_files(broken)
    expect(page.get_by_role("alert")).to_contain_text("import.", timeout=PATIENCE_MS)
    page.get_by_label("Address of a page or file").fill("http://169.254.1.1/secret")
    page.get_by_role("button", name="Read the page").click()
    expect(page.get_by_role("alert")).to_contain_text("outgoing.address_refused", timeout=PATIENCE_MS)
    # Another document may be chosen at once.
    expect(page.get_by_label("Choose a file")).to_be_enabled()
    assert len(operator.get("/api/projects?limit=200").json()) == before
