"""Several presenters converse in a scene: added, given words, placed, moved, split, and made into a video."""

from __future__ import annotations

import httpx
import pytest
from editor_page import create_project, expect_saved, field, make_film, scenes
from editor_panes import show_pane
from page_hands import EACH_WIDTH
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, Visiting, breaches, play_a_moment

pytestmark = pytest.mark.browser
SCRIPT = "Good morning. It is high. Thank you."


@pytest.fixture
def project(operator: httpx.Client) -> str:
    return create_project(operator, SCRIPT, title="Talk")


def add_speaker(page: Page, name: str) -> None:
    page.get_by_role("button", name="Second speaker in scene 1").click()
    dialog = page.get_by_role("dialog", name="Who else speaks in scene 1")
    dialog.get_by_role("button", name=name).click()


def put_caret(page: Page, before: str) -> None:
    script = field(page, 1)
    script.focus()
    script.evaluate("(one, at) => one.setSelectionRange(at, at)", script.input_value().index(before))


def test_nobody_is_offered_twice_for_a_scene(visiting: Visiting, project: str) -> None:
    page = visiting().open(f"projects/{project}")
    expect(field(page, 1)).to_have_value(SCRIPT, timeout=PATIENCE_MS)
    page.get_by_role("button", name="Second speaker in scene 1").click()
    dialog = page.get_by_role("dialog", name="Who else speaks in scene 1")
    expect(dialog.get_by_role("button", name="Mei")).to_be_visible()
    expect(dialog.get_by_role("button", name="Nova")).to_have_count(0)
    dialog.get_by_role("button", name="Mei").click()
    page.get_by_role("button", name="Presenter of scene 1: Nova").click()
    faces = page.get_by_role("dialog", name="Presenter of scene 1")
    expect(faces.get_by_role("button", name="Nova")).to_have_attribute("aria-pressed", "true")
    expect(faces.get_by_role("button", name="Mei")).to_have_count(0)


@EACH_WIDTH
def test_two_presenters_converse_and_one_goes_into_the_corner(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = visiting(bypass_csp=True).open(f"projects/{project}")
    expect(field(page, 1)).to_have_value(SCRIPT, timeout=PATIENCE_MS)
    add_speaker(page, "Mei")
    put_caret(page, "It is")
    page.get_by_role("button", name="Mei speaks").click()
    put_caret(page, "Thank")
    page.get_by_role("button", name="Nova speaks").click()
    marked = "Good morning. [speaker mei] It is high. [speaker host] Thank you."
    expect(field(page, 1)).to_have_value(marked)

    show_pane(page, "Scene")
    places = page.get_by_role("region", name="Presenters in scene 1")
    expect(places.get_by_label("Place of Mei")).to_have_value("whole")
    places.get_by_label("Place of Mei").select_option("right")
    places.get_by_role("button", name="Add a move of Nova").click()
    places.get_by_label("Move 1 of Nova begins at").select_option("3")
    places.get_by_label("Move 1 of Nova goes to").select_option("left_corner")
    assert breaches(page) == []
    expect_saved(page)
    [scene] = scenes(operator, project)
    [mei] = scene["speakers"]
    assert mei["persona"] == "mei" and mei["layout"]["box"] == {"x": 0.5, "y": 0, "width": 0.5, "height": 1}
    [move] = scene["layout"]["moves"]
    assert move["at"]["word"] == "is" and move["box"]["width"] == 0.22

    film = make_film(operator, project)
    render = operator.get(f"/api/renders/{film}").json()
    assert render["personas"] == ["nova", "mei"] and render["warnings"] == []
    page.goto(page.url.partition("/studio")[0] + f"/videos/{film}")
    play_a_moment(page, 0.5)


def test_a_speaker_is_dragged_on_the_picture(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = visiting().open(f"projects/{project}")
    add_speaker(page, "Mei")
    frame = page.get_by_role("button", name="Mei: place on the picture")
    expect(frame).to_be_visible()
    style = str(frame.get_attribute("style"))
    assert "left: 50%" in style and "width: 50%" in style, "they share the picture"
    frame.focus()
    for _ in range(3):
        page.keyboard.press("Alt+ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press(".")
    page.keyboard.press("Delete")
    expect_saved(page)
    [mei] = scenes(operator, project)[0]["speakers"]
    assert mei["layout"]["box"] == {"x": 0.51, "y": 0, "width": 0.47, "height": 1}
    page.get_by_role("button", name="Undo").click()
    expect_saved(page)
    [mei] = scenes(operator, project)[0]["speakers"]
    assert mei["layout"] is None


def test_speakers_are_replaced_split_joined_and_removed_without_losing_words(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = visiting().open(f"projects/{project}")
    add_speaker(page, "Mei")
    field(page, 1).fill("Good morning. [speaker mei] It is high. It falls.")
    page.get_by_role("button", name="Speaker of scene 1: Mei").click()
    page.get_by_role("dialog").get_by_role("button", name="Vera").click()
    expect(field(page, 1)).to_have_value("Good morning. [speaker vera] It is high. It falls.")
    put_caret(page, "It falls")
    page.keyboard.press("Control+Enter")
    expect(field(page, 1)).to_have_value("Good morning. [speaker vera] It is high.")
    expect(field(page, 2)).to_have_value("[speaker vera] It falls.")
    page.get_by_role("button", name="Join with scene 1").click()
    expect(field(page, 1)).to_have_value("Good morning. [speaker vera] It is high. It falls.")
    page.get_by_role("button", name="Remove Vera from scene 1").click()
    expect(field(page, 1)).to_have_value("Good morning. It is high. It falls.")
    expect_saved(page)
    assert scenes(operator, project)[0]["speakers"] == []
    page.get_by_role("button", name="Undo").click()
    expect(field(page, 1)).to_have_value("Good morning. [speaker vera] It is high. It falls.")
