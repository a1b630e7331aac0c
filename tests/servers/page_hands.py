"""The two ways to use the page, for tests that take a way twice: by the mouse, and by the keyboard alone."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect
from studio_page import PATIENCE_MS

MOST_PRESSES = 400
ACTIVE = "element => element === document.activeElement"


class Keyboard:
    """Reaches and uses fields by keys alone."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def reach(self, target: Locator) -> Locator:
        """Presses Tab until the element has the focus."""
        expect(target).to_be_visible(timeout=PATIENCE_MS)
        for _ in range(MOST_PRESSES):
            if target.evaluate(ACTIVE):
                return target
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not reach {target}")

    def press(self, target: Locator) -> None:
        self.reach(target)
        self.page.keyboard.press("Enter")


class Mouse(Keyboard):
    """Clicks instead."""

    def press(self, target: Locator) -> None:
        target.click(timeout=PATIENCE_MS)
