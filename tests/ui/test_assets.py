"""Files are uploaded, found, renamed and deleted on their page, which says who still uses one."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import httpx
import pytest
from page_hands import EACH_WIDTH
from PIL import Image
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, breaches
from waiting import eventually

pytestmark = pytest.mark.browser


def png(path: Path) -> Path:
    Image.new("RGB", (320, 180), (30, 90, 160)).save(path)
    return path


def tone(seconds: float) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * int(8000 * seconds))
    return held.getvalue()


@EACH_WIDTH
def test_a_file_is_uploaded_renamed_found_and_deleted(
    visiting: Visiting, operator: httpx.Client, tmp_path: Path, width: int
) -> None:
    first, second = f"harbour-{width}.png", f"lighthouse {width}"
    page = visiting(bypass_csp=True).open("library")
    page.get_by_label("Kind", exact=True).select_option("audio")
    page.get_by_label("Add a file").set_input_files(png(tmp_path / first))
    card = page.get_by_role("listitem").filter(has_text=first)
    expect(card, "what was uploaded is in sight, whatever was chosen before").to_be_visible()
    assert breaches(page) == []
    card.get_by_role("button", name="Rename").click()
    page.get_by_label("New name").fill(second)
    page.get_by_label("New name").press("Enter")
    expect(page.get_by_role("listitem").filter(has_text=second)).to_be_visible()
    sound = operator.post("/api/assets", files={"file": ("ferry.wav", tone(2), "audio/wav")}).json()
    eventually(lambda: operator.get(f"/api/assets/{sound['id']}").json()["duration_ms"], "its length")
    page.reload()
    page.get_by_label("Search assets").fill(second)
    cards = page.locator(".asset")
    expect(cards).to_have_count(1)
    cards.get_by_role("button", name=f"Delete {second}").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete this file").click()
    expect(page.get_by_text("No file fits.")).to_be_visible()
    page.get_by_label("Search assets").fill("ferry.wav")
    expect(cards.first.locator("audio")).to_be_visible()
    expect(cards.first).to_contain_text("0:02")
    names = [one["name"] for one in operator.get("/api/assets", params={"q": second}).json()]
    assert names == []


def test_deleting_a_file_says_which_projects_use_it_and_they_keep_it(
    visiting: Visiting, operator: httpx.Client, tmp_path: Path
) -> None:
    content = png(tmp_path / "pier-of-somebody.png").read_bytes()
    asset = operator.post(
        "/api/assets", files={"file": ("pier-of-somebody.png", content, "image/png")}
    ).json()
    background = {"kind": "image", "image": {"sha256": asset["sha256"]}}
    project = operator.post("/api/projects", json={"title": "At the pier"}).raise_for_status().json()
    scene = {"script": "Here it is.", "background": background}
    operator.post(f"/api/projects/{project['id']}/scenes", json=scene).raise_for_status()
    page = visiting().open("library")
    page.get_by_label("Search assets").fill("pier-of-somebody")
    page.get_by_role("button", name="Delete pier-of-somebody.png").click(timeout=PATIENCE_MS)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Used in “At the pier”: they keep what they use.")
    dialog.get_by_role("button", name="Delete this file").click()
    expect(page.get_by_text("No file fits.")).to_be_visible()
    plan = operator.post("/api/renders/plan", json={"project": project["id"]}).raise_for_status().json()
    assert plan["missing"] == []
