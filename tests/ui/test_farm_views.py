"""Nodes with their leases and jobs with their logs on the page: rows, details, actions, live by events."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from nomad_double import NomadDouble, nomad_double
from playwright.sync_api import Page, expect
from reporting_machines import machine_of, report
from studio_page import PATIENCE_MS, Studio, Visiting, breaches, run_in_thread, studio_up

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def nomad() -> Iterator[NomadDouble]:
    with nomad_double() as double:
        yield double


@pytest.fixture(scope="module")
def farm(built_page: None, nomad: NomadDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio that knows a farm."""
    with studio_up(tmp_path_factory, SOUNDSTAGE_FARM__NOMAD__ADDRESS=nomad.url) as studio:
        yield studio


@pytest.fixture(autouse=True)
def as_it_was(nomad: NomadDouble) -> None:
    nomad.drained = nomad.stopped = nomad.log_ended = False
    nomad.lines = ["first line\n"]


def requests_to(page: Page, part: str) -> list[str]:
    """The requests from now on to addresses with this in them."""
    found: list[str] = []
    page.on("request", lambda one: found.append(one.url) if part in one.url else None)
    return found


def test_a_node_shows_who_holds_what_and_is_drained_and_brought_back(
    visiting: Visiting, farm: Studio, nomad: NomadDouble
) -> None:
    page = visiting(farm, bypass_csp=True).open("run/nodes")
    row = page.get_by_role("row").filter(has_text="gpu-1")
    expect(row).to_contain_text("RTX 4060", timeout=PATIENCE_MS)
    expect(row).to_contain_text("8.0 GiB of 32 GiB")
    assert breaches(page) == []
    row.get_by_role("link", name="gpu-1").click()
    leases = page.get_by_role("group", name="Leases")
    expect(leases).to_contain_text("voices", timeout=PATIENCE_MS)
    expect(leases).to_contain_text("RTX 4060")
    assert breaches(page) == []
    page.get_by_role("button", name="Drain gpu-1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It takes no new work", timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Drain this machine").click()
    expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
    assert nomad.drained
    page.get_by_role("button", name="Take work again gpu-1").click()
    page.get_by_role("dialog").get_by_role("button", name="Take work again").click()
    expect(page.get_by_role("button", name="Drain gpu-1")).to_be_visible(timeout=PATIENCE_MS)
    assert not nomad.drained


def test_a_node_leads_to_the_machine_of_its_name(visiting: Visiting, farm: Studio) -> None:
    page = visiting(farm, bypass_csp=True).open("run/nodes/gpu-1")
    facts = page.locator(".node-facts")
    expect(facts).to_contain_text("Memory", timeout=PATIENCE_MS)
    expect(facts.get_by_role("link")).to_have_count(0)
    machine = machine_of()
    run_in_thread(report(farm, machine))
    with httpx.Client(
        base_url=farm.provisioning_url, headers=farm.headers, timeout=60, trust_env=False
    ) as client:
        accept = {"code": machine.code, "name": "gpu-1"}
        client.post(f"/api/machines/{machine.machine_id}/accept", json=accept).raise_for_status()
    page.reload()
    facts.get_by_role("link").click(timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="gpu-1")).to_contain_text("accepted", timeout=PATIENCE_MS)
    assert page.url.endswith("/run/machines/gpu-1")


def test_what_somebody_else_changes_is_shown_by_itself_and_nothing_is_asked_for_by_a_clock(
    visiting: Visiting, farm: Studio, nomad: NomadDouble
) -> None:
    page = visiting(farm).open("run/nodes")
    row = page.get_by_role("row").filter(has_text="gpu-1")
    expect(row).to_contain_text("ready", timeout=PATIENCE_MS)
    # Once the line is open, it is read once more: what has happened before that is not told.
    page.wait_for_timeout(4000)
    requests = requests_to(page, "/api/farm/")
    page.wait_for_timeout(6000)
    assert requests == []
    nomad.drained = True
    nomad.tell()
    expect(row).to_contain_text("draining", timeout=PATIENCE_MS)
    assert len(requests) == 1


def test_a_job_is_read_by_keyboard_and_stopped_once_somebody_has_agreed(
    visiting: Visiting, farm: Studio, nomad: NomadDouble
) -> None:
    page = visiting(farm, bypass_csp=True, viewport={"width": 390, "height": 800}).open("run/jobs")
    link = page.get_by_role("link", name="voices")
    expect(link).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    link.focus()
    page.keyboard.press("Enter")
    log = page.get_by_role("button", name="Log of speak on gpu-1")
    expect(log).to_be_visible(timeout=PATIENCE_MS)
    log.focus()
    page.keyboard.press("Enter")
    shown = page.get_by_label("Log of speak", exact=True)
    expect(shown).to_have_text("first line\n", timeout=PATIENCE_MS)
    follow = page.get_by_role("button", name="Follow")
    follow.focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Follow no more")).to_be_visible()
    nomad.write("Bearer qwertyuiop\n")
    expect(shown).to_contain_text("Bearer", timeout=PATIENCE_MS)
    assert "qwertyuiop" not in str(shown.text_content())
    assert breaches(page) == []
    nomad.write("last line\n")
    with nomad.changed:
        nomad.log_ended = True
        nomad.changed.notify_all()
    # It has come to its end, and is followed no more.
    expect(page.get_by_role("button", name="Follow", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(shown).to_contain_text("last line", timeout=PATIENCE_MS)
    stop = page.get_by_role("button", name="Stop")
    stop.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("voices is stopped", timeout=PATIENCE_MS)
    expect(dialog).to_contain_text("1 person has to agree")
    # What changes nothing has the focus.
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("It waits for people", timeout=PATIENCE_MS)
    assert not nomad.stopped
    page.get_by_role("link", name="To the approval").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Approve").click(timeout=PATIENCE_MS)
    page.goto(f"{farm.url}/run/jobs/voices")
    expect(page.get_by_text("stopped")).to_be_visible(timeout=PATIENCE_MS)
    assert nomad.stopped


def test_without_a_farm_the_page_says_what_would_stand_there(visiting: Visiting) -> None:
    page = visiting(bypass_csp=True).open("run/nodes")
    expect(page.get_by_text("without a farm")).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    page.goto(page.url.replace("nodes", "jobs"))
    expect(page.get_by_text("without a farm")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("alert")).to_have_count(0)
