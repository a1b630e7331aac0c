"""Mission Control in a real Chromium against a real server: from the sentence to the video and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from ramdisk import Ramdisk
from studio_page import (
    PATIENCE_MS,
    REPOSITORY,
    Studio,
    Visit,
    Visiting,
    address,
    breaches,
    run_in_thread,
    wait_for,
)

from agent.tools.record import ToolContext
from agent.tools.toolset import prepare_call
from agent.tools.wrappers import plan_of
from app.composition import open_services
from bench.simulated_fleet.fleet import fleet_client
from policy import Principal
from policy.decisions import Decision, Verdict
from soundstage.settings import Settings

pytestmark = pytest.mark.browser
SENTENCE = "Make a video in 360p where Nova says: Good morning. The tide comes in twice a day."
VIEWS = ("chat", "videos", "approvals", "snapshots", "machines", "runs", "log")
FILLED = {
    "chat": (".turn .reply", ".tile"),
    "videos": (".tile img",),
    "approvals": (".approval .changes li", "tbody .chip"),
    "snapshots": ("tbody tr",),
    "machines": ("tbody tr >> text=node1", "tbody tr >> text=discovered"),
    "runs": ("tbody tr >> text=node1",),
    "log": (".log li >> nth=5",),
}
"""What is to be seen on a view once all that the server has of it is there."""


@pytest.fixture(scope="module")
def made(module_visiting: Visiting) -> Iterator[Visit]:
    """A visit that asked for a video and has it."""
    visit = module_visiting()
    page = visit.open()
    visit.say(SENTENCE)
    expect(page.locator(".step .chip")).to_have_text("done", timeout=PATIENCE_MS)
    expect(page.locator(".made .chip")).to_have_text("done", timeout=PATIENCE_MS)
    yield visit


def ask_for_approval(studio: Studio, script: str) -> str:
    """A call that waits for people."""

    async def ask() -> str:
        state = studio.path / "state"
        settings = Settings(state_dir=state, personas_dir=REPOSITORY / "personas")
        async with open_services(settings) as services:
            context = ToolContext(Principal.local_admin("chat"), "ses_1", services.tool_services)
            call = prepare_call(services.brain.toolset, "make_render", {"script": script})
            why = Decision(verdict=Verdict.APPROVE, approvers=1, reasons=("it is long",))
            plan = await plan_of(context, call)
            return (await services.decisions.approvals.request(context, call, why, plan)).id

    return run_in_thread(ask())


@pytest.fixture(scope="module")
def filled(made: Visit, studio: Studio) -> Iterator[Visit]:
    """Every view has something to show: calls that wait and that were decided, a snapshot, a
    member that a run works on, a machine that waits.
    """
    denied, waiting = (ask_for_approval(studio, f"Hello, {word} one.") for word in ("first", "second"))
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as operator:
        operator.post(f"/api/approvals/{denied}/deny", json={"reason": "Too long."}).raise_for_status()
        made.say("save this as evening")
        expect(made.page.locator(".reply").last).to_contain_text("evening", timeout=PATIENCE_MS)
        run_in_thread(farm_of_two(studio))
        yield made
        operator.post(f"/api/approvals/{waiting}/deny", json={}).raise_for_status()


async def farm_of_two(studio: Studio) -> None:
    """One machine waits to be accepted; on the other, at whose address nothing answers, a run was started."""
    async with httpx.AsyncClient(
        base_url=studio.provisioning_url, headers=studio.headers, timeout=60, trust_env=False
    ) as operator:
        authority = (await operator.get("/api/ca.pem")).text
        async with fleet_client(studio.provisioning_tls_url, authority) as client:
            (await Ramdisk(client, address="10.0.0.8").discover()).raise_for_status()
            member = Ramdisk(client, address="127.0.0.1")
            (await member.discover()).raise_for_status()
            accept = f"/api/machines/{member.machine_id}/accept"
            (await operator.post(accept, json={"name": "node1", "code": member.code})).raise_for_status()
            (await member.enrol(await member.token())).raise_for_status()
        (await operator.post("/api/runs", json={"machines": ["node1"]})).raise_for_status()


def test_a_sentence_becomes_a_video_that_plays_with_captions(made: Visit) -> None:
    page = made.page
    page.locator("a.made").click()
    wait_for(page, "document.getElementById('video')?.readyState >= 2")
    assert page.locator("#video").evaluate("v => [v.videoWidth, v.videoHeight, v.error]") == [640, 360, None]
    page.locator("#video").evaluate("v => { v.muted = true; return v.play(); }")
    wait_for(page, "document.getElementById('video').currentTime > 0.5")
    wait_for(page, "document.getElementById('video').textTracks[0]?.cues?.length > 0")
    assert made.hosts == {made.url}
    assert made.complaints == []


def test_a_reload_shows_the_whole_conversation_again(made: Visit) -> None:
    page = made.page
    reply = page.locator(".reply").first.inner_text()
    page.reload()
    expect(page.locator(".reply").first).to_have_text(reply, timeout=PATIENCE_MS)
    expect(page.locator(".step .chip").first).to_have_text("done", timeout=PATIENCE_MS)


def test_a_misspelt_name_is_answered_with_a_question_to_click(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.open()
    visit.say("Make a video where Nowa says: hi")
    expect(page.locator(".examples button").first).to_have_text("Yes", timeout=PATIENCE_MS)
    page.locator(".examples button", has_text="Yes").first.click()
    expect(page.locator(".said").last).to_have_text("Yes", timeout=PATIENCE_MS)
    expect(page.locator(".step .what").last).to_contain_text("Nova", timeout=PATIENCE_MS)


@pytest.mark.parametrize(("button", "state"), [("Approve", "done"), ("Deny", "denied")])
def test_a_waiting_call_is_decided_on_the_page(
    visiting: Visiting, studio: Studio, button: str, state: str
) -> None:
    approval = ask_for_approval(studio, f"Hello from {button}.")
    page = visiting().open(f"approvals/{approval}")
    card = page.locator(".approval")
    expect(card).to_contain_text("it is long", timeout=PATIENCE_MS)
    card.get_by_role("button", name=button).click()
    expect(card).to_have_count(0, timeout=PATIENCE_MS)
    expect(page.locator("tbody tr").first.locator(".chip")).to_have_text(state, timeout=PATIENCE_MS)


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing_on_any_view(filled: Visit, visiting: Visiting, scheme: str) -> None:
    visit = visiting(color_scheme=scheme, bypass_csp=True)
    page = visit.open()
    with_opened_steps(visit, 2)
    for view in VIEWS:
        if view != "chat":  # A load closes what was opened.
            page.goto(filled.url + address(view))
        expect(page.locator(".view h1")).to_be_visible(timeout=PATIENCE_MS)
        for part in FILLED[view]:
            expect(page.locator(part).first).to_be_visible(timeout=PATIENCE_MS)
        is_clean(page, view)
    page.goto(filled.url + address("videos"))
    page.locator(".tile").first.click()
    wait_for(page, "document.getElementById('video')?.readyState >= 1")
    is_clean(page, "player")


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_axe_finds_nothing_on_a_phone(filled: Visit, visiting: Visiting, scheme: str) -> None:
    visit = visiting(color_scheme=scheme, bypass_csp=True, viewport={"width": 360, "height": 740})
    page = visit.open()
    with_opened_steps(visit, 1)
    for view in VIEWS:
        if view != "chat":  # A load closes what was opened.
            page.goto(filled.url + address(view))
        shown = ".step pre" if view == "chat" else FILLED[view][-1]
        expect(page.locator(shown).first).to_be_visible(timeout=PATIENCE_MS)
        is_clean(page, view)


def with_opened_steps(visit: Visit, count: int) -> None:
    """Asked so many times; what the tools gave is opened, and so long that it scrolls."""
    page = visit.page
    for number in range(1, count + 1):
        visit.say("who can speak?")
        expect(page.locator(".step .chip")).to_have_text(["done"] * number, timeout=PATIENCE_MS)
        expect(page.locator(".thinking")).to_have_count(0, timeout=PATIENCE_MS)
        page.locator(".step summary").last.click()
        assert page.locator(".step pre").last.evaluate("one => one.scrollHeight > one.clientHeight")


def is_clean(page: Page, state: str) -> None:
    found = breaches(page)
    assert found == [], (state, json.dumps(found, indent=1))


def test_a_screen_of_360_pixels_never_scrolls_sideways(filled: Visit, visiting: Visiting) -> None:
    page = visiting(viewport={"width": 360, "height": 740}).open()
    for view in VIEWS:
        page.goto(filled.url + address(view))
        for shown in ("h1:visible", FILLED[view][-1] if view != "chat" else "#utterance"):
            expect(page.locator(shown).first).to_be_visible(timeout=PATIENCE_MS)
        # At rest: a view that is still being loaded has not its own layout.
        wait_for(page, "document.documentElement.scrollWidth <= 360")


def test_the_keyboard_alone_reaches_a_video(made: Visit, visiting: Visiting) -> None:
    page = visiting().open()
    expect(page.locator("#utterance")).to_be_focused(timeout=PATIENCE_MS)
    expect(page.locator(".tile").first).to_be_visible(timeout=PATIENCE_MS)
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        # Only a finished video has no sign of its state; others may have made some that failed.
        name, finished, outline = page.evaluate(
            "(() => { const at = document.activeElement;"
            " return [at.className, !at.querySelector('.chip'), getComputedStyle(at).outlineStyle]; })()"
        )
        assert outline != "none", name
        if name == "tile" and finished:
            break
    page.keyboard.press("Enter")
    expect(page.locator("#video")).to_be_visible(timeout=PATIENCE_MS)


def test_a_snapshot_is_deleted_after_a_yes_only(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.open()
    for sentence in ("who can speak?", "save this as for a moment"):
        visit.say(sentence)
        expect(page.locator(".turn", has_text=sentence).locator(".reply")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator(".thinking")).to_have_count(0, timeout=PATIENCE_MS)
    page.goto(visit.url + address("snapshots"))
    row = page.locator("tbody tr", has_text="for a moment")
    for answer, left in (("Cancel", 1), ("Delete this snapshot", 0)):
        row.get_by_role("button", name="Delete").click(timeout=PATIENCE_MS)
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name=answer).click()
        expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
        expect(row).to_have_count(left, timeout=PATIENCE_MS)


def test_a_server_that_went_away_is_said_and_its_return_is_noticed(
    built_page: None, visiting: Visiting, tmp_path: Path
) -> None:
    away = Studio(tmp_path)
    away.start()
    try:
        visit = visiting(away)
        page = visit.open()
        away.stop()
        expect(page.locator(".banner")).to_be_visible(timeout=PATIENCE_MS)
        away.start()
        expect(page.locator(".banner")).to_have_count(0, timeout=PATIENCE_MS)
        visit.say("list my videos")
        expect(page.locator(".reply")).to_be_visible(timeout=PATIENCE_MS)
    finally:
        away.stop()


def test_a_step_is_called_by_what_it_does(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.open()
    for sentence, called in (
        ("reload the personas", "Reload persona"),
        ("what do you remember", "Memory: recall"),
        ("who can speak?", "List personas"),
    ):
        visit.say(sentence)
        expect(page.locator(".turn", has_text=sentence).locator(".step strong")).to_have_text(
            called, timeout=PATIENCE_MS
        )
        expect(page.locator(".thinking")).to_have_count(0, timeout=PATIENCE_MS)


def test_a_video_that_failed_says_why_where_it_was_asked_for(
    visiting: Visiting, workless_studio: Studio
) -> None:
    visit = visiting(workless_studio)
    page = visit.open()
    visit.say("Make a video in 360p where Nova says: Hello")
    expect(page.locator(".made .chip")).to_have_text("failed", timeout=PATIENCE_MS)
    said = page.locator(".made .quiet").inner_text()
    page.locator("a.made").click()
    expect(page.locator(".view .problem strong")).to_have_text(said, timeout=PATIENCE_MS)
