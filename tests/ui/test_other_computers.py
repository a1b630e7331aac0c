"""The page as other computers open it: by a name, over plain HTTP and by https, and in eight tabs at once."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from playwright.sync_api import Error as BrowserError
from studio_page import CHROMIUM, OPTIONS, PATIENCE_MS, REPOSITORY, Studio, Visit, Visiting, address

pytestmark = pytest.mark.browser
NAME = "studio.example"
TABS = 8


def by_name(url: str) -> str:
    return f"{url.partition('://')[0]}://{NAME}:{url.rpartition(':')[2]}"


def log_in(page: Page, url: str, key: str) -> None:
    page.goto(url)
    page.locator("#key-value").fill(key)
    page.keyboard.press("Enter")
    expect(page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(f"{page.url.rstrip('/')}{address('chat')}")


def hear_of_a_sentence(page: Page, sentence: str = "who can speak?") -> None:
    page.locator("#utterance").fill(sentence)
    page.keyboard.press("Enter")
    expect(page.locator(".reply").last).to_contain_text("Nova", timeout=PATIENCE_MS)


def test_a_sentence_is_sent_over_plain_http_under_a_name(visiting: Visiting, studio: Studio) -> None:
    visit = visiting()
    log_in(visit.page, by_name(studio.url), studio.key)
    assert visit.page.evaluate("isSecureContext") is False
    visit.complaints.clear()  # The browser reports the 401 of the first question.
    hear_of_a_sentence(visit.page)
    assert visit.complaints == []


def test_the_page_uses_nothing_that_browsers_keep_for_https() -> None:
    secure_only = (
        *("randomUUID", "crypto.subtle", "caches.", "new Notification", "CookieStore"),
        *(f"navigator.{one}" for one in ("clipboard", "locks", "serviceWorker", "mediaDevices", "storage")),
        *(f"navigator.{one}" for one in ("share", "wakeLock", "credentials", "bluetooth", "usb")),
        *("showOpenFilePicker", "showSaveFilePicker", "showDirectoryPicker"),
    )
    # These do without: Talk goes on in writing (tests/ui/test_talk.py), a photo is chosen instead of taken, a
    # consent is ticked and not recorded, an editor takes over what another tab has not saved.
    says_so = [
        ("CameraPicture.tsx", "navigator.mediaDevices"),
        ("ConsentRecorder.tsx", "navigator.mediaDevices"),
        ("journal.ts", "navigator.locks"),
        ("microphone.ts", "navigator.mediaDevices"),
        ("useDevices.ts", "navigator.mediaDevices"),
    ]
    sources = [
        path
        for path in (REPOSITORY / "ui" / "src").rglob("*.ts*")
        if path.name not in ("schema.d.ts", "limits.ts")
    ]
    assert len(sources) > 20
    found = [(path.name, one) for path in sources for one in secure_only if one in path.read_text()]
    assert sorted(found) == says_so


@pytest.fixture
def trusting_browser(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    """Starts a browser whose user trusts one more authority."""
    if shutil.which("certutil") is None:
        pytest.skip("needs certutil: apt-get install libnss3-tools, then make test")
    started: list[Browser] = []

    def start(ca: str) -> Browser:
        store = tmp_path / ".pki" / "nssdb"
        store.mkdir(parents=True)
        for arguments in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "studio", "-i", ca]):
            subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, capture_output=True)
        environment: dict[str, str | float | bool] = {**os.environ, "HOME": str(tmp_path)}
        started.append(browser.browser_type.launch(executable_path=CHROMIUM, args=OPTIONS, env=environment))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_by_https_the_page_opens_for_those_who_trust_the_authority_and_for_nobody_else(
    secured_studio: Studio, browser: Browser, trusting_browser: Any
) -> None:
    stranger = browser.new_page()
    with pytest.raises(BrowserError, match="ERR_CERT_AUTHORITY_INVALID"):
        stranger.goto(secured_studio.https_url)
    stranger.close()
    page = trusting_browser(secured_studio.ca_file).new_page()
    # Whoever types the name alone is led there.
    log_in(page, by_name(secured_studio.url), secured_studio.key)
    assert page.url.startswith(f"https://{NAME}:")
    assert page.evaluate("isSecureContext") is True
    hear_of_a_sentence(page)


def eight_tabs(context: BrowserContext, visit: Visit) -> list[Page]:
    tabs = [context.new_page() for _ in range(TABS)]
    for tab in tabs:
        tab.set_default_timeout(30_000)
        tab.goto(visit.url + address("log"))
        expect(tab.locator(".bar")).to_be_visible(timeout=30_000)
    return tabs


def test_eight_tabs_all_hear_what_happens_and_none_freezes(visiting: Visiting, studio: Studio) -> None:
    visit = visiting()
    visit.log_in()
    visit.page.close()
    tabs = eight_tabs(visit.page.context, visit)
    for tab in (tabs[-1], tabs[0]):
        known = tab.locator(".log li").count()
        hear_of_a_sentence(tab)
        for tab in tabs:
            expect(tab.locator(".log li").nth(known)).to_be_visible(timeout=30_000)
    # The tab that opened the stream goes: the others go on hearing.
    tabs.pop(0).close()
    known = tabs[0].locator(".log li").count()
    hear_of_a_sentence(tabs[0])
    expect(tabs[-1].locator(".log li").nth(known)).to_be_visible(timeout=30_000)
    for tab in tabs:
        tab.close()
