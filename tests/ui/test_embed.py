"""A presenter on a page of another site, in a real Chromium whose microphone is a synthetic voice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from avatar_looks import Looks
from fake_microphone import Microphone
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from ports import free_port
from studio_page import PATIENCE_MS, Studio
from voice_workers import wait_for_voice_worker
from vrm_files import vrm_file
from waiting import eventually

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")
pytestmark = pytest.mark.browser
QUESTION = "what videos do I have"
LONG_ANSWER = "what can you do"
SCOPES = ["chat:use", "persona:read", "render:read"]
DRAWN = """() => {
  const canvas = document.querySelector("soundstage-presenter").shadowRoot.querySelector("canvas");
  return canvas.width > 0 && canvas.toDataURL();
}"""


@dataclass
class Site:
    """A web server of somebody else: a page with a presenter, and the address that opens its session."""

    port: int
    studio: Studio | None = None
    key: str = ""
    attributes: str = 'presenter="nova"'
    avatar: bytes = b""
    """The file at `/ada.vrm`."""
    sessions: list[dict[str, Any]] = field(default_factory=list)
    """What the studio answered."""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def page(self) -> str:
        assert self.studio is not None
        script = f'<script type="module" src="{self.studio.url}/page/embed.js"></script>'
        element = f'<soundstage-presenter session="/talk" {self.attributes}></soundstage-presenter>'
        return f'<!doctype html><html lang="en"><title>School</title><main>{element}</main>{script}'

    @property
    def content_policy(self) -> str:
        assert self.studio is not None
        socket = self.studio.url.replace("http", "ws", 1)
        return (
            f"default-src 'none'; script-src {self.studio.url}; connect-src 'self' {socket}; img-src 'self'"
        )

    def open_session(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert self.studio is not None
        answer = httpx.post(
            f"{self.studio.url}/api/voice/session",
            json={**body, "origin": self.origin},
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
            trust_env=False,
        )
        self.sessions.append(answer.json())
        return answer.status_code, answer.json()


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/ada.vrm" and site.avatar:
                return self.send(200, "model/gltf-binary", site.avatar)
            if self.path != "/":
                return self.send(404, "text/plain", b"")
            return self.send(200, "text/html; charset=utf-8", site.page.encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code, answer = site.open_session(body)
            self.send(code, "application/json", json.dumps(answer).encode())

        def send(self, code: int, media_type: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", site.content_policy)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", site.port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def site(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One that the studio allows, with a key that may talk and look at videos."""
    found = Site(free_port())
    studio = Studio(
        tmp_path_factory.mktemp("embedding"),
        {
            "SOUNDSTAGE_VOICE__ENABLED": "true",
            "SOUNDSTAGE_PROVISIONING__ENABLED": "false",
            "SOUNDSTAGE_HTTP__CORS_ORIGINS": found.origin,
        },
    )
    try:
        studio.start()
        found.studio, found.key = studio, make_key(studio)
        wait_for_voice_worker(studio)
        with serving(found):
            yield found
    finally:
        studio.stop()


def make_key(studio: Studio) -> str:
    body = {"name": "school", "role": "editor", "scopes": SCOPES}
    answer = httpx.post(f"{studio.url}/api/keys", json=body, headers=studio.headers, trust_env=False)
    return str(answer.raise_for_status().json()["key"])


