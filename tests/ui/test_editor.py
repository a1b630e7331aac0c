"""The Create room in a real Chromium: from an empty start to a film, and a script edited scene by scene."""

from __future__ import annotations

import json

import httpx
import pytest
from editor_page import SCRIPTS, create_project, expect_saved, field, open_project, scenes, scripts
from page_hands import EACH_WIDTH
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, address, breaches, wait_for
from waiting import eventually

pytestmark = pytest.mark.browser
PHONE_PX = 600


@pytest.fixture
def project(operator: httpx.Client) -> str:
    return create_project(operator, *SCRIPTS)


@pytest.mark.smoke
@EACH_WIDTH
def test_three_clicks_lead_from_an_empty_start_to_a_film_that_plays(visiting: Visiting, width: int) -> None:
    visit = visiting()
    page = visit.open()
    # A phone has the rooms below; the first view of Create is the new film.
    page.get_by_role("navigation").get_by_role(
        "link", name="New video" if width > PHONE_PX else "Create", exact=True
    ).click()
    page.get_by_role("group", name="Samples").get_by_role("button").first.click()
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#film, #progress")).to_be_visible(timeout=PATIENCE_MS)
    wait_for(page, "document.getElementById('film')?.currentTime > 0.3")
    expect(page.get_by_role("textbox", name="Title of the project")).not_to_have_value("")


@pytest.mark.slow
@EACH_WIDTH
def test_the_keyboard_alone_leads_to_a_film_of_the_chosen_presenter(
    visiting: Visiting, operator: httpx.Client
) -> None:
    page = visiting().open("create")
    radios = page.get_by_role("radio")
    expect(radios.first).to_be_attached(timeout=PATIENCE_MS)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "radio":
            break
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".faces label:has(:checked)")).to_contain_text("Milo")
    page.keyboard.press("Tab")
    page.keyboard.type("Good morning.")
    page.keyboard.press("Control+Enter")
    wait_for(page, "document.getElementById('film')?.currentTime > 0.3")
    found = page.url.rpartition("/")[2]
    assert operator.get(f"/api/projects/{found}").json()["persona"] == "milo"


