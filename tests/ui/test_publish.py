"""A film is published from its page: connect a channel, see the plan to the letter, follow the upload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from editor_page import create_project, make_film
from loopback_http import Reply, Request, serving_in_thread
from page_hands import EACH_WIDTH, USUAL_WIDTH
from playwright.sync_api import Locator, Page, expect
from studio_page import PATIENCE_MS, Studio, Visiting, breaches, studio_up
from youtube_server import Says, Stalls, YouTubeServer

pytestmark = pytest.mark.browser


class GoogleServer(YouTubeServer):
    """YouTube, and the page on which the owner of a channel agrees."""

    async def __call__(self, request: Request) -> Reply | None:
        if request.path != "/consent":
            return await super().__call__(request)
        query = request.query
        self.codes["code-1"] = query["code_challenge"]
        back = f"{query['redirect_uri']}?{urlencode({'state': query['state'], 'code': 'code-1'})}"
        page = f'<html><body><a href="{back}">I agree</a></body></html>'
        return Reply(200, page.encode(), {"content-type": "text/html"})


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleServer]:
    server = GoogleServer()
    with serving_in_thread(server) as url:
        server.url = url
        yield server


@pytest.fixture(scope="module")
def channel_studio(
    built_page: None, google: GoogleServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """A studio that may publish, with one finished film."""
    secret = tmp_path_factory.mktemp("youtube") / "client-secret"
    secret.write_text("client-secret-1\n")
    variables = {
        "CLIENT_ID": "client-1",
        "CLIENT_SECRET_FILE": str(secret),
        "API_URL": google.url,
        "CONSENT_URL": f"{google.url}/consent",
        "TOKEN_URL": f"{google.url}/token",
        "REVOKE_URL": f"{google.url}/revoke",
        "CHUNK_KIB": "256",
        # A piece that stalls delays a cancellation for so long.
        "TIMEOUT_S": "3",
    }
    named = {f"SOUNDSTAGE_YOUTUBE__{name}": value for name, value in variables.items()}
    with studio_up(tmp_path_factory, **named) as started_studio:
        yield started_studio


def film_of(studio: Studio, script: str) -> str:
    """Returns the id of a finished film with the title Tides."""
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as client:
        return make_film(client, create_project(client, script, title="Tides"))


@pytest.fixture(scope="module")
def film(channel_studio: Studio) -> str:
    return film_of(channel_studio, "High water comes twice a day.")


@pytest.fixture
def page(visiting: Visiting, channel_studio: Studio, film: str, width: int) -> Page:
    if width != USUAL_WIDTH:
        # A film is published once.
        film = film_of(channel_studio, f"High water comes at {width}.")
    opened = visiting(channel_studio, bypass_csp=True).open(f"videos/{film}")
    expect(opened.get_by_role("heading", name="Tides", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    return opened


def dialog(page: Page) -> Locator:
    page.get_by_role("button", name="Publish", exact=True).click()
    return page.get_by_role("dialog", name="Publish “Tides” on YouTube")


def connect(page: Page) -> Locator:
    """Connects the channel where none is yet; returns the dialog with its form."""
    window = dialog(page)
    title = window.get_by_label("Title")
    button = window.get_by_role("button", name="Connect a YouTube channel")
    expect(title.or_(button)).to_be_visible(timeout=PATIENCE_MS)
    if button.is_visible():
        assert breaches(page) == []
        with page.context.expect_page() as opened:
            button.click()
        opened.value.get_by_role("link", name="I agree").click()
        expect(opened.value.locator("body")).to_contain_text("Nova's channel is connected")
        opened.value.close()
    expect(title).to_be_visible(timeout=PATIENCE_MS)
    return window


def publications(page: Page) -> Locator:
    return page.get_by_role("region", name="Publications").get_by_role("listitem")


@EACH_WIDTH
def test_a_channel_is_connected_and_a_film_published_as_the_plan_said(
    page: Page, google: GoogleServer, tmp_path: Path
) -> None:
    window = connect(page)
    expect(window.get_by_label("Title")).to_have_value("Tides")
    window.get_by_label("Title").fill("Tides, explained")
    window.get_by_label("Description").fill("Why the sea comes\nand goes.")
    window.get_by_label("Tags").fill("sea, moon, ")
    window.get_by_label("Who may see it").select_option("unlisted")
    window.get_by_label("Tell viewers that it is synthetic").uncheck()
    window.get_by_role("button", name="Next: check what is sent").click()
    expect(window.get_by_label("Why viewers need not be told")).to_be_focused()
    window.get_by_label("Tell viewers that it is synthetic").check()
    assert breaches(page) == []
    window.get_by_role("button", name="Next: check what is sent").click()
    plan = window.locator(".plan")
    for text in (
        "Nova's channel",
        "Tides, explained",
        "sea, moon",
        "altered or synthetic",
        "Why the sea comes",
    ):
        expect(plan).to_contain_text(text, timeout=PATIENCE_MS)
    assert breaches(page) == []
    before = len(google.videos)
    assert len(google.sessions) == before, "nothing was sent before the person had seen it"
    window.get_by_role("button", name="Publish", exact=True).click()
    expect(window).to_be_hidden(timeout=PATIENCE_MS)
    row = publications(page)
    expect(row).to_contain_text("published", timeout=PATIENCE_MS)
    *_, (video, sent) = google.videos.items()
    assert len(google.videos) == before + 1
    assert row.get_by_role("link").get_attribute("href") == f"https://www.youtube.com/watch?v={video}"
    assert sent.about["snippet"]["title"] == "Tides, explained"
    assert sent.about["snippet"]["tags"] == ["sea", "moon"]
    assert sent.about["status"]["privacyStatus"] == "unlisted"
    assert sent.about["status"]["containsSyntheticMedia"] is True
    assert len(google.captions) == len(google.thumbnails) == before + 1


def test_the_same_film_again_is_refused_and_a_refused_title_is_changed(
    page: Page, google: GoogleServer, film: str
) -> None:
    window = connect(page)
    plan = window.get_by_role("button", name="Next: check what is sent")
    again = window.get_by_label("Publish it although the channel has it already")
    send = window.get_by_role("button", name="Publish", exact=True)
    plan.click()
    expect(again.or_(send)).to_be_visible(timeout=PATIENCE_MS)
    if again.is_visible():
        expect(window.get_by_role("alert")).to_contain_text("already", timeout=PATIENCE_MS)
        again.check()
        plan.click()
    google.faults["start"] = [Says(400, "invalidTitle")]
    send.click()
    newest = publications(page).first
    expect(newest).to_contain_text("failed", timeout=PATIENCE_MS)
    newest.get_by_role("button", name="Change it and publish").click()
    expect(window.get_by_label("Title")).to_have_value("Tides")
    window.get_by_label("Title").fill("The tides")
    plan.click()
    window.get_by_role("button", name="Publish", exact=True).click()
    newest = publications(page).first
    expect(newest).to_contain_text("published", timeout=PATIENCE_MS)
    assert list(google.videos.values())[-1].about["snippet"]["title"] == "The tides"


def test_an_upload_shows_how_far_it_is_and_is_cancelled(page: Page, google: GoogleServer) -> None:
    window = connect(page)
    plan = window.get_by_role("button", name="Next: check what is sent")
    plan.click()
    again = window.get_by_label("Publish it although the channel has it already")
    send = window.get_by_role("button", name="Publish", exact=True)
    expect(again.or_(send)).to_be_visible(timeout=PATIENCE_MS)
    if again.is_visible():
        again.check()
        plan.click()
    google.faults["piece"] = [Stalls()]
    send.click()
    newest = publications(page).first
    expect(newest.get_by_role("progressbar")).to_be_visible(timeout=PATIENCE_MS)
    newest.get_by_role("button", name="Cancel").click()
    expect(newest).to_contain_text("cancelled", timeout=PATIENCE_MS)
    expect(newest.get_by_role("button", name="again")).to_be_visible()
    page.get_by_role("link", name="All videos").click()
    page.goto(page.url.replace("/videos", "/publications"))
    expect(page.get_by_role("row").nth(1)).to_contain_text("cancelled", timeout=PATIENCE_MS)


def test_where_publishing_is_not_set_up_the_page_says_what_is_missing(
    visiting: Visiting, studio: Studio, operator: httpx.Client
) -> None:
    project = create_project(operator, "Hello.", title="Unpublished")
    render: Any = operator.post("/api/renders", json={"project": project}).raise_for_status().json()
    page = visiting(studio).open(f"videos/{render['id']}")
    page.get_by_role("button", name="Publish", exact=True).click(timeout=PATIENCE_MS)
    window = page.get_by_role("dialog", name="Publish “Unpublished” on YouTube")
    window.get_by_role("button", name="Connect a YouTube channel").click()
    expect(window.get_by_role("alert")).to_contain_text("youtube.")
