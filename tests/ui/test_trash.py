"""Projects that were deleted on the page are restored from the trash, or deleted for good."""

from __future__ import annotations

import httpx
import pytest
from editor_page import create_project, make_film
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, breaches

pytestmark = pytest.mark.browser


def test_a_deleted_project_is_restored_and_then_deleted_for_good(
    visiting: Visiting, operator: httpx.Client
) -> None:
    created = operator.post("/api/projects", json={"title": "Ebb and flow"}).raise_for_status().json()
    address = f"/api/projects/{created['id']}"
    page = visiting(bypass_csp=True).open("projects")
    page.get_by_role("button", name="Delete Ebb and flow").click(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Delete this project").click()
    expect(page.get_by_role("link", name="Ebb and flow")).to_have_count(0, timeout=PATIENCE_MS)

    page.get_by_role("navigation").get_by_role("link", name="Trash").click()
    row = page.get_by_role("row", name="Ebb and flow")
    expect(row).to_contain_text("permanently on", timeout=PATIENCE_MS)
    expect(page.get_by_text("deleted permanently 30 days after")).to_be_visible()
    assert breaches(page) == []
    row.get_by_role("button", name="Restore").click()
    expect(row).to_have_count(0, timeout=PATIENCE_MS)
    assert operator.get(address).json()["trashed_at"] is None

    operator.delete(address).raise_for_status()
    page.reload()
    row.get_by_role("button", name="Delete for good Ebb and flow").click(timeout=PATIENCE_MS)
    page.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    expect(row).to_have_count(0, timeout=PATIENCE_MS)
    assert operator.get(address).status_code == 404


def test_a_restored_video_is_on_the_wall_again(visiting: Visiting, operator: httpx.Client) -> None:
    project = create_project(operator, "Restored.", title="Harbour of the trash")
    video = make_film(operator, project)
    operator.delete(f"/api/renders/{video}").raise_for_status()
    visit = visiting()
    page = visit.open("trash")
    row = page.get_by_role("region", name="Videos").get_by_role("row").filter(has_text="Harbour of the trash")
    row.get_by_role("button", name="Restore").click(timeout=PATIENCE_MS)
    expect(row).to_have_count(0, timeout=PATIENCE_MS)
    page.get_by_role("navigation").get_by_role("link", name="Videos").click()
    expect(page.locator(f'.tile[href$="{video}"]')).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(1000)
    assert visit.complaints == []
