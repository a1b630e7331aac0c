"""Overlays are dragged, resized, rotated and aligned on the picture, by mouse, by keyboard and in fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from editor_page import create_project, expect_saved, field, scenes
from editor_panes import show_pane
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, Visiting, breaches, run_script

pytestmark = pytest.mark.browser
SCRIPT = "The tide comes in, and the tide goes out."
TITLE = {"kind": "title", "title": "Tides", "box": {"x": 0.1, "y": 0.1, "width": 0.3, "height": 0.2}}
FRAME = {
    "kind": "highlight",
    "box": {"x": 0.6, "y": 0.5, "width": 0.2, "height": 0.3},
    "start": {"at": "word", "word": "goes"},
}
ARROW = {"kind": "arrow", "tail": {"x": 0.2, "y": 0.8}, "head": {"x": 0.4, "y": 0.6}}


@pytest.fixture
def project(operator: httpx.Client) -> str:
    created = create_project(operator, SCRIPT, title="Canvas")
    [scene] = scenes(operator, created)
    overlays = [TITLE, FRAME, ARROW]
    operator.patch(
        f"/api/projects/{created}/scenes/{scene['id']}", json={"overlays": overlays}
    ).raise_for_status()
    return created


@pytest.fixture
def overlay(operator: httpx.Client, project: str) -> Callable[[Page, int], dict[str, Any]]:
    """Returns what the server has of an overlay, once all is saved."""

    def read_saved(page: Page, at: int) -> dict[str, Any]:
        expect_saved(page)
        found: dict[str, Any] = scenes(operator, project)[0]["overlays"][at]
        return found

    return read_saved


def open_editor(visiting: Visiting, project: str, **options: Any) -> Page:
    page = visiting(**options).open(f"projects/{project}")
    expect(field(page, 1)).to_be_visible(timeout=PATIENCE_MS)
    show_pane(page, "Scene")
    expect(page.locator(".layout figcaption span")).to_have_text("Scene 1 at “The”", timeout=PATIENCE_MS)
    return page


def drag(page: Page, start: tuple[float, float], by: tuple[float, float], *, drop: bool = True) -> None:
    """Drags from a place of the picture, in fractions of it."""
    bounds = page.locator(".layers").bounding_box()
    assert bounds is not None
    x, y = bounds["x"] + start[0] * bounds["width"], bounds["y"] + start[1] * bounds["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] * bounds["width"] / 2, y + by[1] * bounds["height"] / 2)
    page.mouse.move(x + by[0] * bounds["width"], y + by[1] * bounds["height"])
    if drop:
        page.mouse.up()


def test_an_overlay_is_dragged_resized_and_taken_back(
    visiting: Visiting, project: str, overlay: Callable[[Page, int], dict[str, Any]]
) -> None:
    page = open_editor(visiting, project)
    frame = page.get_by_role("button", name="Title 1: place on the picture")
    picture = page.locator(".layout img").get_attribute("src")
    drag(page, (0.2, 0.2), (0.233, 0.31))
    expect(frame).to_have_attribute("aria-pressed", "true")
    box = overlay(page, 0)["box"]
    assert box["x"] == pytest.approx(0.333, abs=0.01) and box["y"] == pytest.approx(0.41, abs=0.01)
    assert (box["width"], box["height"]) == (0.3, 0.2)
    expect(page.locator(".layout img")).not_to_have_attribute("src", str(picture), timeout=PATIENCE_MS)

    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    drag(page, (right, bottom), (0.13, 0.09))
    grown = overlay(page, 0)["box"]
    assert grown["width"] == pytest.approx(0.43, abs=0.012) and grown["height"] == pytest.approx(
        0.29, abs=0.012
    )
    assert (grown["x"], grown["y"]) == (box["x"], box["y"])

    drag(page, (box["x"], box["y"] + grown["height"] / 2), (0.6, 0))
    narrow = overlay(page, 0)["box"]
    assert narrow["width"] == pytest.approx(0.03, abs=0.001)
    assert narrow["x"] + narrow["width"] == pytest.approx(grown["x"] + grown["width"], abs=0.002)
    for expected in (grown, box, TITLE["box"]):
        page.get_by_role("button", name="Undo").click()
        assert overlay(page, 0)["box"] == expected


def test_a_box_snaps_to_the_middle_and_to_others_and_escape_drops_nothing(
    visiting: Visiting, project: str, overlay: Callable[[Page, int], dict[str, Any]]
) -> None:
    page = open_editor(visiting, project)
    # The middle of the title is at 0.25.
    drag(page, (0.2, 0.2), (0.245, 0.13), drop=False)
    expect(page.locator(".guide.x")).to_have_attribute("style", "left: 50%;")
    page.mouse.up()
    expect(page.locator(".guide")).to_have_count(0)
    assert overlay(page, 0)["box"]["x"] == 0.35
    page.keyboard.down("Alt")
    drag(page, (0.45, 0.3), (0.007, 0))
    page.keyboard.up("Alt")
    free = overlay(page, 0)["box"]
    assert free["x"] == pytest.approx(0.357, abs=0.003) and free["x"] != 0.35
    drag(page, (0.45, 0.3), (0.2, 0.2), drop=False)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert overlay(page, 0)["box"] == free


def test_the_keyboard_and_fields_do_the_same(
    visiting: Visiting, operator: httpx.Client, project: str, overlay: Callable[[Page, int], dict[str, Any]]
) -> None:
    page = open_editor(visiting, project, bypass_csp=True)
    frame = page.get_by_role("button", name="Title 1: place on the picture")
    frame.focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown", "Alt+ArrowRight"):
        page.keyboard.press(key)
    assert overlay(page, 0)["box"] == {"x": 0.12, "y": 0.15, "width": 0.31, "height": 0.2}
    page.get_by_role("button", name="Undo").click()
    assert overlay(page, 0)["box"] == TITLE["box"]

    page.locator(".layer summary").first.click()
    page.get_by_label("Title 1: left").fill("25")
    page.get_by_label("Title 1: height").fill("40.5")
    assert overlay(page, 0)["box"] == {"x": 0.25, "y": 0.1, "width": 0.3, "height": 0.405}
    page.get_by_label("Title 1: width").fill("0")
    assert overlay(page, 0)["box"]["width"] == 0.3
    assert breaches(page) == []
    frame.focus()
    page.keyboard.press("Delete")
    expect_saved(page)
    assert [one["kind"] for one in scenes(operator, project)[0]["overlays"]] == ["highlight", "arrow"]


def test_what_is_not_seen_at_the_word_has_no_frame_and_an_arrow_has_two_ends(
    visiting: Visiting, project: str, overlay: Callable[[Page, int], dict[str, Any]]
) -> None:
    page = open_editor(visiting, project)
    frame = page.get_by_role("button", name="Frame 2: place on the picture")
    expect(page.get_by_role("button", name="Title 1: place on the picture")).to_be_visible()
    expect(frame).to_have_count(0)
    script = page.get_by_label("Script of scene 1", exact=True)
    script.evaluate(
        "(field, at) => { field.focus(); field.setSelectionRange(at, at); }", SCRIPT.index("goes")
    )
    expect(frame).to_be_visible()
    drag(page, (0.4, 0.6), (0.1, -0.1))
    moved = overlay(page, 2)
    assert (moved["head"]["x"], moved["head"]["y"]) == pytest.approx((0.5, 0.5), abs=0.004)
    assert moved["tail"] == ARROW["tail"]


def swipe(page: Page, start: tuple[float, float], by: tuple[float, float]) -> None:
    """Drags by a finger from a place of the picture, in fractions of it."""
    page.locator(".layers").scroll_into_view_if_needed()
    bounds = page.locator(".layers").bounding_box()
    assert bounds is not None
    session = page.context.new_cdp_session(page)

    def touch(kind: str, share: float) -> None:
        x, y = start[0] + share * by[0], start[1] + share * by[1]
        place = {"x": bounds["x"] + x * bounds["width"], "y": bounds["y"] + y * bounds["height"]}
        points = [] if kind == "touchEnd" else [place]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0)
    for share in (0.3, 0.6, 1.0):
        touch("touchMove", share)
    touch("touchEnd", 1)


def test_a_finger_drags_on_a_phone(
    visiting: Visiting, project: str, overlay: Callable[[Page, int], dict[str, Any]]
) -> None:
    page = open_editor(visiting, project, viewport={"width": 390, "height": 844}, has_touch=True)
    swipe(page, (0.2, 0.2), (0.3, 0.4))
    box = overlay(page, 0)["box"]
    assert box["x"] == pytest.approx(0.4, abs=0.013) and box["y"] == pytest.approx(0.5, abs=0.013)


def read_degrees(page: Page, name: str) -> float:
    """The angle at which a frame is drawn, by its matrix on the page."""
    frame = page.get_by_role("button", name=f"{name}: place on the picture")
    found: float = frame.evaluate(
        "one => { const { a, b } = new DOMMatrix(getComputedStyle(one).transform);"
        " return 180 / Math.PI * Math.atan2(b, a); }"
    )
    return round(found, 1)


def place_of_handle(page: Page, handle: str) -> tuple[float, float]:
    """The middle of a handle of the selected layer, in fractions of the picture."""
    outer = page.locator(".layers").bounding_box()
    inner = page.locator(f".layer-frame.selected .handle.{handle}").bounding_box()
    assert outer is not None and inner is not None
    return (
        (inner["x"] + inner["width"] / 2 - outer["x"]) / outer["width"],
        (inner["y"] + inner["height"] / 2 - outer["y"]) / outer["height"],
    )


def test_boxes_at_random_angles_keep_the_opposite_corner_and_snap(built_page: None, tmp_path: Path) -> None:
    found = run_script(Path(__file__).with_name("rotation_edits.ts"), tmp_path, "5000", "1")
    assert found["wrong"] == []
    assert min(found["counts"].values()) > 200


def test_an_overlay_is_rotated_by_its_handle_and_resized_in_its_own_axes(
    visiting: Visiting, project: str, overlay: Callable[[Page, int], dict[str, Any]]
) -> None:
    page = open_editor(visiting, project)
    picture = page.locator(".layout img").get_attribute("src")
    page.get_by_role("button", name="Title 1: place on the picture").click()
    # The middle of the title: there is no room above it.
    middle = (0.25, 0.2)
    x, y = place_of_handle(page, "rotate")
    assert x == pytest.approx(middle[0], abs=0.005) and y > 0.3
    ratio = 16 / 9
    # The handle hangs below; to the left of the middle it is a quarter turn on.
    drag(page, (x, y), ((middle[1] - y) / ratio - 0.002, middle[1] - y - 0.003), drop=False)
    expect(page.locator(".degrees")).to_have_text("90°")
    page.mouse.up()
    expect(page.locator(".degrees")).to_have_count(0)
    assert overlay(page, 0)["rotation_deg"] == 90 and read_degrees(page, "Title 1") == 90
    expect(page.locator(".layout img")).not_to_have_attribute("src", str(picture), timeout=PATIENCE_MS)
    page.get_by_role("button", name="Undo").click()
    assert overlay(page, 0)["rotation_deg"] == 0 and read_degrees(page, "Title 1") == 0
    page.get_by_role("button", name="Redo").click()
    assert overlay(page, 0)["rotation_deg"] == 90

    page.keyboard.down("Shift")
    x, y = place_of_handle(page, "rotate")
    drag(page, (x, y), (0.02, -0.11))
    page.keyboard.up("Shift")
    saved = overlay(page, 0)
    assert saved["rotation_deg"] % 15 == 0 and saved["rotation_deg"] not in (0, 90)
    assert saved["box"] == TITLE["box"]

    fixed = place_of_handle(page, "top-left")
    corner = place_of_handle(page, "bottom-right")
    drag(page, corner, (0.06, 0.05))
    assert place_of_handle(page, "bottom-right") == pytest.approx(
        (corner[0] + 0.06, corner[1] + 0.05), abs=0.008
    )
    assert place_of_handle(page, "top-left") == pytest.approx(fixed, abs=0.006)
    assert overlay(page, 0)["rotation_deg"] == saved["rotation_deg"]


def test_keys_and_a_field_rotate_and_an_arrow_has_no_angle(
    visiting: Visiting, project: str, overlay: Callable[[Page, int], dict[str, Any]]
) -> None:
    page = open_editor(visiting, project, bypass_csp=True)
    page.get_by_role("button", name="Title 1: place on the picture").focus()
    for key in (".", ".", ",", "Shift+>", "Shift+>", "Shift+<"):
        page.keyboard.press(key)
    assert overlay(page, 0)["rotation_deg"] == 16
    page.get_by_role("button", name="Undo").click()
    assert overlay(page, 0)["rotation_deg"] == 0

    page.locator(".layer summary").first.click()
    page.get_by_label("Title 1: rotation in degrees").fill("-12.5")
    assert overlay(page, 0)["rotation_deg"] == -12.5 and read_degrees(page, "Title 1") == -12.5
    page.get_by_label("Title 1: rotation in degrees").fill("181")
    assert overlay(page, 0)["rotation_deg"] == -12.5
    assert breaches(page) == []
    page.locator(".layer summary").nth(2).click()
    expect(page.get_by_label("Arrow 3: head, left")).to_be_visible()
    expect(page.get_by_label("Arrow 3: rotation in degrees")).to_have_count(0)
    page.get_by_role("button", name="Arrow 3: its head").focus()
    page.keyboard.press(".")
    assert overlay(page, 2)["head"] == ARROW["head"] and "rotation_deg" not in overlay(page, 2)


def test_a_finger_rotates_on_a_phone(
    visiting: Visiting, project: str, overlay: Callable[[Page, int], dict[str, Any]]
) -> None:
    page = open_editor(visiting, project, viewport={"width": 390, "height": 844}, has_touch=True)
    page.get_by_role("button", name="Title 1: place on the picture").tap()
    x, y = place_of_handle(page, "rotate")
    swipe(page, (x, y), (-0.12, -0.06))
    degrees = overlay(page, 0)["rotation_deg"]
    assert 20 < degrees < 90 and read_degrees(page, "Title 1") == degrees
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