@contextmanager
def visit(chromium: Browser, site: Site, *, allowed: bool = True, width: int = 900) -> Iterator[Page]:
    context = chromium.new_context(
        permissions=["microphone"] if allowed else [], viewport={"width": width, "height": 900}
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(site.origin)
    try:
        yield page
        assert errors == []
    finally:
        context.close()


def until(page: Page, state: str) -> None:
    expect(page.locator("soundstage-presenter .box")).to_have_attribute(
        "data-state", state, timeout=PATIENCE_MS
    )


def start(page: Page) -> None:
    page.get_by_role("button", name="Start talking").click()


def test_a_visitor_speaks_sees_the_answer_and_interrupts(
    chromium: Browser, site: Site, microphone: Microphone
) -> None:
    with visit(chromium, site) as page:
        eventually(lambda: page.evaluate(DRAWN), "a face")
        # As people do who see that nobody listens yet.
        microphone.hears(*[LONG_ANSWER] * 10)
        start(page)
        until(page, "speaking")
        page.get_by_role("button", name="Mute", exact=True).click()
        expect(page.locator("soundstage-presenter .said")).to_have_text(LONG_ANSWER)
        expect(page.locator("soundstage-presenter .answer")).not_to_be_empty()
        first = page.evaluate(DRAWN)
        eventually(lambda: page.evaluate(DRAWN) != first, "a moving face")
        page.get_by_role("button", name="Interrupt").click()
        until(page, "muted")
        page.get_by_label("Or write it").fill(QUESTION)
        page.keyboard.press("Enter")
        until(page, "speaking")
        expect(page.locator("soundstage-presenter .answer")).to_contain_text("video")
        page.get_by_role("button", name="Stop talking").click()
        until(page, "off")
    assert site.sessions[-1]["url"].endswith("/sound") and "/embedded/" in site.sessions[-1]["url"]


def test_without_a_microphone_a_visitor_writes_and_a_lost_line_comes_back(
    chromium: Browser, site: Site
) -> None:
    with visit(chromium, site, allowed=False, width=390) as page:
        sockets: list[WebSocketRoute] = []

        def pass_on(socket: WebSocketRoute) -> None:
            socket.connect_to_server()
            sockets.append(socket)

        page.route_web_socket("**/sound?*", pass_on)
        start(page)
        until(page, "writing")
        expect(page.get_by_role("alert")).to_contain_text("not allowed")
        sockets[0].close(code=1011)
        until(page, "reconnecting")
        until(page, "writing")
        page.get_by_label("Or write it").fill(QUESTION)
        page.keyboard.press("Enter")
        until(page, "speaking")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    first, second = site.sessions[-2:]
    assert second["session_id"] == first["session_id"] and len(sockets) == 2


def test_a_site_shows_an_avatar_of_its_own(
    chromium: Browser, site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(site, "attributes", 'presenter="nova" model="/ada.vrm"')
    monkeypatch.setattr(site, "avatar", vrm_file())
    with visit(chromium, site, allowed=False) as page:
        canvas = page.locator("soundstage-presenter canvas")
        expect(canvas).to_be_visible(timeout=PATIENCE_MS)
        looks = Looks(canvas)
        eventually(lambda: looks.mouth() > 0 and looks.eyes() > 0, "a face", PATIENCE_MS / 1000)
        start(page)
        until(page, "writing")
        page.get_by_label("Or write it").fill(QUESTION)
        page.keyboard.press("Enter")
        until(page, "speaking")
        page.screenshot(path=tmp_path / "embed-avatar.png")


def test_a_visitor_gets_no_more_than_the_key_may_do(chromium: Browser, site: Site) -> None:
    with visit(chromium, site, allowed=False) as page:
        start(page)
        until(page, "writing")
        page.get_by_label("Or write it").fill("make a project called Robbery")
        page.keyboard.press("Enter")
        until(page, "speaking")
    assert site.studio is not None
    answer = httpx.get(f"{site.studio.url}/api/projects", headers=site.studio.headers, trust_env=False)
    assert answer.raise_for_status().json() == []


def test_a_site_that_is_not_allowed_gets_neither_script_nor_session(chromium: Browser, site: Site) -> None:
    other = Site(free_port(), site.studio, site.key)
    with serving(other), visit(chromium, other) as page:
        page.wait_for_load_state("networkidle")
        assert page.evaluate("customElements.get('soundstage-presenter') === undefined")
        code, answer = other.open_session({})
    assert (code, answer["code"]) == (403, "voice.foreign_origin")


def test_pictures_of_the_element(chromium: Browser, site: Site, tmp_path: Path) -> None:
    """For people to look at; a page of another site shows it at any width and in both schemes."""
    for scheme in ("light", "dark"):
        with visit(chromium, site, allowed=False, width=390) as page:
            page.emulate_media(color_scheme=scheme)
            start(page)
            until(page, "writing")
            page.get_by_label("Or write it").fill(QUESTION)
            page.keyboard.press("Enter")
            until(page, "speaking")
            picture = page.screenshot(path=tmp_path / f"embed-{scheme}.png")
            assert len(picture) > 10_000