def test_typing_is_saved_by_itself_and_undone_with_one_press(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = open_project(visiting(), project)
    text = field(page, 2)
    text.press("End")
    text.press_sequentially(" And the sun helps.")
    expect_saved(page)
    assert scripts(operator, project)[1] == f"{SCRIPTS[1]} And the sun helps."
    text.press("Control+z")
    expect(text).to_have_value(SCRIPTS[1])
    expect_saved(page)
    assert scripts(operator, project) == list(SCRIPTS)
    text.press("Control+Shift+z")
    expect(text).to_have_value(f"{SCRIPTS[1]} And the sun helps.")


def test_scenes_are_split_joined_moved_deleted_and_brought_back(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = open_project(visiting(), project)
    text = field(page, 1)
    text.click()
    text.evaluate("one => one.setSelectionRange(13, 13)")
    text.press("Control+Enter")
    expect(field(page, 2)).to_be_focused()
    expect_saved(page)
    parts = ["Good morning.", "The tide comes in twice a day.", SCRIPTS[1]]
    assert scripts(operator, project) == parts
    page.get_by_role("button", name="Move scene 3 up").click()
    expect_saved(page)
    assert scripts(operator, project) == [parts[0], parts[2], parts[1]]
    page.get_by_role("button", name="Delete scene 2").click()
    expect_saved(page)
    assert scripts(operator, project) == [parts[0], parts[1]]
    for _ in range(2):
        page.get_by_role("button", name="Undo").click()
    expect_saved(page)
    assert scripts(operator, project) == parts
    second = field(page, 2)
    second.click()
    second.press("Control+Home")
    second.press("Backspace")
    expect_saved(page)
    assert scripts(operator, project) == list(SCRIPTS)


def test_presenter_marks_and_looks_reach_the_project(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    visit = visiting(bypass_csp=True)
    page = open_project(visit, project)
    page.get_by_role("button", name="Presenter of scene 2").click()
    dialog = page.get_by_role("dialog", name="Presenter of scene 2")
    expect(dialog).to_be_visible()
    assert breaches(page) == []
    dialog.get_by_role("button", name="Milo").click()
    expect(dialog).to_be_hidden()
    text = field(page, 2)
    text.click()
    text.evaluate("one => one.setSelectionRange(5, 5)")
    page.get_by_role("button", name="Emphasis").click()
    expect(text).to_have_value("The *moon* is why.")
    text.press("End")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("button", name="Gesture").press("Enter")
    expect(page.get_by_role("menuitem", name="open palm")).to_be_focused(timeout=PATIENCE_MS)
    assert breaches(page) == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(text).to_be_focused()
    expect(page.locator(".mirror mark")).to_have_text(["*moon*", "[pause 500ms]", "[gesture beat]"])
    page.get_by_label("Mood").select_option("warm")
    page.get_by_label("Background").select_option("office")
    page.get_by_label("Format").select_option("9:16")
    page.get_by_label("Captions").select_option("burned")
    expect_saved(page)
    scene = scenes(operator, project)[1]
    assert (scene["persona"], scene["mood"], scene["background"]["name"]) == ("milo", "warm", "office")
    stored = operator.get(f"/api/projects/{project}").json()
    assert (stored["canvas"]["width"], stored["canvas"]["height"]) == (360, 640)
    assert stored["output"]["captions"]["mode"] == "burned"


def test_a_text_that_two_windows_changed_is_lost_in_neither(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = open_project(visiting(bypass_csp=True), project)
    scene = scenes(operator, project)[0]["id"]
    page.route("**/changes", lambda route: route.abort())
    field(page, 1).fill("Mine.")
    expect(page.locator(".saved")).to_contain_text("Not saved", timeout=PATIENCE_MS)
    operator.patch(f"/api/projects/{project}/scenes/{scene}", json={"script": "Theirs."}).raise_for_status()
    page.unroute_all()
    notice = page.locator(".conflict")
    expect(notice).to_contain_text("Theirs.", timeout=PATIENCE_MS)
    expect(notice).to_contain_text("Mine.")
    assert scripts(operator, project)[0] == "Theirs."
    assert breaches(page) == []
    notice.get_by_role("button", name="Take this text").click()
    expect_saved(page)
    assert scripts(operator, project)[0] == "Mine."


def test_what_could_not_be_saved_is_there_after_a_reload_and_is_saved_then(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = open_project(visiting(), project)
    page.route("**/changes", lambda route: route.abort())
    field(page, 2).fill("Written offline.")
    page.get_by_role("button", name="Add scene").last.click()
    expect(page.locator(".saved")).to_contain_text("Not saved", timeout=PATIENCE_MS)
    page.on("dialog", lambda dialog: dialog.accept())
    page.unroute_all()
    page.reload()
    expect(field(page, 2)).to_have_value("Written offline.")
    expect_saved(page)
    assert scripts(operator, project) == [SCRIPTS[0], "Written offline.", ""]
    assert page.evaluate("localStorage.length") == 0


def test_what_could_not_be_saved_writes_over_nothing_that_came_meanwhile(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = open_project(visiting(), project)
    page.route("**/changes", lambda route: route.abort())
    field(page, 1).fill("Mine.")
    expect(page.locator(".saved")).to_contain_text("Not saved", timeout=PATIENCE_MS)
    one = scenes(operator, project)[0]["id"]
    operator.patch(f"/api/projects/{project}/scenes/{one}", json={"script": "Theirs."}).raise_for_status()
    operator.post(f"/api/projects/{project}/scenes", json={"script": "New."}).raise_for_status()
    page.on("dialog", lambda dialog: dialog.accept())
    page.unroute_all()
    page.reload()
    expect(page.locator(".conflict")).to_contain_text("Theirs.", timeout=PATIENCE_MS)
    page.locator(".conflict").get_by_role("button", name="Take this text").click()
    expect_saved(page)
    assert scripts(operator, project) == ["Mine.", SCRIPTS[1], "New."]


def test_saving_goes_on_when_the_server_is_back(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = open_project(visiting(), project)
    page.route("**/changes", lambda route: route.abort())
    field(page, 1).fill("Later.")
    expect(page.locator(".saved")).to_contain_text("Not saved", timeout=PATIENCE_MS)
    page.unroute_all()
    expect_saved(page)
    assert scripts(operator, project)[0] == "Later."


@pytest.mark.slow
def test_one_changed_word_says_which_scene_is_made_anew(visiting: Visiting, project: str) -> None:
    page = open_project(visiting(), project)
    page.get_by_role("button", name="Make the video").click()
    expect(page.locator("#film")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Make it again", exact=True)).to_be_enabled(timeout=PATIENCE_MS)
    field(page, 2).fill("The moon did it.")
    expect(page.get_by_role("button", name="1 of 2 scenes")).to_be_visible()
    expect(page.locator(".scene .chip.warn")).to_have_count(1)


def test_a_project_is_renamed_found_and_deleted_after_a_yes(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    slug = operator.get(f"/api/projects/{project}").json()["slug"]
    page = visiting().open("projects")
    card = page.locator(".project", has=page.locator(f'a[href="{address(f"projects/{slug}")}"]'))
    card.get_by_role("button", name="Rename").click()
    page.get_by_label("New title").fill("Spring tide")
    page.keyboard.press("Enter")
    expect(card.get_by_role("link", name="Spring tide")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("searchbox").fill("spring")
    expect(page.locator(".project")).to_have_count(1, timeout=PATIENCE_MS)
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete this project").click()
    expect(page.locator(".project")).to_have_count(0, timeout=PATIENCE_MS)
    assert operator.get(f"/api/projects/{project}").json()["trashed_at"] is not None


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("dark", 390),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("light", 390), ("light", 1024), ("dark", 1024), ("light", 1440), ("dark", 1440))
        ),
    ],
)
def test_axe_finds_nothing_in_the_create_room(
    visiting: Visiting, project: str, scheme: str, width: int
) -> None:
    visit = visiting(color_scheme=scheme, bypass_csp=True, viewport={"width": width, "height": 844})
    page = open_project(visit, project)
    field(page, 2).click()
    for view, shown in (
        (f"projects/{project}", ".scene.selected"),
        ("create", ".faces label"),
        ("projects", ".project"),
        ("presenters", ".presenter-wall li"),
    ):
        page.goto(visit.url + address(view))
        expect(page.locator(shown).first).to_be_visible(timeout=PATIENCE_MS)
        found = breaches(page)
        assert found == [], (view, json.dumps(found, indent=1))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def test_a_scene_without_words_is_named_once_in_plain_words(
    visiting: Visiting, operator: httpx.Client
) -> None:
    project = create_project(operator, "One.", "Two.", "")
    page = visiting().open(f"projects/{project}")
    notice = page.get_by_role("list", name="Before the video").get_by_role("listitem")
    expect(notice).to_have_text(
        "Scene 3 has no words yet. Write what is said in it, or delete it.", timeout=PATIENCE_MS
    )


def test_a_scene_moves_before_its_video_is_made(visiting: Visiting, operator: httpx.Client) -> None:
    project = create_project(operator, "The tide comes in.", "And goes out again.")
    page = visiting(bypass_csp=True).open(f"projects/{project}")
    begin = page.get_by_role("button", name="Preview")
    field(page, 2).click()
    begin.click()
    wait_for(page, "document.querySelector('.canvas video')?.currentTime > 0.3")
    expect(page.get_by_label("Preview of scene 2")).to_be_visible()
    assert page.locator(".canvas video").evaluate("video => video.videoHeight") <= 360
    assert breaches(page) == []
    query = {"project": project, "kind": "preview"}
    assert [one["state"] for one in operator.get("/api/renders", params=query).json()] == ["done"]
    assert operator.get("/api/renders", params={"project": project, "kind": "video"}).json() == []
    assert page.locator(".toast").count() == 0, "it is no video that is ready"
    expect(page.get_by_role("button", name="Inbox", exact=True)).to_be_visible()
    # Another word is another picture; what is drawn for the former one ends.
    field(page, 2).fill(" ".join(["It goes out again, and comes back in the evening."] * 12))
    expect(page.locator(".canvas video")).to_have_count(0)
    begin.click()
    expect(page.get_by_label("Progress of the preview")).to_be_visible()
    eventually(lambda: len(operator.get("/api/renders", params=query).json()) == 2, "the second preview")
    field(page, 2).fill("Gone.")
    eventually(
        lambda: operator.get("/api/renders", params=query).json()[0]["state"] == "cancelled",
        "its cancellation",
    )


def test_on_a_phone_one_tap_leads_to_the_picture_of_a_scene_and_one_back(
    visiting: Visiting, operator: httpx.Client
) -> None:
    project = create_project(operator, *(f"This is part {number} of a long talk." for number in range(1, 8)))
    visit = visiting(viewport={"width": 390, "height": 844}, has_touch=True, bypass_csp=True)
    page = visit.open(f"projects/{project}")
    text = field(page, 3)
    text.tap()
    text.press("End")
    text.press_sequentially(" Indeed.")
    top = text.evaluate("one => one.getBoundingClientRect().top")
    panes = page.get_by_role("group", name="Part of the editor")
    panes.get_by_role("button", name="Scene 3").tap()
    picture = page.locator(".layout")
    expect(picture).to_contain_text("scene 3", ignore_case=True)
    expect(picture).to_be_in_viewport(ratio=1)
    expect(text).to_be_hidden()
    assert breaches(page) == []
    panes.get_by_role("button", name="Script").tap()
    expect(text).to_be_focused()
    expect(picture).to_be_hidden()
    assert text.evaluate("one => [one.getBoundingClientRect().top, one.selectionStart]") == [
        pytest.approx(top, abs=2),
        len("This is part 3 of a long talk. Indeed."),
    ]
    panes.get_by_role("button", name="Video").tap()
    expect(page.get_by_label("Format")).to_be_in_viewport()
    panes.get_by_role("button", name="Script").tap()
    page.get_by_role("button", name="On screen").tap()
    expect(page.get_by_role("button", name="Add ▾")).to_be_focused()
    page.keyboard.press("Escape")
    expect(text).to_be_focused()


def test_the_way_back_stands_on_the_line_of_the_title(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = open_project(visiting(viewport={"width": 820, "height": 1000}), project)
    middles = page.locator(".editor-bar").evaluate(
        """bar => [".back span:last-child", ".title"].map((one) => {
          const { top, height } = bar.querySelector(one).getBoundingClientRect();
          return top + height / 2;
        })"""
    )
    assert abs(middles[0] - middles[1]) <= 2


def test_on_a_phone_little_stays_above_the_script_and_a_scene_has_a_menu(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    page = open_project(visiting(viewport={"width": 390, "height": 844}, has_touch=True), project)
    fixed = page.evaluate(
        """[".bar", ".editor > .panes-choice", ".rooms"]
          .reduce((sum, one) => sum + document.querySelector(one).getBoundingClientRect().height, 0)"""
    )
    assert fixed <= 150
    expect(page.locator(".editor-bar")).to_have_css("position", "static")
    small = page.evaluate(
        """[...document.querySelectorAll(".scene-head button, .marks button, .editor > .panes-choice button")]
          .filter((one) => one.offsetWidth < 44 || one.offsetHeight < 44).map((one) => one.textContent)"""
    )
    assert small == []
    page.get_by_role("button", name="Move or delete scene 2").tap()
    page.get_by_role("menuitem", name="Move up").tap()
    expect_saved(page)
    assert scripts(operator, project) == [SCRIPTS[1], SCRIPTS[0]]
