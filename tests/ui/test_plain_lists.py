"""The plain lists of the page in a real Chromium: they show what the API has. The audit log is not tested."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Studio, Visiting, address, breaches

pytestmark = pytest.mark.browser


def test_keys_are_listed_and_no_publication(visiting: Visiting, studio: Studio) -> None:
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as operator:
        key = operator.post("/api/keys", json={"name": "ticker", "role": "viewer"})
        key.raise_for_status()
    visit = visiting(color_scheme="dark", bypass_csp=True)
    page = visit.open()
    page.goto(visit.url + address("keys"))
    expect(page.locator("tbody tr", has_text="ticker").first).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    name = page.get_by_label("What the new key is for")
    name.fill("x" * 101)
    expect(page.get_by_role("alert")).to_contain_text("101 characters; 100 are the most.")
    page.get_by_role("button", name="Create key").click()
    expect(name, "what is too long is neither cut off nor sent").to_be_focused()
    assert breaches(page) == []
    name.fill("screen")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.goto(visit.url + address("publications"))
    expect(page.locator(".view .empty")).to_contain_text("Nothing was published", timeout=PATIENCE_MS)
    assert breaches(page) == []
