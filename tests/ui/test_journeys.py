"""Whole journeys through the Studio, by mouse at three widths and by the keyboard alone: a film of ten scenes
from a text, and one word of it again.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from editor_page import create_project, expect_saved, field, make_film, picture, scenes, scripts
from page_hands import FORMS, Keyboard, Mouse
from playwright.sync_api import expect
from reporting_machines import call_home, machine_of, report, row_of
from studio_page import PATIENCE_MS, Studio, Visiting, run_in_thread, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def town(request: pytest.FixtureRequest) -> str:
    """A word for the scripts of one form of a test: scenes that another one has made come from the cache."""
    return str(request.node.callspec.id)


@pytest.fixture(params=FORMS)
def hands(request: pytest.FixtureRequest, visiting: Visiting) -> Callable[[str], Keyboard]:
    """Opens a view at a width, to be used by the mouse or by the keyboard alone."""
    hand, width = request.param

    def open_view(view: str) -> Keyboard:
        page = visiting(viewport={"width": width, "height": 900}).open(view)
        return Mouse(page) if hand == "mouse" else Keyboard(page)

    return open_view


def show_pane(use: Keyboard, name: str) -> None:
    """Chooses the script, the scene or the video, where the page is too narrow for two of them."""
    choice = use.page.get_by_role("group", name="Part of the editor").get_by_role("button", name=name)
    if choice.count():
        use.press(choice)


def test_a_pasted_text_becomes_an_explainer_of_ten_scenes(
    hands: Callable[[str], Keyboard], town: str, operator: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "quay.png").write_bytes(picture(640, 360))
    with wave.open(str(tmp_path / "waves.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    operator.post("/api/brands", json={"name": "Journey", "colours": {"accent": "#aa3311"}})
    use = hands("create")
    page = use.page
    use.press(page.get_by_role("button", name="Import a document"))
    text = page.get_by_label("Text or Markdown")
    use.reach(text)
    parts = [f"This is part {number} of {town}." for number in range(1, 11)]
    page.keyboard.insert_text("# Tides\n\n" + "".join(f"## Part\n\n{part}\n\n" for part in parts))
    use.press(page.get_by_role("button", name="Use this text"))
    expect(page.get_by_role("list", name="Scenes").get_by_role("listitem")).to_have_count(
        10, timeout=PATIENCE_MS
    )
    use.press(page.get_by_role("button", name="Make the project"))
    expect(field(page, 10)).to_have_value(parts[9], timeout=PATIENCE_MS)
    project = page.url.rpartition("/")[2]

    show_pane(use, "Video")
    use.choose(page.get_by_label("Size"), "360p")
    use.choose(page.get_by_label("Brand kit"), "Journey")
    use.upload(page.get_by_label("Upload music"), tmp_path / "waves.wav")
    expect(page.get_by_label("Volume")).to_be_visible(timeout=PATIENCE_MS)
    use.choose(page.get_by_label("Volume"), "quiet")
    use.choose(page.get_by_label("Captions").first, "In the picture")
    use.choose(page.get_by_label("Spoken word"), "Yes")

    show_pane(use, "Script")
    script = use.reach(field(page, 2))
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+ArrowRight")
    page.keyboard.press("Control+Shift+ArrowRight")
    use.press(page.get_by_role("button", name="On screen"))
    use.menu(page.get_by_role("button", name="Add ▾"), "Title")
    use.write(page.get_by_label("Title 1: title"), "Second")
    show_pane(use, "Script")
    use.reach(field(page, 3))
    page.keyboard.press("Control+Home")
    use.press(page.get_by_role("button", name="On screen"))
    use.menu(page.get_by_role("button", name="Add ▾"), "Picture or clip")
    dialog = page.get_by_role("dialog", name="Picture or clip")
    use.upload(dialog.get_by_label("Choose a file"), tmp_path / "quay.png")
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    use.choose(page.get_by_label("Picture 1: place", exact=True), "Over the whole picture")
    use.choose(page.get_by_label("Begins with"), "Dissolve")
    expect_saved(page)

    state = operator.get(f"/api/projects/{project}").json()
    found = scenes(operator, project)
    assert (state["canvas"]["width"], state["music"]["level_db"], state["output"]["captions"]["mode"]) == (
        640,
        -18,
        "burned",
    )
    assert [one["kind"] for one in found[1]["overlays"] + found[2]["overlays"]] == ["title", "image"]
    assert found[1]["overlays"][0]["start"]["word"] == "is"
    assert found[2]["transition"]["kind"] == "dissolve"
    expect(script).to_have_value(parts[1])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing lies beside the page"
    use.press(page.get_by_role("button", name="Make the video"))
    # Ten scenes are drawn first.
    wait_for(page, "document.getElementById('film')?.currentTime > 0.3", within_ms=2 * PATIENCE_MS)


def test_one_word_again_makes_one_scene_anew_and_the_old_version_comes_back(
    hands: Callable[[str], Keyboard], town: str, operator: httpx.Client
) -> None:
    before = ("The tide comes in.", f"High water in {town} is at noon.", "Goodbye.")
    project = create_project(operator, *before)
    make_film(operator, project)
    use = hands(f"projects/{project}")
    page = use.page
    use.reach(field(page, 2))
    page.keyboard.press("Control+End")
    # Into the last word.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    use.press(page.get_by_role("button", name="On screen"))
    use.menu(page.get_by_role("button", name="Add ▾"), "Title")
    expect(page.get_by_label("Title 1: title")).to_be_visible()
    expect_saved(page)
    show_pane(use, "Script")
    anchor = scenes(operator, project)[1]["overlays"][0]["start"]["word"]
    use.reach(field(page, 2))
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+Delete")
    page.keyboard.insert_text("Low")
    expect_saved(page)
    assert scripts(operator, project)[1] == f"Low water in {town} is at noon."
    assert scenes(operator, project)[1]["overlays"][0]["start"]["word"] == anchor
    expect(page.get_by_text("changed", exact=True)).to_have_count(1)
    again = page.get_by_role("button", name=re.compile("^Make it again: 1 of 3 scenes, about"))
    use.press(again)
    expect(page.get_by_text("changed", exact=True)).to_have_count(0, timeout=PATIENCE_MS)
    wait_for(page, "document.getElementById('film')?.currentTime > 0.3")

    use.press(page.get_by_role("button", name="Versions"))
    dialog = page.get_by_role("dialog", name="Versions")
    expect(dialog.get_by_text("The project is as it was then.")).to_be_visible(timeout=PATIENCE_MS)
    use.press(dialog.get_by_role("button", name=re.compile("^Version 1 ")))
    differences = dialog.get_by_role("list", name="Differences")
    expect(differences.locator("del")).to_have_text("High ", timeout=PATIENCE_MS)
    expect(differences.locator("ins")).to_have_text("Low ")
    expect(differences.get_by_role("listitem")).to_have_count(1)
    use.press(dialog.get_by_role("button", name="Go back to version 1"))
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    expect(field(page, 2)).to_have_value(before[1], timeout=PATIENCE_MS)
    assert scripts(operator, project) == list(before)
    assert scenes(operator, project)[1]["overlays"] == []
    # Its scenes are in the cache.
    expect(page.get_by_role("button", name=re.compile("^Make it again"))).to_have_text(
        "Make it again", timeout=PATIENCE_MS
    )


def test_a_machine_joins_from_its_first_report_to_ready(
    hands: Callable[[str], Keyboard], studio: Studio
) -> None:
    use = hands("machines")
    page = use.page
    machine = machine_of(address="127.0.0.1", hardware={"vendor": "Supermicro", "memory_mib": 65536})
    run_in_thread(report(studio, machine))
    row = row_of(page, machine)
    expect(row.locator(".chip")).to_have_text("discovered", timeout=PATIENCE_MS)
    use.press(row.get_by_role("button", name="Accept"))
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".key-code")).to_have_text(machine.code)
    expect(dialog.get_by_role("heading", name="What would change")).to_be_visible(timeout=PATIENCE_MS)
    use.press(dialog.get_by_role("button", name="Accept this machine"))
    expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
    expect(row.locator(".chip")).to_have_text("accepted", timeout=PATIENCE_MS)

    run_in_thread(call_home(studio, machine))
    use.press(row.get_by_role("link", name=machine.name))
    expect(page.get_by_role("heading", name=machine.name)).to_contain_text("ready", timeout=PATIENCE_MS)
    expect(page.get_by_role("link", name="Open its node")).to_be_visible()
    facts = page.get_by_role("region", name="Facts")
    expect(facts).to_contain_text("Supermicro")
    expect(facts).to_contain_text("64 GiB")
    steps = page.get_by_role("region", name="From power-on to ready").get_by_role("listitem")
    expect(steps.first).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing lies beside the page"
    page.go_back()
    page.goto(page.url.replace("/machines", "/runs"))
    use.press(page.get_by_role("row", name=re.compile(machine.name)).get_by_role("link"))
    expect(page.get_by_role("heading", name=re.compile("playbook"))).to_contain_text(
        "succeeded", timeout=PATIENCE_MS
    )
    expect(page.get_by_role("table")).to_contain_text("Say hello", timeout=PATIENCE_MS)
    expect(page.get_by_role("link", name=machine.name)).to_be_visible()
