"""Words on the picture: they stay on the words of the script, and what lost its word says so."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from editor_page import create_project, expect_saved, picture, scenes
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, breaches, run_script

pytestmark = pytest.mark.browser
REPOSITORY = Path(__file__).parents[2]
SCRIPT = "The tide comes in, and the tide goes out."


@pytest.fixture
def project(operator: httpx.Client) -> str:
    return create_project(operator, SCRIPT, title="Tides")


def test_overlays_stay_on_their_words_through_ten_thousand_edits(built_page: None, tmp_path: Path) -> None:
    """Against the identity of each word: inserted, deleted, typed over, marked, split and joined."""
    found = run_script(Path(__file__).with_name("anchors_edits.ts"), tmp_path, "5000", "1")
    assert found["count"] == 0, found["wrong"]


def test_a_title_is_put_on_a_chosen_word_and_follows_it(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = visiting().open(f"projects/{project}")
    script = page.get_by_label("Script of scene 1", exact=True)
    expect(script).to_have_value(SCRIPT, timeout=PATIENCE_MS)
    second = SCRIPT.rindex("tide")
    script.evaluate("(field, [from, to]) => field.setSelectionRange(from, to)", [second, second + 4])
    page.get_by_role("button", name="Add ▾").click()
    page.get_by_role("menuitem", name="Title").click()
    title = page.get_by_label("Title 1: title")
    expect(title).to_have_value("tide")
    title.fill("High tide")
    page.get_by_label("Title 1 goes").select_option(label="9 · out.")
    expect_saved(page)
    [overlay] = scenes(operator, project)[0]["overlays"]
    assert (overlay["kind"], overlay["title"]) == ("title", "High tide")
    assert (overlay["start"]["word"], overlay["start"]["occurrence"]) == ("tide", 2)
    assert (overlay["end"]["word"], overlay["end"]["edge"]) == ("out", "end")

    script.fill("Look: a tide! The tide comes in, and the tide goes out.")
    expect_saved(page)
    assert scenes(operator, project)[0]["overlays"][0]["start"]["occurrence"] == 3

    script.fill("Look: a tide! The tide comes in and goes out.")
    appears = page.get_by_label("Title 1 appears")
    expect(appears).to_have_value("gone")
    expect(page.get_by_role("list", name="Before the video")).to_contain_text("tide", timeout=PATIENCE_MS)
    appears.select_option(label="2 · a")
    expect(page.get_by_role("list", name="Before the video")).to_have_count(0, timeout=PATIENCE_MS)
    page.keyboard.press("Control+z")
    expect(appears).to_have_value("gone")


def test_names_lists_and_texts_are_added_written_and_removed(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = visiting(bypass_csp=True).open(f"projects/{project}")
    expect(page.get_by_label("Script of scene 1", exact=True)).to_have_value(SCRIPT, timeout=PATIENCE_MS)
    for name in ("Name and role", "List", "Text"):
        page.get_by_role("button", name="Add ▾").click()
        page.get_by_role("menuitem", name=name, exact=True).click()
    page.get_by_label("Name and role 1: name").fill("Dr. Ada Ebb")
    page.get_by_label("Name and role 1: role").fill("Oceanographer")
    page.get_by_label("List 2: points, one a line").fill("Moon\nSun\nWind")
    page.get_by_label("Framing").select_option("side_left")
    page.get_by_label("Begins with").select_option("dissolve")
    page.get_by_label("Captions").select_option("burned")
    page.get_by_label("Spoken word").select_option("on")
    expect_saved(page)
    [scene] = scenes(operator, project)
    name, points, _ = scene["overlays"]
    assert (name["kind"], name["name"], name["role"]) == ("lower_third", "Dr. Ada Ebb", "Oceanographer")
    assert [item["text"] for item in points["items"]] == ["Moon", "Sun", "Wind"]
    assert (scene["camera"]["framing"], scene["transition"]["kind"]) == ("side_left", "dissolve")
    style = operator.get(f"/api/projects/{project}").json()["output"]["captions"]["style"]
    assert style["highlight"] == "#ffc94d"
    assert breaches(page) == []
    page.get_by_role("button", name="Remove Text 3").click()
    expect_saved(page)
    assert [one["kind"] for one in scenes(operator, project)[0]["overlays"]] == ["lower_third", "list"]
    missing = (
        operator.post("/api/renders/plan", json={"project": project}).raise_for_status().json()["missing"]
    )
    assert missing == []


def test_the_picture_shows_the_scene_at_the_word_of_the_caret(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = visiting().open(f"projects/{project}")
    script = page.get_by_label("Script of scene 1", exact=True)
    expect(script).to_have_value(SCRIPT, timeout=PATIENCE_MS)
    words = page.locator(".layout figcaption span")
    expect(words).to_have_text("Scene 1 at “The”", timeout=PATIENCE_MS)
    picture = page.locator(".layout img")
    first = picture.get_attribute("src")
    assert first and "/still?word=0" in first
    assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [640, 360]

    script.evaluate(
        "(field, at) => { field.focus(); field.setSelectionRange(at, at); }", SCRIPT.index("goes")
    )
    expect(words).to_have_text("Scene 1 at “goes”", timeout=PATIENCE_MS)
    expect(picture).to_have_attribute("src", re.compile(r"/still\?word=7&"), timeout=PATIENCE_MS)

    second = str(picture.get_attribute("src"))
    page.get_by_label("Mood").select_option("sad")
    expect(picture).not_to_have_attribute("src", second, timeout=PATIENCE_MS)
    expect(picture).to_have_attribute("src", re.compile(r"/still\?word=7&"))
    script.fill("")
    expect(words).to_contain_text("Layout of scene 1")


def test_while_an_overlay_is_edited_the_picture_is_where_it_is_seen(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = visiting().open(f"projects/{project}")
    script = page.get_by_label("Script of scene 1", exact=True)
    expect(script).to_have_value(SCRIPT, timeout=PATIENCE_MS)
    caret = "(field, at) => { field.focus(); field.setSelectionRange(at, at); }"
    script.evaluate(caret, SCRIPT.index("goes"))
    page.get_by_role("button", name="Add ▾").click()
    page.get_by_role("menuitem", name="Title").click()
    script.evaluate(caret, 0)
    words = page.locator(".layout figcaption span")
    expect(words).to_have_text("Scene 1 at “The”", timeout=PATIENCE_MS)
    page.get_by_label("Title 1: title").click()
    expect(words).to_have_text("Scene 1 at “goes”", timeout=PATIENCE_MS)
    expect(page.locator(".layout img")).to_have_attribute("src", re.compile(r"/still\?word=7&"))


def test_a_picture_is_uploaded_put_on_a_word_and_chosen_again(
    visiting: Visiting, operator: httpx.Client, project: str, tmp_path: Path
) -> None:
    (tmp_path / "pier.png").write_bytes(picture(640, 360))
    page = visiting(bypass_csp=True).open(f"projects/{project}")
    script = page.get_by_label("Script of scene 1", exact=True)
    expect(script).to_have_value(SCRIPT, timeout=PATIENCE_MS)
    second = SCRIPT.rindex("tide")
    script.evaluate("(field, [from, to]) => field.setSelectionRange(from, to)", [second, second])
    dialog = page.get_by_role("dialog", name="Picture or clip")
    page.get_by_role("button", name="Add ▾").click()
    page.get_by_role("menuitem", name="Picture or clip").click()
    dialog.get_by_label("Choose a file").set_input_files(tmp_path / "pier.png")
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    layer = page.locator(".on-screen .layer")
    expect(layer).to_contain_text("pier.png")
    page.get_by_label("Picture 1: place").select_option(label="Over the whole picture")
    expect_saved(page)
    [overlay] = scenes(operator, project)[0]["overlays"]
    assert (overlay["kind"], overlay["fit"]) == ("image", "cover")
    assert overlay["box"] == {"x": 0, "y": 0, "width": 1, "height": 1}
    assert (overlay["start"]["word"], overlay["start"]["occurrence"]) == ("tide", 2)
    page.get_by_role("button", name="Add ▾").click()
    page.get_by_role("menuitem", name="Picture or clip").click()
    choice = dialog.get_by_role("button", name="pier.png")
    # Pictures out of sight are not fetched, and other tests may have left many.
    choice.scroll_into_view_if_needed()
    expect(choice.locator("img")).to_have_js_property("complete", True, timeout=PATIENCE_MS)
    assert breaches(page) == []
    choice.click()
    expect(layer).to_have_count(2)
    expect_saved(page)
    assert len(scenes(operator, project)[0]["overlays"]) == 2
