"""The wall of videos and the page of each one: opened and left, searched, paged, failed, deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from avatar.spec import RenderSpec, Scene
from playwright.sync_api import Page, Route, expect
from sqlalchemy import insert
from studio_page import (
    PATIENCE_MS,
    REPOSITORY,
    Studio,
    Visiting,
    address,
    breaches,
    run_in_thread,
    studio_up,
)
from waiting import eventually

from app.composition import open_services
from soundstage.settings import Settings
from studio.renders.models import Render

pytestmark = pytest.mark.browser
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 150
SCENES = (Scene(id="one", script="Hello."),)


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"rnd_{number:026d}",
        "tenant": "default",
        "kind": "video",
        "state": "cancelled",
        "title": f"Video {number}",
        "spec": RenderSpec(title=f"Video {number}", scenes=SCENES).model_dump(mode="json"),
        "spec_hash": "sha256:0",
        "personas": ["nova"],
        "created_at": BEGIN + timedelta(seconds=number),
        **more,
    }


def add_rows(studio: Studio, rows: list[dict[str, Any]]) -> None:
    async def add() -> None:
        settings = Settings(state_dir=studio.path / "state", personas_dir=REPOSITORY / "personas")
        async with open_services(settings) as services, services.database.transaction() as session:
            await session.execute(insert(Render), rows)

    run_in_thread(add())


@pytest.fixture(scope="module")
def many(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio of its own, with more videos than one page of the list shows."""
    with studio_up(tmp_path_factory) as own:
        add_many(own)
        yield own


def add_many(studio: Studio) -> None:
    previews = [row(MANY + 1, kind="preview", title="A preview of a scene")]
    add_rows(studio, [row(number) for number in range(1, MANY)] + [row(MANY, title="Tides")] + previews)


@pytest.fixture
def wall(visiting: Visiting, many: Studio) -> Iterator[Page]:
    page = visiting(many).open("videos")
    expect(page.locator(".tile").nth(50)).to_be_attached(timeout=PATIENCE_MS)
    yield page


def test_a_video_far_down_opens_where_one_looks_and_back_returns_to_its_place(wall: Page) -> None:
    tile = wall.locator(".tile").nth(50)
    tile.scroll_into_view_if_needed()
    title = tile.locator(".title").text_content() or "-"
    # Tiles on the way are laid out when they come near, which moves the place until then.
    tile.hover()
    before = wall.locator(".view").evaluate("one => one.scrollTop")
    assert before > 500
    tile.click()
    heading = wall.locator(".view h1:visible")
    expect(heading).to_have_text(title, timeout=PATIENCE_MS)
    expect(heading).to_be_in_viewport()
    expect(heading).to_be_focused()
    assert "/videos/rnd_" in wall.url
    wall.go_back()
    expect(tile).to_be_focused(timeout=PATIENCE_MS)
    expect(tile).to_be_in_viewport()
    assert abs(wall.locator(".view").evaluate("one => one.scrollTop") - before) < 5


def test_every_video_can_be_reached_by_scrolling_and_previews_are_none_of_them(wall: Page) -> None:
    view = wall.locator(".view")
    expect(wall.get_by_role("status").filter(has_text=f"60 of {MANY}")).to_be_visible(timeout=PATIENCE_MS)
    titles: set[str] = set()
    for _ in range(100):
        if "Video 1" in titles:
            break
        titles |= set(wall.locator(".tile .title").all_text_contents())
        view.evaluate("one => one.scrollBy(0, one.clientHeight)")
        wall.wait_for_timeout(100)
    assert titles == {"Tides", *(f"Video {number}" for number in range(1, MANY))}
    expect(wall.get_by_role("status").filter(has_text=str(MANY))).to_be_visible()
    expect(wall.get_by_role("button", name="Show more")).to_have_count(0)
    # What has gone from the screen takes no elements, and comes back at its place.
    view.evaluate("one => one.scrollTo(0, one.scrollHeight)")
    expect(wall.locator(".tile", has_text="Tides")).to_have_count(0, timeout=PATIENCE_MS)
    view.evaluate("one => one.scrollTo(0, 0)")
    expect(wall.locator(".tile", has_text="Tides")).to_be_in_viewport(timeout=PATIENCE_MS)


