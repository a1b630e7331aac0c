"""Keys, webhooks and storage are managed on the page: created, shown once, tried, ended, freed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from loopback_http import Reply, Request, serving_in_thread
from playwright.sync_api import expect
from studio_page import PATIENCE_MS, Visiting, breaches

pytestmark = pytest.mark.browser


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[str]]]:
    """A program that is told of events: its address, and the types that came. It fails the second time."""
    came: list[str] = []

    async def answer(request: Request) -> Reply:
        came.append(json.loads(await request.body())["type"])
        return Reply(410 if len(came) == 2 else 204)

    with serving_in_thread(answer) as url:
        yield url, came


def test_a_key_is_created_rotated_and_revoked(visiting: Visiting, operator: httpx.Client) -> None:
    page = visiting(bypass_csp=True).open("run/keys")
    page.get_by_label("What the new key is for").fill("Weather bot")
    page.get_by_label("Role").select_option("editor")
    page.get_by_role("button", name="Create key").click()
    secret = page.locator(".secret")
    expect(secret).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    key = str(secret.text_content())

    def is_accepted(value: str) -> bool:
        headers = {"Authorization": f"Bearer {value}"}
        answer = httpx.get(f"{operator.base_url}/api/projects", headers=headers, trust_env=False)
        return answer.status_code == 200

    assert is_accepted(key)
    page.get_by_role("button", name="Rotate Weather bot").click()
    expect(secret).to_have_count(2, timeout=PATIENCE_MS)
    page.get_by_role("button", name="I have it").first.click()
    successor = str(secret.text_content())
    assert successor != key and is_accepted(successor)
    # The old one works on for a while, which is said, unless it is revoked.
    assert is_accepted(key)
    old = page.get_by_role("row").filter(has_text="superseded")
    expect(old).to_contain_text("works until it ends")
    old.get_by_role("button", name="Revoke Weather bot").click()
    page.get_by_role("button", name="Revoke this key").click()
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=PATIENCE_MS)
    assert is_accepted(successor) and not is_accepted(key)


def test_a_webhook_is_created_tried_switched_off_and_deleted(
    visiting: Visiting, receiver: tuple[str, list[str]]
) -> None:
    url, came = receiver
    page = visiting(bypass_csp=True).open("run/webhooks")
    page.get_by_label("Address of the program").fill("ftp://example.com")
    page.get_by_role("button", name="Create webhook").click()
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_label("Address of the program").fill(url)
    page.get_by_label("render.done").check()
    page.get_by_role("button", name="Create webhook").click()
    expect(page.locator(".secret")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="I have it").click()
    card = page.get_by_role("listitem").filter(has_text=url)
    card.get_by_role("button", name="Send a test").click()
    row = card.get_by_role("row").nth(1)
    expect(row).to_contain_text("delivered", timeout=PATIENCE_MS)
    assert came == ["webhook.test"]
    assert breaches(page) == []
    # The receiver says that it is gone: the webhook ends, and says why.
    row.get_by_role("button", name="Send again").click()
    expect(card.locator(".problem")).to_be_visible(timeout=PATIENCE_MS)
    card.get_by_role("button", name="Switch on").click()
    expect(card).to_contain_text("active", timeout=PATIENCE_MS)
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the webhook").click()
    expect(card).to_have_count(0, timeout=PATIENCE_MS)


def test_storage_shows_who_holds_what(visiting: Visiting, operator: httpx.Client) -> None:
    file = {"file": ("tide.txt", b"\x89PNG\r\n\x1a\n" + bytes(4096), "image/png")}
    operator.post("/api/assets", files=file)
    page = visiting(bypass_csp=True).open("run/storage")
    expect(page.get_by_role("heading", name="What could go")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("are stored")).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
