"""The policy test on the page: may this key do that, why, and who would have to agree."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, breaches

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1440, 390])
def test_a_key_is_asked_about_and_nothing_is_done(
    visiting: Visiting, operator: httpx.Client, width: int
) -> None:
    key = {"name": f"Editor at {width}", "role": "editor", "scopes": ["render:*"]}
    operator.post("/api/keys", json=key).raise_for_status()
    page = visiting(bypass_csp=True, viewport={"width": width, "height": 900}).open("run/policy")
    choice = page.get_by_label("May the key")
    expect(choice.locator("option", has_text=key["name"])).to_have_count(1, timeout=PATIENCE_MS)
    assert breaches(page) == []
    choice.select_option(label=f"{key['name']} · editor · default")
    page.get_by_label("do", exact=True).fill("render:create")
    page.get_by_role("button", name="Ask").click()
    answer = page.get_by_role("region", name=key["name"])
    expect(answer).to_contain_text("allowed", timeout=PATIENCE_MS)
    expect(answer).to_contain_text("render:create of editor")
    assert breaches(page) == []
    page.get_by_label("do", exact=True).fill("project:create")
    page.get_by_role("button", name="Ask").click()
    expect(answer).to_contain_text("not allowed", timeout=PATIENCE_MS)
    expect(answer).to_contain_text("the scopes of this key do not give it")


def test_a_tool_asks_for_people_by_keyboard(visiting: Visiting) -> None:
    page = visiting(bypass_csp=True).open("run/policy")
    action = page.get_by_label("do", exact=True)
    action.focus()
    page.keyboard.type("ansible")
    check = page.get_by_label("check")
    expect(check).to_be_visible(timeout=PATIENCE_MS)
    check.focus()
    page.keyboard.type("false")
    page.keyboard.press("Enter")
    answer = page.get_by_role("region", name="run:create")
    expect(answer).to_contain_text("needs approval", timeout=PATIENCE_MS)
    expect(answer).to_contain_text("1 person has to agree")
    expect(answer).to_contain_text("it changes machines")
    check.fill("true")
    page.keyboard.press("Enter")
    expect(answer).to_contain_text("allowed", timeout=PATIENCE_MS)
    assert breaches(page) == []


def test_an_action_that_there_is_not_is_named(visiting: Visiting) -> None:
    page = visiting(bypass_csp=True).open("run/policy")
    page.get_by_label("do", exact=True).fill("render:fly")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text("policy.unknown_permission", timeout=PATIENCE_MS)
    assert breaches(page) == []
