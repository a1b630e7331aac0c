"""Versions of a project beside what it is now, and the way back to one."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from editor_page import create_project, expect_saved, field, make_film, scenes, scripts
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, breaches, run_script

pytestmark = pytest.mark.browser
SCRIPTS = ("The tide comes in.", "High water is at noon.", "Goodbye.")


def test_every_difference_is_told_and_none_that_is_not_there(built_page: None, tmp_path: Path) -> None:
    found = run_script(Path(__file__).with_name("versions_edits.ts"), tmp_path, "4000", "1")
    assert found["wrong"] == []
    assert min(found["kinds"][kind] for kind in ("same", "added", "removed", "changed")) > 500


def test_a_version_shows_what_changed_since_and_comes_back(
    visiting: Visiting, operator: httpx.Client
) -> None:
    project = create_project(operator, *SCRIPTS)
    page = visiting(bypass_csp=True).open(f"projects/{project}")
    expect(field(page, 2)).to_have_value(SCRIPTS[1], timeout=PATIENCE_MS)
    versions = page.get_by_role("button", name="Versions")
    versions.click()
    dialog = page.get_by_role("dialog", name="Versions")
    expect(dialog).to_contain_text("There is none yet.", timeout=PATIENCE_MS)
    assert breaches(page) == []
    page.keyboard.press("Escape")

    make_film(operator, project)
    field(page, 2).fill("Low water is at six.")
    page.get_by_role("button", name="Move scene 2 up").click()
    page.get_by_role("button", name="Delete scene 3").click()
    page.get_by_label("Mood").select_option("sad")
    page.get_by_label("Title of the project").fill("Ebb")
    expect_saved(page)
    versions.click()
    first = dialog.get_by_role("button", name=re.compile("^Version 1 "))
    expect(first).to_contain_text("with its video", timeout=PATIENCE_MS)
    expect(first.locator("img")).to_have_js_property("complete", True)
    assert first.locator("img").evaluate("image => image.naturalWidth") > 0
    differences = dialog.get_by_role("list", name="Differences").get_by_role("listitem")
    expect(differences.first).to_contain_text("Low water is at")
    assert differences.first.locator("del").all_text_contents() == ["High ", "noon. "]
    expect(differences.last).to_contain_text("Scene 3, gone")
    expect(dialog).to_contain_text("Of the whole video: Title")
    assert breaches(page) == []

    dialog.get_by_role("button", name="Go back to version 1").click()
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    expect(field(page, 3)).to_have_value("Goodbye.", timeout=PATIENCE_MS)
    assert scripts(operator, project) == list(SCRIPTS)
    assert [scene.get("mood") for scene in scenes(operator, project)] == [None, None, None]
    # What it was is a version of its own.
    versions.click()
    dialog.get_by_role("button", name=re.compile("^Version 2 ")).click()
    expect(dialog.get_by_role("list", name="Differences")).to_contain_text("noon.")
    dialog.get_by_role("button", name="Go back to version 2").click()
    expect(field(page, 1)).to_have_value("Low water is at six.", timeout=PATIENCE_MS)
    expect(page.get_by_label("Title of the project")).to_have_value("Ebb")
