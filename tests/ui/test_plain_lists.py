"""The plain lists of the page in a real Chromium: they show what the API has."""

from __future__ import annotations

import re

import httpx
import pytest
from page_hands import EACH_WIDTH
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


@EACH_WIDTH
def test_the_audit_log_is_filtered_and_the_address_says_so(
    visiting: Visiting, studio: Studio, width: int
) -> None:
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as operator:
        for name in ("Sea colours", "Shore colours"):
            kit = operator.post("/api/brands", json={"name": f"{name} {width}"}).raise_for_status().json()
            operator.delete(f"/api/brands/{kit['id']}").raise_for_status()
        operator.post("/api/chat", json={"message": "list the projects"}).raise_for_status()
    visit = visiting(bypass_csp=True)
    page = visit.open()
    page.goto(visit.url + address("audit"))
    rows = page.locator("tbody tr")
    created = rows.filter(has_text="created a brand kit")
    expect(created.first).to_be_visible(timeout=PATIENCE_MS)
    expect(rows.filter(has_text="said something").first).to_be_visible()
    page.get_by_label("What", exact=True).select_option("brand.")
    expect(rows.filter(has_text="said something")).to_have_count(0, timeout=PATIENCE_MS)
    brands = created.count()
    assert brands >= 2 and page.url.endswith("/run/audit?kind=brand.")
    created.first.get_by_role("link", name="brd_").click()
    # All records of that brand kit, of whatever kind.
    expect(page.get_by_label("Id of a thing")).to_have_value(re.compile("^brd_"), timeout=PATIENCE_MS)
    expect(created).to_have_count(1, timeout=PATIENCE_MS)
    page.get_by_label("Who").fill("nobody of that name")
    expect(page.locator(".view .empty")).to_contain_text("No record is like that", timeout=PATIENCE_MS)
    assert breaches(page) == []
    page.reload()
    expect(page.get_by_label("Who")).to_have_value("nobody of that name", timeout=PATIENCE_MS)


CUT = """() => [...document.querySelectorAll(".stacked :is(th, td)")]
  .filter((one) => one.checkVisibility())
  .filter((one) => one.getBoundingClientRect().right > innerWidth || one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.textContent)"""


def test_on_a_phone_rows_stand_as_cards_with_all_their_columns(visiting: Visiting, studio: Studio) -> None:
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as operator:
        operator.post("/api/keys", json={"name": "wall clock", "role": "viewer"}).raise_for_status()
    visit = visiting(viewport={"width": 390, "height": 844}, bypass_csp=True)
    page = visit.open("run/keys")
    row = page.get_by_role("row", name="wall clock")
    for number, column in enumerate(("Role", "State", "Expires", "Last used")):
        cell = row.get_by_role("cell").nth(number)
        expect(cell).to_be_visible(timeout=PATIENCE_MS)
        assert cell.evaluate("one => getComputedStyle(one, '::before').content").startswith(f'"{column}"')
    assert page.evaluate(CUT) == []
    # A column of buttons has no name to show.
    expect(page.locator("[data-label=undefined]")).to_have_count(0)
    assert breaches(page) == []
    page.goto(visit.url + address("audit"))
    expect(page.get_by_role("row").nth(1)).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate(CUT) == []
    assert breaches(page) == []
