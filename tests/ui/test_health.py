"""The health of the installation on the page: one sentence, its parts, and a count beside the tab."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Route, expect
from studio_page import PATIENCE_MS, Visiting, breaches

pytestmark = pytest.mark.browser

FULL = {
    "name": "disk",
    "level": "red",
    "found": "0.1 GiB free for /srv/state",
    "fix": "Free some space (`soundstage gc` removes what nothing refers to), or move state_dir.",
    "code": "disk.full",
}
OLD = {
    "name": "backup",
    "level": "amber",
    "found": "the newest is 30 hours old",
    "fix": "`soundstage backup FILE`, or the role backup on a farm.",
    "code": "backup.old",
}
WAITS = {
    "name": "approvals",
    "level": "amber",
    "found": "one waits for 3 days",
    "fix": "`soundstage approvals list`, then approve or deny.",
    "code": "approval.waits",
}


def test_the_page_says_in_one_sentence_whether_all_is_well_and_what_to_do(visiting: Visiting) -> None:
    visit = visiting(bypass_csp=True)
    visit.log_in()
    page = visit.page
    real = page.request.get(f"{visit.url}/api/health/installation").json()
    assert real["checks"] and all(check["fix"] for check in real["checks"] if check["level"] != "green")
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("article", name="The installation")).to_contain_text(real["sentence"][:20])
    expect(page.locator("#view")).to_contain_text("audit log")

    def answer(route: Route) -> None:
        sentence = f"2 things are not well. First: {FULL['found']}. {FULL['fix']}"
        unwell = {**real, "level": "red", "sentence": sentence, "checks": [*real["checks"], WAITS, OLD, FULL]}
        route.fulfill(status=200, content_type="application/json", body=json.dumps(unwell))

    page.route("**/api/health/installation", answer)
    page.reload()
    count = 3 + sum(check["level"] != "green" for check in real["checks"])
    expect(page.get_by_role("link", name=f"Health {count} to look at")).to_be_visible()
    expect(page.get_by_role("article", name="The installation")).to_contain_text("First: 0.1 GiB free")
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("broken")
    expect(row.locator("code", has_text="disk.full")).to_be_visible()
    expect(page.locator("tbody tr", has_text="30 hours old")).to_contain_text("look at this")
    # What is well is folded away behind what is not.
    well = page.locator("tbody tr", has_text="audit log")
    expect(well).to_be_hidden()
    page.get_by_text("parts are well").click()
    expect(well).to_be_visible()
    page.get_by_role("link", name="Open approvals").click()
    expect(page.get_by_role("heading", name="Approvals")).to_be_visible(timeout=PATIENCE_MS)
    page.go_back()
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    assert visit.complaints == []
