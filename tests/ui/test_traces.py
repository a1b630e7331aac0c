"""The steps of one request on the page: a waterfall, and what the servers logged meanwhile."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Studio, Visiting, address, breaches

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def store(studio: Studio) -> None:
    """Writes the spans of a render with a worker of its own, and a step that failed."""
    base = 1_795_400_000_000_000_000
    spans = [
        ("a" * 16, None, "POST /api/renders", "studio", 0, 30, {"http.route": "/api/renders"}),
        ("b" * 16, "a" * 16, "render", "studio", 40, 4000, {"soundstage.render.id": "rnd_steps"}),
        ("c" * 16, "b" * 16, "segment", "studio", 50, 3000, {"soundstage.scene": "scene-1"}),
        ("d" * 16, "c" * 16, "speech", "worker", 60, 900, {"soundstage.scene": "scene-1"}),
        ("f" * 16, "b" * 16, "SELECT renders", "studio", 3020, 1, {"db.system.name": "sqlite"}),
        ("e" * 16, "b" * 16, "assemble", "studio", 3050, 900, {"error.type": "disk.full"}),
    ]
    lines = [
        {
            "trace_id": TRACE,
            "span_id": number,
            "parent_id": parent,
            "name": name,
            "kind": "internal",
            "start_ns": base + start * 1_000_000,
            "end_ns": base + (start + ms) * 1_000_000,
            "is_error": "error.type" in attributes,
            "attributes": attributes,
            "service": service,
            "tenant": "default",
        }
        for number, parent, name, service, start, ms, attributes in spans
    ]
    folder = studio.path / "state" / "traces"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "00000000000000000001-1.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines))


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_steps_of_a_video_are_a_waterfall(
    studio: Studio, visiting: Visiting, width: int, scheme: str
) -> None:
    store(studio)
    visit = visiting(bypass_csp=True, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = visit.open("log")
    page.get_by_label("Id of a trace, video, conversation or run").fill("rnd_steps")
    page.get_by_role("button", name="Show its steps").click()
    rows = page.locator(".waterfall summary")
    expect(rows).to_have_count(5, timeout=PATIENCE_MS)
    assert [row.split("\n")[0] for row in rows.locator(".name").all_inner_texts()] == [
        "POST /api/renders",
        "render",
        "segment",
        "speech",
        "assemble",
    ]
    expect(rows.nth(2)).to_contain_text("scene-1")
    expect(rows.nth(3)).not_to_contain_text("scene-1")
    expect(rows.nth(4)).to_contain_text("disk.full")
    left = [bar.bounding_box() for bar in page.locator(".bar-of").all()]
    assert all(one is not None and one["width"] >= 2 for one in left)
    assert left[4]["x"] > left[2]["x"] + left[2]["width"] * 0.9  # type: ignore[index]
    rows.nth(1).click()
    expect(page.locator(".facts").nth(1)).to_contain_text("rnd_steps")
    page.get_by_label("With 1 step of the database").check()
    expect(rows).to_have_count(6)
    expect(rows.nth(4)).to_contain_text("SELECT renders")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert breaches(page) == []
    # The trace outlives its video, which would give the page its title.
    assert [one for one in visit.complaints if "/api/renders/rnd_steps" not in one] == []


def test_the_lines_that_a_server_logged_stand_below_the_steps(studio: Studio, visiting: Visiting) -> None:
    headers = {"Authorization": f"Bearer {studio.key}"} if studio.key else {}
    visit = visiting()
    page = visit.open("log")
    answer = page.request.post(f"{studio.url}/api/projects", data={"title": "Steps"}, headers=headers)
    trace_id = answer.headers["x-trace-id"]
    page.goto(studio.url + address(f"log/{trace_id}"))
    expect(page.get_by_role("heading", name="POST /api/projects")).to_be_visible(timeout=PATIENCE_MS)
    lines = page.get_by_role("log", name="Log lines")
    expect(lines).to_contain_text("path=/api/projects", timeout=PATIENCE_MS)
