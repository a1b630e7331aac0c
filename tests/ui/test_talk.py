"""The view Talk in a real Chromium, whose microphone is a synthetic voice; server and voice worker are real."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from spoken_words import RATE_HZ, silence, speech
from studio_page import CHROMIUM, OPTIONS, PATIENCE_MS, Studio, Visit, breaches, wait_for

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")
pytestmark = pytest.mark.browser
QUESTION = "what videos do I have"
LONG_ANSWER = "what can you do"


@pytest.fixture(scope="module")
def talking(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with a voice worker that has connected."""
    variables = {"SOUNDSTAGE_VOICE__ENABLED": "true", "SOUNDSTAGE_PROVISIONING__ENABLED": "false"}
    made = Studio(tmp_path_factory.mktemp("talking"), variables)
    try:
        made.start()
        yield made
    finally:
        made.stop()


class Microphone:
    """What the browser's microphone hears: each time that a page opens it, from the beginning."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def hears(self, *sentences: str, pause_s: float = 4.0) -> None:
        sound = silence(1.0) + b"".join(speech(one) + silence(pause_s) for one in sentences)
        with wave.open(str(self.path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(sound)


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Microphone:
    return Microphone(tmp_path_factory.mktemp("microphone") / "microphone.wav")


Entering = Callable[..., Page]


@pytest.fixture(scope="module")
def entering(browser: Browser, talking: Studio, microphone: Microphone) -> Iterator[Entering]:
    """Opens the view in a browser with that microphone."""
    devices = [
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone.path}%noloop",
        "--autoplay-policy=user-gesture-required",
    ]
    chromium = browser.browser_type.launch(executable_path=CHROMIUM, args=[*OPTIONS, *devices])
    contexts: list[BrowserContext] = []

    def enter(*, allowed: bool = True, **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        context = chromium.new_context(permissions=["microphone"] if allowed else [], **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        return Visit(context.new_page(), talking.url, talking.start_link).open("talk")

    yield enter
    for context in contexts:
        context.close()
    chromium.close()


def start(page: Page) -> None:
    page.get_by_role("button", name="Start talking").click()


def state_of(page: Page) -> Any:
    return expect(page.locator(".talk"))


def turns(talking: Studio, page: Page) -> list[str]:
    session = page.evaluate("sessionStorage.getItem('soundstage.session')")
    answer = httpx.get(
        f"{talking.url}/api/chat/sessions/{session}/turns", headers=talking.headers, timeout=60, trust_env=False
    )
    return [turn["utterance"] for turn in answer.json()]


def test_a_spoken_question_is_answered_by_voice(
    entering: Entering, talking: Studio, microphone: Microphone
) -> None:
    microphone.hears(QUESTION)
    page = entering()
    start(page)
    expect(page.locator(".captions .of-person")).to_contain_text(QUESTION.lower(), timeout=PATIENCE_MS)
    expect(page.locator(".talk")).to_have_attribute("data-state", "speaking", timeout=PATIENCE_MS)
    expect(page.locator(".turn .said")).to_have_text(QUESTION.lower(), timeout=PATIENCE_MS)
    expect(page.locator(".turn .reply")).to_contain_text("videos", timeout=PATIENCE_MS)
    expect(page.locator(".captions .of-agent")).to_contain_text("videos", timeout=PATIENCE_MS)
    expect(page.locator(".talk")).to_have_attribute("data-state", "listening", timeout=PATIENCE_MS)
    assert turns(talking, page) == [QUESTION.lower()]
    page.get_by_role("button", name="Stop talking").click()
    expect(page.locator(".talk")).to_have_attribute("data-state", "off", timeout=PATIENCE_MS)
