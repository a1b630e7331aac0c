"""The page where much goes wrong: a killed server, cut uploads, a slow line, wrong clocks, eight tabs."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from editor_page import (
    SCRIPTS,
    create_project,
    expect_saved,
    field,
    make_film,
    open_project,
    picture,
    scripts,
)
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from studio_page import PATIENCE_MS, WRONG_CLOCK, Studio, Visit, Visiting, address
from waiting import eventually

pytestmark = pytest.mark.browser
DAY_MS = 86_400_000
MIB = 1 << 20
TABS = 8
TITLE = "🌊 גאות ושפל 👩‍🚀"
"""Emoji, one of them of three characters, and a script that runs from right to left."""
LONG_SCRIPT = "The tide comes in twice a day, and each of them is a little later than the one before."
# Of Chromium's own “Slow 3G” and “Fast 3G”, what a phone has at the edge of a town.
SLOW_LINE = {
    "offline": False,
    "latency": 300,
    "downloadThroughput": 1.6e6 / 8,
    "uploadThroughput": 0.75e6 / 8,
}


@pytest.fixture
def project(operator: httpx.Client) -> str:
    return create_project(operator, *SCRIPTS)


@pytest.fixture(scope="module")
def film(studio: Studio) -> str:
    """A film with a title that is hard to show; returns its id."""
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as operator:
        return make_film(operator, create_project(operator, "Hello.", title=TITLE))


@pytest.fixture
def large_file(tmp_path: Path) -> Callable[[int], Path]:
    """Writes a picture of so many MiB."""

    def write(mib: int) -> Path:
        path = tmp_path / "large.png"
        path.write_bytes(picture(64, 64) + os.urandom(mib * MIB))
        return path

    return write


def set_upload_speed(page: Page, bytes_per_s: float) -> None:
    line = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", line)


def begin_upload(page: Page, path: Path) -> Locator:
    """Chooses a file for the picture; returns the dialog once some of it has come."""
    page.locator(".on-screen .button").first.click()
    page.get_by_role("menuitem", name="Picture or clip").click()
    dialog = page.get_by_role("dialog", name="Picture or clip")
    dialog.locator("input[type=file]").set_input_files(path)
    expect(dialog.locator("progress")).to_be_visible()
    eventually(lambda: float(dialog.locator("progress").evaluate("bar => bar.value")) > 0.1, "bytes")
    return dialog


def expect_stored(operator: httpx.Client, path: Path) -> None:
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    found = [one for one in operator.get("/api/assets").json() if one["sha256"] == digest]
    assert [(one["name"], one["bytes"]) for one in found] == [(path.name, path.stat().st_size)]


@pytest.mark.slow
def test_a_killed_server_costs_no_word_no_file_and_no_film(
    visiting: Visiting, new_studio: Studio, large_file: Callable[[int], Path]
) -> None:
    path = large_file(24)
    with httpx.Client(
        base_url=new_studio.url, headers=new_studio.headers, timeout=60, trust_env=False
    ) as operator:
        edited = create_project(operator, *SCRIPTS)
        filmed = create_project(operator, *[f"{number}. {LONG_SCRIPT}" for number in range(4)])
        editing = visiting(new_studio)
        open_project(editing, edited)
        pages = [editing.page, *(editing.page.context.new_page() for _ in range(2))]
        editor, maker, other = pages
        for page, view in ((maker, f"projects/{filmed}"), (other, "queue")):
            page.goto(editing.url + address(view))
            expect(page.locator(".bar")).to_be_visible()
        for page in pages:
            page.evaluate("window.isTheSame = true")
        field(editor, 1).fill("Before.")
        maker.get_by_role("button", name="Make the video").click()
        expect(maker.locator("#progress")).to_be_visible()
        set_upload_speed(maker, 4 * MIB)
        dialog = begin_upload(maker, path)
        expect_saved(editor)
        new_studio.kill()
        # The words of now, and one who looks at what this tab has not loaded yet.
        field(editor, 2).fill("While it was away.")
        expect(editor.locator(".saved")).to_have_text("Not saved")
        expect(dialog.get_by_role("status")).to_contain_text("goes on by itself")
        other.locator('nav a[href="/presenters"]').first.click()
        expect(other.locator(".banner")).to_be_visible()
        killed = time.monotonic()
        new_studio.start()
        started = time.monotonic()
        expect_saved(editor)
        assert scripts(operator, edited) == ["Before.", "While it was away."]
        expect(dialog).to_have_count(0)
        expect_stored(operator, path)
        expect(maker.locator(".layer")).to_have_count(1)
        expect(maker.locator("#film")).to_be_visible()
        expect(other.locator(".presenter-wall li").first).to_be_visible()
        for page in pages:
            expect(page.locator(".banner")).to_have_count(0)
        print(f"up after {started - killed:.1f} s, all well {time.monotonic() - started:.1f} s later")
        assert [page.evaluate("window.isTheSame") for page in pages] == [True] * 3
        renders = operator.get("/api/renders", params={"project": filmed, "kind": "video"}).json()
        assert [one["state"] for one in renders] == ["done"]
        # What was there before is there: the page was not opened anew.
        editor.get_by_role("button", name="Undo").click()
        expect(field(editor, 2)).to_have_value(SCRIPTS[1])


def leave(tab: Page) -> None:
    """Not by a reload: Chromium would open the page once more by itself, as soon as the server is there."""
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.goto("about:blank")


@pytest.mark.slow
def test_two_tabs_that_are_left_without_a_server_lose_no_word_of_either(
    visiting: Visiting, new_studio: Studio
) -> None:
    with httpx.Client(
        base_url=new_studio.url, headers=new_studio.headers, timeout=60, trust_env=False
    ) as operator:
        edited = create_project(operator, *SCRIPTS, "Both.")
        visit = visiting(new_studio)
        here = open_project(visit, edited)
        opened = here.url
        there = here.context.new_page()
        there.goto(opened)
        expect(field(there, 3)).to_have_value("Both.")
        new_studio.kill()
        for tab, number, script in ((here, 1, "From here."), (there, 2, "From there.")):
            field(tab, number).fill(script)
            expect(tab.locator(".saved")).to_have_text("Not saved")
        field(here, 3).fill("Both from here.")
        field(there, 3).fill("Both from there.")
        for tab in (here, there):
            leave(tab)
        new_studio.start()
        visit.log_in()
        here.goto(opened)
        question = here.get_by_role("alert", name="Two versions of a scene")
        expect(question).to_contain_text("Both from here.")
        expect(question).to_contain_text("Both from there.")
        expect(field(here, 1)).to_have_value("From here.")
        # What is typed before the question is answered is kept too.
        field(here, 1).fill("From here, later.")
        here.reload()
        expect(question).to_be_visible()
        text = question.locator("div", has_text="Both from there.").last
        text.get_by_role("button").click()
        expect(question).to_have_count(0)
        expect_saved(here)
        expected = ["From here, later.", "From there.", "Both from there."]
        assert scripts(operator, edited) == expected
        # And nothing is played once more.
        there.goto(opened)
        for number, script in enumerate(expected, 1):
            expect(field(there, number)).to_have_value(script)
        expect_saved(there)
        assert scripts(operator, edited) == expected
        left = there.evaluate("Object.keys(localStorage)")
        assert [key for key in left if key.startswith("soundstage.project.")] == []


def test_a_tab_leaves_to_another_that_is_open_what_it_has_not_saved(
    visiting: Visiting, project: str, operator: httpx.Client
) -> None:
    visit = visiting()
    here = open_project(visit, project)
    here.route("**/changes", lambda route: route.abort())
    field(here, 1).fill("From here.")
    expect(here.locator(".saved")).to_have_text("Not saved")
    there = here.context.new_page()
    there.goto(here.url)
    expect(field(there, 2)).to_have_value(SCRIPTS[1])
    field(there, 2).fill("From there.")
    expect_saved(there)
    # It is the other's as long as that is open.
    assert scripts(operator, project) == [SCRIPTS[0], "From there."]
    field(here, 1).fill("From here, undone.")
    here.get_by_role("button", name="Undo").click()
    here.close()
    field(there, 2).fill("From there, later.")
    expect(field(there, 1)).to_have_value("From here.")
    expect_saved(there)
    assert scripts(operator, project) == ["From here.", "From there, later."]


@pytest.mark.parametrize("mib", [12, pytest.param(300, marks=pytest.mark.slow)])
def test_an_upload_that_was_cut_goes_on_when_the_file_is_chosen_once_more(
    visiting: Visiting, operator: httpx.Client, project: str, large_file: Callable[[int], Path], mib: int
) -> None:
    path = large_file(mib)
    visit = visiting()
    page = open_project(visit, project)
    set_upload_speed(page, mib * MIB / 4)
    begin_upload(page, path)
    again = visit.page.context.new_page()
    page.close()
    offsets: list[int] = []
    again.on(
        "request",
        lambda one: (
            offsets.append(int(one.headers["upload-offset"])) if "upload-offset" in one.headers else None
        ),
    )
    again.goto(visit.url + address(f"projects/{project}"))
    expect(field(again, 1)).to_have_value(SCRIPTS[0])
    dialog = begin_upload(again, path)
    expect(dialog).to_have_count(0)
    assert offsets[0] > mib * MIB // 20, offsets
    expect_stored(operator, path)
    # Nothing of it is left in the browser or on the server.
    assert again.evaluate("localStorage.getItem('soundstage.upload')") is None
    assert operator.get("/api/uploads").json() == []


def test_a_dialog_that_is_closed_ends_its_upload(
    visiting: Visiting, operator: httpx.Client, project: str, large_file: Callable[[int], Path]
) -> None:
    page = open_project(visiting(), project)
    set_upload_speed(page, 2 * MIB)
    dialog = begin_upload(page, large_file(12))
    # A slip of the mouse beside it does not.
    page.mouse.click(5, 450)
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    eventually(lambda: operator.get("/api/uploads").json() == [], "the end of the upload")
    expect(page.locator(".layer")).to_have_count(0)
    expect_saved(page)


def test_on_a_slow_line_the_page_opens_saves_and_does_nothing_twice(
    visiting: Visiting, operator: httpx.Client
) -> None:
    visit = visiting()
    page = visit.page
    visit.log_in()
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    line.send("Network.emulateNetworkConditions", SLOW_LINE)
    began = time.monotonic()
    page.goto(visit.url)
    expect(page.locator("#first-script")).to_be_editable()
    opened = time.monotonic() - began
    text = f"A slow line {time.time_ns()}.\n\nThe second one."
    page.locator("#first-script").fill(text)
    page.get_by_role("button", name="Edit first").dblclick()
    expect(field(page, 1)).to_have_value(text.split("\n", 1)[0])
    found = page.url.rpartition("/")[2]
    typed = " And these words come one by one, faster than the line takes them."
    field(page, 2).press("End")
    field(page, 2).press_sequentially(typed)
    began = time.monotonic()
    expect_saved(page)
    print(f"opened after {opened:.1f} s, saved {time.monotonic() - began:.1f} s after the last key")
    assert scripts(operator, found) == [text.split("\n", 1)[0], f"The second one.{typed}"]
    title = operator.get(f"/api/projects/{found}").json()["title"]
    assert [one["title"] for one in operator.get("/api/projects").json()].count(title) == 1
    page.get_by_role("button", name="Make the video").dblclick()
    expect(page.locator("#progress, #film")).to_be_visible()
    renders = operator.get("/api/renders", params={"project": found, "kind": "video"}).json()
    assert len(renders) == 1
    operator.post(f"/api/renders/{renders[0]['id']}/cancel")
    assert opened < 20


@pytest.mark.parametrize(
    "off_ms",
    [-DAY_MS, DAY_MS, *(pytest.param(hours * DAY_MS // 24, marks=pytest.mark.slow) for hours in (-5, 5))],
)
def test_with_a_wrong_clock_times_ends_and_events_are_those_of_the_server(
    visiting: Visiting, operator: httpx.Client, film: str, off_ms: int
) -> None:
    visit = visiting(timezone_id="UTC", locale="en-GB")
    visit.page.add_init_script(WRONG_CLOCK.replace("OFF", str(off_ms)))
    page = visit.open("keys")
    name = f"clock {off_ms}"
    page.get_by_label("What the new key is for").fill(name)
    page.get_by_label("Ends").select_option("in a week")
    page.get_by_role("button", name="Create key").click()
    row = page.locator("tbody tr", has=page.get_by_role("rowheader", name=name, exact=True))
    expect(row.locator(".chip")).to_have_text("active")
    key = next(one for one in operator.get("/api/keys").json() if one["name"] == name)
    ends = datetime.fromisoformat(key["expires_at"])
    assert abs(ends - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=2)
    assert f"{ends:%-d} {ends:%b}" in row.inner_text()
    page.goto(visit.url + address(f"videos/{film}"))
    page.get_by_role("button", name="New link").click()
    page.get_by_label("It works for").select_option("a day")
    page.get_by_role("button", name="Create link").click()
    expect(page.get_by_role("alert", name="The new link")).to_be_visible()
    link = max(operator.get(f"/api/renders/{film}/links").json(), key=lambda one: str(one["created_at"]))
    ends = datetime.fromisoformat(link["expires_at"])
    assert abs(ends - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=2)
    # Live: the line comes, and its time is that of the server, with the day where it is not the browser's.
    page.goto(visit.url + address("log"))
    expect(page.locator(".log li").first).to_be_visible()
    changed = create_project(operator)
    operator.patch(f"/api/projects/{changed}", json={"title": "Renamed"}).raise_for_status()
    line = page.locator(".log li", has_text=changed).last
    expect(line).to_be_visible()
    at = line.locator("time")
    moment = datetime.fromisoformat(str(at.get_attribute("datetime")))
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=2)
    is_other_day = (moment + timedelta(milliseconds=off_ms)).date() != moment.date()
    assert (f"{moment:%d/%m/%Y}" in at.inner_text()) == is_other_day


def followers(operator: httpx.Client) -> int:
    """Returns the number of event streams that are open at the server."""
    found = re.search(r"^soundstage_event_followers(?:\{.*\})? (\d+)", operator.get("/metrics").text, re.M)
    assert found
    return int(found[1])


def test_eight_editors_of_one_browser_share_one_stream_and_none_waits_for_a_connection(
    visiting: Visiting, operator: httpx.Client, project: str
) -> None:
    visit = visiting()
    visit.log_in()
    visit.page.close()
    context: BrowserContext = visit.page.context
    tabs = [context.new_page() for _ in range(TABS)]
    for tab in tabs:
        tab.goto(visit.url + address(f"projects/{project}"))
        expect(field(tab, 1)).to_have_value(SCRIPTS[0])
    field(tabs[0], 1).fill("For all of them.")
    expect_saved(tabs[0])
    began = time.monotonic()
    for tab in tabs:
        expect(field(tab, 1)).to_have_value("For all of them.")
    delay_s = time.monotonic() - began
    # Streams of their own would leave six of eight tabs without a connection.
    ask = "async from => { await fetch('/api/me'); return performance.now() - from }"
    waits = [tab.evaluate(ask, tab.evaluate("performance.now()")) for tab in tabs]
    print(f"shown after {delay_s:.1f} s, answered after at most {max(waits):.0f} ms")
    assert max(waits) < 10_000
    with_all = followers(operator)
    for tab in tabs[1:]:
        tab.close()
    # As long as the server needs to see that a connection is gone.
    time.sleep(2)
    assert followers(operator) == with_all


def test_things_of_the_same_name_stay_apart(
    visiting: Visiting, operator: httpx.Client, tmp_path: Path
) -> None:
    visit = visiting()
    script = f"The same name {time.time_ns()}."
    found = []
    for _ in range(2):
        page = visit.open("create")
        page.locator("#first-script").fill(script)
        page.get_by_role("button", name="Edit first").click()
        expect(field(page, 1)).to_have_value(script)
        found.append(page.url)
    assert found[0] != found[1]
    field(page, 1).fill("Only here.")
    expect_saved(page)
    page.goto(found[0])
    expect(field(page, 1)).to_have_value(script)
    path = tmp_path / f"{time.time_ns()}.png"
    for width in (8, 16):
        path.write_bytes(picture(width, 8))
        page.locator(".on-screen .button").first.click()
        page.get_by_role("menuitem", name="Picture or clip").click()
        page.get_by_role("dialog").locator("input[type=file]").set_input_files(path)
        expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".layer")).to_have_count(2)
    hashes = {one["sha256"] for one in operator.get("/api/assets").json() if one["name"] == path.name}
    assert len(hashes) == 2


def test_emoji_and_titles_from_right_to_left_are_shown_as_written(
    visiting: Visiting, operator: httpx.Client, film: str
) -> None:
    visit = visiting()
    page = visit.open("videos")
    render = operator.get(f"/api/renders/{film}").json()
    title = page.locator(f'a[href="/videos/{film}"] .title')
    expect(title).to_have_text(TITLE)
    direction = "one => getComputedStyle(one).direction"
    assert title.evaluate(direction) == "rtl"
    title.click()
    heading = page.get_by_role("heading", level=1, name=TITLE)
    expect(heading).to_be_visible()
    assert heading.evaluate(direction) == "rtl"
    page.goto(visit.url + address(f"projects/{render['project_id']}"))
    name = page.get_by_role("textbox", name="Title of the project")
    expect(name).to_have_value(TITLE)
    assert (name.evaluate(direction), field(page, 1).evaluate(direction)) == ("rtl", "ltr")
    field(page, 1).fill("שלום 👩‍🚀")
    expect_saved(page)
    assert field(page, 1).evaluate(direction) == "rtl"
    assert scripts(operator, render["project_id"]) == ["שלום 👩‍🚀"]
    operator.patch(
        f"/api/projects/{render['project_id']}/scenes/{_first(operator, render)}", json={"script": "Hello."}
    )
    assert visit.complaints == []


def _first(operator: httpx.Client, render: dict[str, Any]) -> str:
    return str(operator.get(f"/api/projects/{render['project_id']}/scenes").json()[0]["id"])


@pytest.fixture
def editors_key(operator: httpx.Client) -> Iterator[Callable[[], tuple[str, str]]]:
    """Creates keys of an editor; returns their ids and values."""

    def create() -> tuple[str, str]:
        key = operator.post("/api/keys", json={"name": "editor", "role": "editor"}).raise_for_status().json()
        return str(key["id"]), str(key["key"])

    yield create


def log_in_with(page: Page, key: str) -> None:
    page.locator("#key-value").fill(key)
    page.keyboard.press("Enter")


def test_a_key_that_is_revoked_in_the_middle_of_an_edit_costs_no_word(
    browser: Browser,
    visiting: Visiting,
    operator: httpx.Client,
    project: str,
    editors_key: Callable[[], tuple[str, str]],
) -> None:
    visit: Visit = visiting()
    page = visit.page
    key_id, key = editors_key()
    page.goto(visit.url + address(f"projects/{project}"))
    log_in_with(page, key)
    expect(field(page, 1)).to_have_value(SCRIPTS[0])
    # Nothing is saved any more, as in the moment of the revocation itself.
    page.route("**/changes", lambda route: route.abort())
    field(page, 1).fill("Typed with a key that ends.")
    expect(page.locator(".saved")).to_have_text("Not saved")
    operator.delete(f"/api/keys/{key_id}").raise_for_status()
    page.unroute_all()
    notice = page.get_by_role("alert")
    expect(page.locator("#key-value")).to_be_visible(timeout=PATIENCE_MS)
    expect(notice).to_contain_text("was revoked")
    expect(notice).to_contain_text("kept in this browser")
    assert scripts(operator, project) == list(SCRIPTS)
    log_in_with(page, editors_key()[1])
    expect(field(page, 1)).to_have_value("Typed with a key that ends.")
    expect_saved(page)
    assert scripts(operator, project)[0] == "Typed with a key that ends."
