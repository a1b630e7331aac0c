"""Chooses the part of the editor that a narrow page shows."""

from playwright.sync_api import Page


def show_pane(page: Page, name: str) -> None:
    """Chooses the script, the scene or the video, where the page is too narrow for two of them."""
    choice = page.get_by_role("group", name="Part of the editor").get_by_role("button", name=name)
    if choice.count():
        choice.click()
