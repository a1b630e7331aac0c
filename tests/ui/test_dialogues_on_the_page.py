"""Dialogues end in the same state when they are typed and clicked on the page as in the process itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from dialogue_stage import Dialogue, Stage, differences, open_stage, read_dialogues
from dialogue_ways import ID, play, play_in_process
from local_login import KEY, log_in_locally
from playwright.async_api import Page, async_playwright, expect
from socket_servers import on_loopback
from studio_page import CHROMIUM, OPTIONS, PATIENCE_MS, run_in_thread

from app.server.web import create_app

ON_THE_PAGE = ("02_harbour_project", "04_night_shift", "14_kurse_am_abend")


class Talk:
    """Says sentences on an open page as a person does."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._turns = page.locator("article.turn[aria-label]")

    async def log_in(self, address: str) -> None:
        await self._page.goto(f"http://{address}/chat")
        await self._page.locator("#key-value").fill(KEY)
        await self._page.get_by_role("button", name="Use this key").click()
        await expect(self._page.locator("#utterance")).to_be_visible(timeout=PATIENCE_MS)

    async def say(self, sentence: str) -> bool:
        """Returns whether the answer asks with choices. Clicks the choice where the sentence is one."""
        count = await self._turns.count()
        choice = self._turns.last.locator(".examples").get_by_role("button", name=sentence, exact=True)
        if count and await choice.count():
            await choice.first.click()
        else:
            await self._page.locator("#utterance").fill(sentence)
            await self._page.locator("#utterance").press("Enter")
        await expect(self._turns).to_have_count(count + 1, timeout=PATIENCE_MS)
        await expect(self._page.locator(".turn .thinking")).to_have_count(0, timeout=PATIENCE_MS)
        return await self._turns.last.locator(".reply + .examples").count() > 0


def _names() -> list[Any]:
    """Returns all dialogues; only a few of them in the short form."""
    return [
        pytest.param(one.name, id=one.name, marks=() if one.name in ON_THE_PAGE else pytest.mark.slow)
        for one in read_dialogues()
        if not one.open
    ]


@pytest.mark.parametrize("name", _names())
def test_a_dialogue_on_the_page_ends_as_in_the_process(name: str, built_page: None, tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium, then make test")
    [dialogue] = [one for one in read_dialogues() if one.name == name]
    run_in_thread(_compare(dialogue, CHROMIUM, tmp_path))


async def _compare(dialogue: Dialogue, chromium: str, folder: Path) -> None:
    for way in ("process", "page"):
        (folder / way).mkdir()
    async with open_stage(dialogue, folder / "process") as stage:
        await play_in_process(dialogue, stage)
        ended = await _state(stage)
    async with open_stage(dialogue, folder / "page") as stage, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        await log_in_locally(stage.services.policy)
        async with on_loopback(create_app(stage.services)) as address:
            page = await browser.new_page()
            talk = Talk(page)
            await talk.log_in(address)
            await play(dialogue, stage, talk.say)
            await browser.close()
            await stage.services.turns.close()
        assert await _state(stage) == ended
        assert differences(dialogue.expected, await stage.state()) == [] or dialogue.open


async def _state(stage: Stage) -> str:
    return re.sub(ID, "id", json.dumps(await stage.state(), sort_keys=True, default=str))
