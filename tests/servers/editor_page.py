"""Creates small projects for tests of the editor, and reads their fields on the page and on the server."""

from __future__ import annotations

import struct
import time
import zlib
from typing import Any

import httpx
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, Visit

SCRIPTS = ("Good morning. The tide comes in twice a day.", "The moon is why.")
SMALL = {"width": 640, "height": 360, "fps": 10}


def create_project(operator: httpx.Client, *scripts: str, title: str = "Harbour") -> str:
    """Creates a project with these scenes; returns its id."""
    created = operator.post("/api/projects", json={"title": title, "canvas": SMALL}).raise_for_status()
    found = str(created.json()["id"])
    for script in scripts:
        operator.post(f"/api/projects/{found}/scenes", json={"script": script}).raise_for_status()
    return found


def scenes(operator: httpx.Client, project: str) -> list[dict[str, Any]]:
    return list(operator.get(f"/api/projects/{project}/scenes").raise_for_status().json())


def scripts(operator: httpx.Client, project: str) -> list[str]:
    return [scene["script"] for scene in scenes(operator, project)]


def field(page: Page, number: int) -> Any:
    return page.get_by_label(f"Script of scene {number}", exact=True)


def expect_saved(page: Page) -> None:
    expect(page.locator(".saved")).to_have_text("Saved", timeout=PATIENCE_MS)


def open_project(visit: Visit, project: str) -> Page:
    page = visit.open(f"projects/{project}")
    expect(field(page, 1)).to_have_value(SCRIPTS[0], timeout=PATIENCE_MS)
    return page


def make_film(operator: httpx.Client, project: str) -> str:
    """Waits for a film of the project; returns its id."""
    render = operator.post("/api/renders", json={"project": project}).raise_for_status().json()["id"]
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while (state := operator.get(f"/api/renders/{render}").json()["state"]) != "done":
        assert state not in ("failed", "cancelled") and time.monotonic() < deadline, state
        time.sleep(0.2)
    return str(render)


def picture(width: int, height: int) -> bytes:
    """Returns a PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x30\x80\xc0" * width) * height
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
