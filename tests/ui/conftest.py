"""Fixtures of the page's tests: a real server, Debian's Chromium, the built page."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_microphone import Microphone, hearing
from page_hands import USUAL_WIDTH
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from studio_page import CHROMIUM, OPTIONS, PATIENCE_MS, REPOSITORY, Studio, Visit, Visiting, studio_up

for folder in ("provisioning_api", "agent", "support", "ui"):
    sys.path.insert(0, str(REPOSITORY / "tests" / folder))
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first one waits for the page to be built, and a story for its video."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def built_page() -> None:
    ran = subprocess.run([REPOSITORY / "ui" / "build"], capture_output=True, text=True, check=False)
    if ran.returncode == 3:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="session")
def studio(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One for all tests: what it holds, others may have made, so it takes the new machines of all of them."""
    with studio_up(
        tmp_path_factory,
        SOUNDSTAGE_WEBHOOKS__LOOPBACK="true",
        SOUNDSTAGE_PROVISIONING__NEW_MACHINES_PER_HOUR="1000",
    ) as made:
        yield made


@pytest.fixture
def operator(studio: Studio) -> Iterator[httpx.Client]:
    """A client of the studio's API, with its key."""
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def new_studio(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """For a test that counts or shows all there is."""
    with studio_up(tmp_path_factory) as made:
        yield made


@pytest.fixture
def workless_studio(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Where every video fails: its workers end before they have said anything."""
    with studio_up(tmp_path_factory, SOUNDSTAGE_WORKER__COMMAND="/bin/false") as made:
        yield made


@pytest.fixture
def secured_studio(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Which other computers reach by https, as studio.example."""
    https = {"TLS": "self", "TLS_HOST": "127.0.0.1", "TLS_PORT": "0", "TLS_NAMES": "studio.example"}
    with studio_up(
        tmp_path_factory, **{f"SOUNDSTAGE_HTTP__{name}": one for name, one in https.items()}
    ) as made:
        yield made


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium, then make test")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Microphone:
    return Microphone(tmp_path_factory.mktemp("microphone") / "microphone.wav")


@pytest.fixture(scope="module")
def chromium(browser: Browser, microphone: Microphone) -> Iterator[Browser]:
    """A browser with that microphone."""
    with hearing(browser, microphone) as started:
        yield started


@pytest.fixture
def width(request: pytest.FixtureRequest) -> int:
    """Of the pages of a test, in pixels; `EACH_WIDTH` gives three of them."""
    return int(getattr(request, "param", USUAL_WIDTH))


@pytest.fixture
def visiting(browser: Browser, studio: Studio, width: int) -> Iterator[Visiting]:
    """Opens pages that close with the test: each open page uses the processor."""
    with _visits(browser, studio, width) as start:
        yield start


@pytest.fixture(scope="module")
def module_visiting(browser: Browser, studio: Studio) -> Iterator[Visiting]:
    """Opens pages for the fixtures of a module."""
    with _visits(browser, studio) as start:
        yield start


@contextmanager
def _visits(browser: Browser, studio: Studio, width: int = USUAL_WIDTH) -> Iterator[Visiting]:
    contexts: list[BrowserContext] = []

    def start(of: Studio | None = None, **options: Any) -> Visit:
        options.setdefault("viewport", {"width": width, "height": 900})
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(PATIENCE_MS)
        page = contexts[-1].new_page()
        chosen = of or studio
        visit = Visit(page, chosen.url, chosen.start_link)
        page.on(
            "console",
            lambda one: (
                visit.complaints.append(f"{one.text} {one.location['url']}")
                if one.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("request", lambda one: visit.hosts.add("/".join(one.url.split("/")[:3])))
        return visit

    try:
        yield start
    finally:
        for context in contexts:
            context.close()
