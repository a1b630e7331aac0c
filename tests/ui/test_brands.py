"""A brand kit is made on the page and chosen for a project; its films are made with it."""

from __future__ import annotations

import base64
import wave
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, breaches

pytestmark = pytest.mark.browser
LOGO = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


def test_a_brand_kit_with_a_logo_is_made_and_chosen_for_a_project(
    visiting: Visiting, operator: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "harbour.png").write_bytes(LOGO)
    with wave.open(str(tmp_path / "waves.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    project = operator.post("/api/projects", json={"title": "Tour of the harbour"}).raise_for_status().json()
    operator.post(f"/api/projects/{project['id']}/scenes", json={"script": "Welcome."}).raise_for_status()
    page = visiting(bypass_csp=True).open("brands")
    page.get_by_role("button", name="New brand kit").click(timeout=PATIENCE_MS)
    dialog = page.get_by_role("dialog", name="New brand kit")
    dialog.get_by_label("Name", exact=True).fill("Harbour")
    dialog.get_by_label("Accent colour: value").fill("#aa3311")
    dialog.get_by_label("Upload a logo").set_input_files(tmp_path / "harbour.png")
    expect(dialog.get_by_label("Corner")).to_have_value("top_right", timeout=PATIENCE_MS)
    dialog.get_by_label("Corner").select_option("bottom_left")
    sample = dialog.get_by_role("img", name="How a video looks with it")
    expect(sample.locator("[fill='#aa3311']")).to_have_count(1)
    expect(sample.locator("image")).to_have_attribute("y", "149.4", timeout=PATIENCE_MS)
    dialog.get_by_label("Upload music").set_input_files(tmp_path / "waves.wav")
    dialog.get_by_label("Volume").select_option("quiet", timeout=PATIENCE_MS)
    dialog.get_by_label("Begin with a card").check()
    dialog.get_by_label("End with a card").check()
    dialog.get_by_label("Words of the last card").fill("See you at the harbour")
    assert breaches(page) == []
    dialog.get_by_role("button", name="Save").click()
    card = page.get_by_role("listitem").filter(has_text="Harbour")
    expect(card).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    [kit] = operator.get("/api/brands").json()
    assert (kit["colours"]["accent"], kit["intro"]["kind"]) == ("#aa3311", "title")
    assert kit["outro"]["title"] == "See you at the harbour"
    assert (kit["music"]["level_db"], kit["music"]["duck_db"]) == (-18, -10)
    assert (kit["logo"]["box"]["x"], kit["logo"]["box"]["y"]) == (0.04, 0.83)

    card.get_by_role("button", name="Edit Harbour").click()
    page.get_by_label("Show the name of each presenter").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=PATIENCE_MS)
    assert operator.get(f"/api/brands/{kit['id']}").json()["lower_third"]["side"] == "left"

    page = visiting().open(f"projects/{project['id']}")
    page.get_by_label("Brand kit").select_option(label="Harbour", timeout=PATIENCE_MS)
    expect(page.locator(".saved")).to_have_text("Saved", timeout=PATIENCE_MS)
    assert operator.get(f"/api/projects/{project['id']}").json()["brand"] == kit["id"]
    # The picture of the scene has the logo: its address changes with the look.
    expect(page.locator(".layout figcaption span")).to_contain_text("Scene 1 at", timeout=PATIENCE_MS)
    refused = operator.delete(f"/api/brands/{kit['id']}")
    assert refused.status_code == 409
