"""The plain lists of the page in a real Chromium: they show what the API has. The audit log is not tested."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Studio, Visiting, address, breaches

pytestmark = pytest.mark.browser
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcffff3f030005fe02"
    "fea735813f0000000049454e44ae426082"
)


def test_assets_and_keys_are_listed(visiting: Visiting, studio: Studio) -> None:
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as operator:
        key = operator.post("/api/keys", json={"name": "ticker", "role": "viewer"})
        key.raise_for_status()
        picture = {"file": ("tide.png", PNG, "image/png")}
        operator.post("/api/assets", files=picture).raise_for_status()
    visit = visiting(color_scheme="dark", bypass_csp=True)
    page = visit.open()
    for view, words in (("assets", "tide.png"), ("keys", "ticker")):
        page.goto(visit.url + address(view))
        expect(page.locator("tbody tr", has_text=words).first).to_be_visible(timeout=PATIENCE_MS)
        assert breaches(page) == [], view
    page.goto(visit.url + address("publications"))
    expect(page.locator(".view .empty")).to_contain_text("Nothing was published", timeout=PATIENCE_MS)
    assert breaches(page) == []
