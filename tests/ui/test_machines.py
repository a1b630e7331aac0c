"""Machines on the page: accepted by the code that was shown, retired after the plan was."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect
from reporting_machines import let_count, machine_of, report, row_of
from studio_page import PATIENCE_MS, Studio, Visiting, breaches, run_in_thread

pytestmark = pytest.mark.browser


class HeldList:
    """The list of machines as it was until the server refuses: what a person sees may be some seconds old."""

    def __init__(self, page: Page) -> None:
        self.held = True
        self._first: bytes | None = None
        page.route("**/api/farm/machines", self._answer)
        page.route("**/api/farm/machines/*/accept", self._let_go)

    def _answer(self, route: Route) -> None:
        if not self.held or self._first is None:
            answer = route.fetch()
            self._first = answer.body()
        route.fulfill(status=200, content_type="application/json", body=self._first)

    def _let_go(self, route: Route) -> None:
        """The page reads the list again once it knows the answer, and perhaps never after that."""
        answer = route.fetch()
        self.held = False
        route.fulfill(response=answer)


def test_a_machine_is_accepted_only_with_the_code_that_was_shown(visiting: Visiting, studio: Studio) -> None:
    machine = machine_of(address="10.0.0.21")
    other = machine_of(macs=machine.macs, uuid=machine.uuid, address="10.0.0.22")
    run_in_thread(report(studio, machine, neighbour=other))
    visit = visiting(bypass_csp=True)
    HeldList(visit.page)
    page = visit.open("machines")
    row = row_of(page, machine)
    remark = page.locator(".remark", has_text=other.code)
    expect(remark).to_contain_text(f"another key, {other.code}", timeout=PATIENCE_MS)
    row.get_by_role("button", name="Accept").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".key-code")).to_have_text(machine.code)
    expect(dialog.get_by_role("heading", name="What would change")).to_be_visible(timeout=PATIENCE_MS)
    expect(dialog.locator(".deletes")).to_contain_text("What is on its disk is lost")
    assert breaches(page) == []
    # While the person compares, the key changes: the yes to the old code is refused, and says so.
    run_in_thread(let_count(studio, machine, other.code))
    dialog.get_by_role("button", name="Accept this machine").click()
    expect(dialog.locator("code", has_text="machine.code_changed")).to_be_visible(timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Use the new code").click(timeout=PATIENCE_MS)
    expect(dialog.locator(".key-code")).to_have_text(other.code)
    dialog.get_by_role("button", name="Accept this machine").click()
    expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
    expect(row.locator(".chip")).to_have_text("accepted", timeout=PATIENCE_MS)
    page.close()


def test_a_machine_whose_acceptance_waits_leads_to_the_approval(visiting: Visiting, studio: Studio) -> None:
    machine = machine_of(address="10.0.0.23")
    run_in_thread(report(studio, machine))
    visit = visiting(bypass_csp=True)
    page = visit.open("machines")
    row = row_of(page, machine)
    expect(row.get_by_role("button", name="Accept")).to_be_visible(timeout=PATIENCE_MS)
    name = row.get_by_role("link").first.inner_text()
    call = {"tool": "change_machine", "arguments": {"action": "accept", "machine": name}}
    pending = {
        **call,
        "id": "apr_1",
        "state": "pending",
        "requester_name": "me",
        "created_at": "2026-11-26T07:00:00Z",
        "expires_at": "2036-11-26T07:00:00Z",
        "approvers": 1,
        "plan": {"changes": [], "seconds": None},
        "votes": [],
    }
    page.route("**/api/approvals", lambda route: route.fulfill(json=[pending]))
    page.reload()
    waits = row.get_by_role("link", name=f"Waits for approval {name}")
    expect(waits).to_be_visible(timeout=PATIENCE_MS)
    expect(row.get_by_role("button", name="Accept")).to_have_count(0)
    assert breaches(page) == []
    waits.click()
    expect(page.get_by_role("heading", name=f"Accept machine: {name}")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize(("width", "restarts"), [(1280, True), (390, False)])
def test_the_key_whose_code_is_on_the_screen_is_chosen_on_the_page(
    visiting: Visiting, studio: Studio, width: int, restarts: bool
) -> None:
    machine = machine_of(address="10.0.0.23")
    restarted = machine_of(macs=machine.macs, uuid=machine.uuid, address="10.0.0.23")
    run_in_thread(report(studio, machine, neighbour=restarted))
    page = visiting(bypass_csp=True, viewport={"width": width, "height": 800}).open("machines")
    remark = page.locator(".remark", has_text=restarted.code)
    # All of the remark can be read without scrolling the table sideways.
    choose = remark.get_by_role("button", name="Choose the key")
    expect(choose).to_be_visible(timeout=PATIENCE_MS)
    box, table = choose.bounding_box(), page.locator(".table").bounding_box()
    assert box and table and table["x"] <= box["x"]
    assert box["x"] + box["width"] <= table["x"] + table["width"]
    choose.click()
    dialog = page.get_by_role("dialog")
    agree = dialog.get_by_role("button", name="Use this key")
    expect(agree).to_be_disabled()
    expect(dialog.get_by_role("radio")).to_have_count(2)
    dialog.get_by_role("radio", name=(restarted if restarts else machine).code).check()
    assert breaches(page) == []
    agree.click()
    expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
    expect(remark).to_have_count(0, timeout=PATIENCE_MS)
    expect(row_of(page, machine)).to_contain_text((restarted if restarts else machine).code)


def test_a_machine_is_retired_after_its_plan_was_shown_and_its_name_typed(
    visiting: Visiting, studio: Studio
) -> None:
    member = machine_of(address="127.0.0.1")
    run_in_thread(report(studio, member=member))
    page = visiting().open("machines")
    row = row_of(page, member)
    row.get_by_role("button", name="Retire").click(timeout=PATIENCE_MS)
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".changes li").first).to_be_visible(timeout=PATIENCE_MS)
    agree = dialog.get_by_role("button", name="Retire this machine")
    expect(agree).to_be_disabled()
    dialog.get_by_role("textbox").fill(member.name)
    agree.click()
    expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
    expect(row.locator(".chip")).not_to_have_text("enrolled", timeout=PATIENCE_MS)