def test_a_page_that_fails_is_fetched_again_at_a_press_alone(visiting: Visiting, many: Studio) -> None:
    page = visiting(many).page
    requests: list[str] = []

    def fail(route: Route) -> None:
        requests.append(route.request.url)
        route.fulfill(status=500, json={"code": "render.broken", "message": "No.", "hint": ""})

    page.goto(many.start_link())
    # Whoever leaves before it is open is not logged in yet.
    expect(page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
    page.route("**/api/renders?*cursor=*", fail)
    page.goto(many.url + address("videos"))
    more = page.get_by_role("button", name="Show more")
    more.scroll_into_view_if_needed()
    expect(page.get_by_role("status").filter(has_text=f"60 of {MANY}")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(2000)
    assert len(requests) == 1
    page.unroute("**/api/renders?*cursor=*")
    more.click()
    # Where the next page is still near, the one after it comes by itself.
    counted = page.get_by_role("status").filter(has_text=re.compile(rf"^(120 of {MANY}|{MANY} videos)$"))
    expect(counted).to_be_visible(timeout=PATIENCE_MS)


def test_videos_are_found_by_state_and_order_and_the_address_says_so(wall: Page, many: Studio) -> None:
    wall.get_by_label("State").select_option("Failed")
    expect(wall.locator(".empty")).to_contain_text("No video is like that", timeout=PATIENCE_MS)
    wall.get_by_label("State").select_option("Cancelled")
    wall.get_by_label("Order").select_option("Oldest first")
    wall.get_by_label("Presenter").select_option("Nova")
    expect(wall.get_by_role("status").filter(has_text=f"{MANY} found")).to_be_visible(timeout=PATIENCE_MS)
    expect(wall.locator(".tile").first).to_contain_text("Video 1")
    assert wall.url.endswith("/videos?state=cancelled&presenter=nova&sort=created")
    wall.reload()
    expect(wall.locator(".tile").first).to_contain_text("Video 1", timeout=PATIENCE_MS)
    expect(wall.get_by_label("Order")).to_have_value("created")


def test_videos_are_found_by_words(wall: Page) -> None:
    wall.get_by_role("searchbox").fill("tides")
    expect(wall.get_by_text("1 found")).to_be_visible(timeout=PATIENCE_MS)
    expect(wall.locator(".tile")).to_have_count(1)
    wall.get_by_role("searchbox").fill("no such words")
    expect(wall.locator(".empty")).to_contain_text("no such words", timeout=PATIENCE_MS)


def test_a_video_is_deleted_only_after_a_yes_by_keyboard_too(wall: Page, many: Studio) -> None:
    add_rows(many, [row(MANY + 2, title="To be deleted")])
    wall.reload()
    wall.locator(".tile", has_text="To be deleted").click()
    delete = wall.get_by_role("button", name="Delete", exact=True)
    delete.focus()
    wall.keyboard.press("Enter")
    dialog = wall.get_by_role("dialog")
    expect(dialog).to_contain_text("To be deleted")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    wall.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(delete).to_be_focused()
    wall.keyboard.press("Enter")
    wall.keyboard.press("Tab")
    wall.keyboard.press("Enter")
    expect(wall.locator(".view h1:visible")).to_have_text("Videos", timeout=PATIENCE_MS)
    expect(wall.locator(".tile", has_text="To be deleted")).to_have_count(0, timeout=PATIENCE_MS)


def test_a_video_that_failed_says_in_which_scene_and_leads_to_it(
    visiting: Visiting, workless_studio: Studio
) -> None:
    visit = visiting(workless_studio, bypass_csp=True)
    page = visit.open()
    visit.say("Make a two-scene video with Nova from this text: Good morning. The tide comes in twice a day.")
    expect(page.locator(".made .chip")).to_have_text("failed", timeout=PATIENCE_MS)
    # Scenes are made at the same time: either may fail first.
    expect(page.locator(".tile")).to_contain_text(re.compile("Scene [12] failed"), timeout=PATIENCE_MS)
    number = "1" if "Scene 1 failed" in page.locator(".tile").inner_text() else "2"
    page.locator("a.made").click()
    page.get_by_role("button", name=f"scene {number}", exact=True).click()
    scene = page.locator(f"#scene-{number}")
    expect(scene).to_be_focused()
    expect(scene).to_be_in_viewport()
    expect(scene).to_contain_text({"1": "Good morning.", "2": "The tide comes in"}[number])
    assert breaches(page) == []
    page.get_by_role("button", name=f"Change scene {number}").click()
    sentence = page.locator("#utterance")
    expect(sentence).to_be_focused()
    assert sentence.input_value().startswith(f"Change scene {number} of ")
    page.keyboard.press("Enter")
    expect(page.locator(".turn").last.locator(".step .chip")).to_have_text("done", timeout=PATIENCE_MS)


def test_every_example_of_an_empty_start_works_there(visiting: Visiting, workless_studio: Studio) -> None:
    visit = visiting(workless_studio)
    page = visit.open()
    examples = page.locator(".examples button")
    expect(examples.first).to_be_visible(timeout=PATIENCE_MS)
    sentences = examples.all_inner_texts()
    assert len(sentences) >= 5
    for sentence in sentences:
        visit.say(sentence)
        turn = page.locator(".turn", has=page.get_by_text(sentence, exact=True))
        expect(turn.locator(".reply")).not_to_be_empty(timeout=PATIENCE_MS)
        expect(page.locator(".thinking")).to_have_count(0, timeout=PATIENCE_MS)
        expect(turn.locator(".problem")).to_have_count(0)


def test_a_video_in_the_making_fetches_no_list(visiting: Visiting, new_studio: Studio) -> None:
    visit = visiting(new_studio)
    page = visit.open()
    expect(page.locator(".view .empty")).to_contain_text("Nothing here yet", timeout=PATIENCE_MS)
    lists: list[str] = []
    rows: list[str] = []

    def asked(request: Any) -> None:
        if "/api/renders?" in request.url:
            (rows if "limit=1" in request.url else lists).append(request.url)

    page.on("request", asked)
    visit.say("Make a video in 360p where Nova says: Good morning.")
    expect(page.locator(".made .chip")).to_have_text("done", timeout=PATIENCE_MS)
    expect(page.locator(".tile")).to_have_count(1, timeout=PATIENCE_MS)
    assert lists == []
    assert 1 <= len(rows) <= 15


ERRORS = {
    "an error": "void setTimeout(() => { throw new Error('it broke'); })",
    "a promise": "void Promise.reject(new Error('it broke'))",
}


@pytest.mark.parametrize("script", ERRORS.values(), ids=ERRORS.keys())
def test_an_error_that_nobody_caught_is_shown(visiting: Visiting, script: str) -> None:
    page = visiting().open()
    page.evaluate(script)
    shown = page.locator(".uncaught .problem")
    expect(shown).to_contain_text("it broke")
    expect(shown.locator("code")).to_have_text("page.uncaught")
    page.get_by_role("button", name="Close").click()
    expect(shown).to_have_count(0)


def test_a_view_that_cannot_be_drawn_says_so_and_the_others_stay(visiting: Visiting) -> None:
    visit = visiting()
    visit.page.route("**/api/approvals", lambda route: route.fulfill(json=[{"state": "pending"}]))
    page = visit.open("approvals")
    expect(page.locator(".view .problem code")).to_have_text("page.uncaught", timeout=PATIENCE_MS)
    page.get_by_role("link", name="Videos", exact=True).click()
    expect(page.locator(".view h1")).to_have_text("Videos")


def test_the_picture_of_a_vertical_video_is_cut_to_its_tile_at_the_face(
    visiting: Visiting, operator: httpx.Client
) -> None:
    order = {"script": "Hello.", "title": "Upright", "canvas": {"width": 180, "height": 320, "fps": 10}}
    video = operator.post("/api/renders", json=order).raise_for_status().json()["id"]
    eventually(
        lambda: operator.get(f"/api/renders/{video}").json()["state"] == "done", "its end", PATIENCE_MS / 1000
    )
    page = visiting().open("videos")
    tile = page.locator(".tile", has_text="Upright")
    expect(tile.locator("img")).to_have_js_property("complete", True, timeout=PATIENCE_MS)
    image, frame = tile.locator("img").bounding_box(), tile.locator(".picture").bounding_box()
    assert image is not None and image == frame
    assert tile.locator("img").evaluate("one => one.naturalHeight > one.naturalWidth")
