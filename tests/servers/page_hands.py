"""The two ways to use the page, by the mouse and by the keyboard alone, and its widths, for tests that go
through each.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from studio_page import PATIENCE_MS

MOST_PRESSES = 400
ACTIVE = "element => element === document.activeElement"
USUAL_WIDTH = 1440
EACH_WIDTH = pytest.mark.parametrize(
    "width",
    [
        pytest.param(width, marks=() if width == USUAL_WIDTH else pytest.mark.slow)
        for width in (USUAL_WIDTH, 1024, 390)
    ],
    indirect=True,
)
FORMS = [
    pytest.param((hand, width), id=f"{hand}-{width}", marks=() if width == usual else pytest.mark.slow)
    for hand, usual in (("mouse", 390), ("keyboard", 1440))
    for width in (1440, 1024, 390)
]


class Keyboard:
    """Reaches and uses fields by keys alone."""

    def __init__(self, page: Page) -> None:
        self.page = page
        # From now on: begun with the press, it may come too late for the first chooser.
        page.on("filechooser", lambda _: None)

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

    def choose(self, target: Locator, label: str) -> None:
        """Types the beginning of an option, as one does in a closed list."""
        self.reach(target)
        self.page.keyboard.type(label)

    def write(self, target: Locator, text: str) -> None:
        self.reach(target)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def menu(self, button: Locator, item: str) -> None:
        self.press(button)
        expect(self.page.get_by_role("menu")).to_be_visible(timeout=PATIENCE_MS)
        # A space would choose what is found until then.
        self.page.keyboard.type(item.split()[0])
        self.page.keyboard.press("Enter")

    def upload(self, target: Locator, path: Path) -> None:
        self.reach(target)
        with self.page.expect_file_chooser() as chooser:
            self.page.keyboard.press("Enter")
        chooser.value.set_files(path)


class Mouse(Keyboard):
    """Clicks instead."""

    def reach(self, target: Locator) -> Locator:
        target.click(timeout=PATIENCE_MS)
        return target

    def press(self, target: Locator) -> None:
        self.reach(target)

    def choose(self, target: Locator, label: str) -> None:
        target.select_option(label=label, timeout=PATIENCE_MS)

    def menu(self, button: Locator, item: str) -> None:
        button.click()
        self.page.get_by_role("menuitem", name=item, exact=True).click()

    def upload(self, target: Locator, path: Path) -> None:
        target.set_input_files(path)
