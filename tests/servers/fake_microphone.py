"""A browser whose microphone is a synthetic voice."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser
from spoken_words import RATE_HZ, silence, speech
from studio_page import CHROMIUM, OPTIONS


class Microphone:
    """Sound that a page hears from the beginning each time that it opens the microphone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hears()

    def hears(self, *sentences: str) -> None:
        sound = silence(0.5) + b"".join(speech(one) + silence(1.5) for one in sentences)
        with wave.open(str(self.path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(sound)


@contextmanager
def hearing(browser: Browser, microphone: Microphone) -> Iterator[Browser]:
    """Starts a browser with that microphone."""
    devices = [
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone.path}%noloop",
    ]
    started = browser.browser_type.launch(executable_path=CHROMIUM, args=[*OPTIONS, *devices])
    try:
        yield started
    finally:
        started.close()
