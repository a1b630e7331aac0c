"""The page of a finished video: its transcript leads the player, and links show it to strangers a while."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from editor_page import SCRIPTS, create_project, make_film
from playwright.sync_api import Browser, Page, expect
from studio_page import PATIENCE_MS, Studio, Visit, Visiting, breaches, wait_for

pytestmark = pytest.mark.browser
NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def film(studio: Studio) -> tuple[str, str]:
    """The ids of a film in two scenes and of its project."""
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as client:
        project = create_project(client, *SCRIPTS, title="Harbour lights")
        return make_film(client, project), project


@pytest.fixture
def visit(visiting: Visiting, film: tuple[str, str]) -> Visit:
    opened = visiting(bypass_csp=True)
    opened.open(f"videos/{film[0]}")
    expect(opened.page.locator(".lines li").first).to_be_visible(timeout=PATIENCE_MS)
    wait_for(opened.page, "document.getElementById('video')?.readyState >= 1")
    return opened


def seconds(page: Page) -> float:
    return float(page.evaluate("document.getElementById('video').currentTime"))


def pause(page: Page) -> None:
    page.locator("#video").evaluate("v => { v.muted = true; v.pause(); }")


@pytest.fixture
def stranger(browser: Browser) -> Iterator[Page]:
    """A browser elsewhere that nobody has logged in."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def test_a_word_of_the_transcript_plays_from_there_and_is_marked(visit: Visit) -> None:
    page = visit.page
    lines = page.locator(".lines li")
    expect(lines).to_have_count(3)
    assert float(page.locator(".lines .at").first.get_attribute("data-at") or 1) < 1
    expect(page.locator(".lines .at").first).to_have_text("0:00")
    assert [line.inner_text().split() for line in lines.all()][1][-7:] == [
        "The", "tide", "comes", "in", "twice", "a", "day.",
    ]  # fmt: skip
    expect(lines.nth(2)).to_contain_text("Scene 2")
    word = page.locator(".word", has_text="twice")
    start = float(word.get_attribute("data-at") or 0)
    # A word lasts a third of a second: at this speed it is still spoken when a busy machine looks.
    page.locator("#video").evaluate("v => { v.muted = true; v.playbackRate = 0.1; }")
    word.click()
    wait_for(page, f"document.getElementById('video').currentTime >= {start - 0.05}")
    expect(word).to_have_class(re.compile(r"\bnow\b"), timeout=PATIENCE_MS)
    pause(page)
    assert f"t={start:g}"[:5] in page.url
    # While it plays, the mark goes on; the words of the second scene come after those of the first.
    last = page.locator(".word").last
    assert float(last.get_attribute("data-at") or 0) > start and last.inner_text() == "why."
    page.locator("#video").evaluate("v => { v.playbackRate = 1; v.play(); }")
    expect(last).to_have_class(re.compile(r"\bnow\b"), timeout=PATIENCE_MS)
    expect(lines.nth(2)).to_have_attribute("aria-current", "true")
    assert visit.complaints == []


def test_what_the_voice_could_not_do_stands_below_the_film(
    visiting: Visiting, operator: httpx.Client
) -> None:
    project = create_project(operator, "Hello there.", "A <b>bold</b> word.", title="Marked")
    visit = visiting(bypass_csp=True)
    page = visit.open(f"videos/{make_film(operator, project)}")
    notes = page.get_by_role("list", name="Notes on this video").get_by_role("listitem")
    expect(notes).to_have_count(2, timeout=PATIENCE_MS)
    expect(notes.first).to_have_text("Scene 2 <b> is not a mark this project knows: left out of the speech.")
    assert breaches(page) == [] and visit.complaints == []


def test_words_come_when_the_captions_show_them(visit: Visit, operator: httpx.Client, film: Any) -> None:
    """A caption may come 400 ms before its first word, and no later than that."""
    captions = operator.get(f"/api/renders/{film[0]}/files/vtt").text
    found = re.findall(r"(\d\d):(\d\d):(\d\d\.\d+) --> .*\n(\S+)", captions)
    shown = {
        word: 3600 * int(hours) + 60 * int(minutes) + float(rest) for hours, minutes, rest, word in found
    }
    assert len(shown) >= 2
    for word, at in shown.items():
        spoken = visit.page.locator(".word", has_text=re.compile(f"^{re.escape(word)}$"))
        times = [float(one.get_attribute("data-at") or -1) for one in spoken.all()]
        assert min(abs(time - at) for time in times) <= 0.45, (word, at, times)


def test_the_times_lead_by_keyboard_and_an_address_with_a_time_begins_there(
    visit: Visit, film: tuple[str, str]
) -> None:
    page = visit.page
    time = page.locator(".lines .at").nth(1)
    start = float(time.get_attribute("data-at") or 0)
    time.focus()
    page.keyboard.press("Enter")
    wait_for(page, f"document.getElementById('video').currentTime >= {start - 0.05}")
    pause(page)
    expect(page.locator(".lines li").nth(1)).to_have_attribute("aria-current", "true")
    page.goto(f"{visit.url}/videos/{film[0]}?t=1.25")
    wait_for(page, "Math.abs((document.getElementById('video')?.currentTime ?? 0) - 1.25) < 0.1")
    expect(page.locator(".word.now")).to_have_count(1, timeout=PATIENCE_MS)
    page.goto(f"{visit.url}/videos/{film[0]}?t=soon")
    wait_for(page, "document.getElementById('video')?.readyState >= 1")
    assert seconds(page) == 0


def test_the_transcript_is_searched(visit: Visit) -> None:
    page = visit.page
    search = page.get_by_role("searchbox", name="Search the transcript")
    search.fill("TIDE comes")
    expect(page.locator(".lines li")).to_have_count(1)
    expect(page.locator(".lines mark")).to_have_text("tide comes")
    expect(page.get_by_text("1 found")).to_be_visible()
    start = float(page.locator(".lines .at").get_attribute("data-at") or 0)
    page.locator(".lines mark").click()
    wait_for(page, f"document.getElementById('video').currentTime >= {start - 0.05}")
    pause(page)
    search.fill("no such words (")
    expect(page.get_by_text("0 found")).to_be_visible()
    search.fill("")
    expect(page.locator(".lines li")).to_have_count(3)


def test_a_film_without_word_times_is_read_by_its_captions(visiting: Visiting, film: tuple[str, str]) -> None:
    visit = visiting()
    visit.page.route("**/transcript", lambda route: route.fulfill(json={"scenes": []}))
    page = visit.open(f"videos/{film[0]}")
    line = page.locator(".lines li", has_text="The tide comes in")
    expect(line).to_be_visible(timeout=PATIENCE_MS)
    start = float(line.locator(".at").get_attribute("data-at") or 0)
    assert start > 0
    line.locator(".word").click()
    wait_for(page, f"document.getElementById('video').currentTime >= {start - 0.05}")


def test_it_says_where_it_comes_from_and_leads_to_its_project(
    visit: Visit, operator: httpx.Client, film: tuple[str, str]
) -> None:
    page, view = visit.page, operator.get(f"/api/renders/{film[0]}").json()
    origin = page.get_by_role("region", name="Where it comes from")
    for words in (
        "Nova",
        "the server’s own user",
        "made with a trained model",
        "flite",
        "signed by this installation",
    ):
        expect(origin).to_contain_text(words, timeout=PATIENCE_MS)
    expect(origin.get_by_role("link", name=view["trace_id"])).to_be_visible()
    files = page.get_by_role("region", name="Files")
    for name in ("MP4", "Captions (VTT)", "Captions (SRT)", "Provenance", "Poster"):
        expect(files.get_by_role("link", name=name)).to_be_visible()
    with page.expect_download() as saved:
        files.get_by_role("button", name="Recipe (JSON)").click()
    assert saved.value.suggested_filename == f"{film[0]}.spec.json"
    assert breaches(page) == []
    page.get_by_role("link", name="Edit project").click()
    expect(page.get_by_label("Script of scene 1", exact=True)).to_have_value(SCRIPTS[0], timeout=PATIENCE_MS)


def make_link(page: Page, name: str, lifetime: str = "a week", button: str = "New link") -> str:
    opener = page.get_by_role("button", name=button, exact=True)
    # At the lower edge of the view, where a form below it would open out of sight.
    opener.evaluate("button => button.scrollIntoView({ block: 'end' })")
    opener.click()
    expect(page.get_by_label("Who or what it is for")).to_be_in_viewport()
    page.get_by_label("Who or what it is for").fill(name)
    page.get_by_label("It works for").select_option(lifetime)
    page.get_by_role("button", name="Create link").click()
    field = page.get_by_label("Address of the link")
    expect(field).to_be_visible(timeout=PATIENCE_MS)
    return field.input_value()


def test_a_link_is_made_opened_by_a_stranger_and_revoked(
    visit: Visit, stranger: Page, film: tuple[str, str]
) -> None:
    page = visit.page
    address = make_link(page, "For the harbour master", button="Share")
    assert re.fullmatch(re.escape(visit.url) + "/shared/[0-9a-f]{64}", address)
    assert breaches(page) == []
    row = page.get_by_role("listitem").filter(has_text="For the harbour master")
    expect(row).to_contain_text("active")
    expect(row).to_contain_text("opened 0 times")
    page.get_by_role("button", name="I have it").click()
    expect(page.get_by_label("Address of the link")).to_have_count(0)

    requests: list[str] = []
    stranger.on("request", lambda request: requests.append(request.url))
    complaints: list[str] = []
    stranger.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    stranger.goto(address)
    expect(stranger.get_by_role("heading", name="Harbour lights", level=1)).to_be_visible()
    wait_for(stranger, "document.querySelector('video').readyState >= 2")
    stranger.locator("video").evaluate("v => { v.muted = true; return v.play(); }")
    wait_for(stranger, "document.querySelector('video').currentTime > 0.3")
    wait_for(stranger, "document.querySelector('video').textTracks[0].cues?.length > 0")
    # Seeking works: ranges are served.
    stranger.locator("video").evaluate("v => { v.currentTime = 2; }")
    wait_for(
        stranger,
        "!document.querySelector('video').seeking && document.querySelector('video').currentTime >= 2",
    )
    own = (address, f"{visit.url}/page/icon.svg", f"{visit.url}/page/inter.woff2")
    assert [one for one in requests if not one.startswith(own)] == []
    assert complaints == []
    stranger.goto(f"{visit.url}/videos/{film[0]}")
    expect(stranger.get_by_role("heading", name="Log in")).to_be_visible()

    page.reload()
    expect(row).to_contain_text("opened once", timeout=PATIENCE_MS)
    expect(row).to_contain_text("last used")
    row.get_by_role("button", name="Revoke For the harbour master").click()
    page.get_by_role("button", name="Revoke this link").click()
    expect(row).to_contain_text("revoked", timeout=PATIENCE_MS)
    expect(row.get_by_role("button")).to_have_count(0)
    answer = stranger.goto(address)
    assert answer is not None and answer.status == 404
    expect(stranger.get_by_role("heading", name="There is no video here")).to_be_visible()
    assert stranger.locator("video").count() == 0


@pytest.mark.parametrize("viewport", [{"width": 1440, "height": 900}, NARROW], ids=["wide", "narrow"])
def test_the_page_of_a_link_is_for_everybody(
    browser: Browser, operator: httpx.Client, film: tuple[str, str], viewport: Any
) -> None:
    ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    link = operator.post(f"/api/renders/{film[0]}/links", json={"expires_at": ends}).raise_for_status().json()
    context = browser.new_context(viewport=viewport, bypass_csp=True, locale="de-DE", color_scheme="dark")
    try:
        page = context.new_page()
        for address in (link["url"], link["url"][:-1]):
            page.goto(address)
            assert breaches(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        expect(page.get_by_role("heading", name="Hier ist kein Video")).to_be_visible()
    finally:
        context.close()


LATE_TRANSCRIPT = """
const request = window.fetch;
window.fetch = async (...of) => {
  const { pathname } = new URL(of[0]?.url ?? of[0], location.href);
  if (pathname.endsWith("/transcript")) await new Promise((done) => setTimeout(done, 1500));
  return request(...of);
};
"""


def test_nothing_moves_below_a_film_that_loads(visiting: Visiting, film: tuple[str, str]) -> None:
    visit = visiting()
    visit.page.add_init_script(LATE_TRANSCRIPT)
    page = visit.open(f"videos/{film[0]}")
    title = page.get_by_role("heading", name="Links")
    expect(title).to_be_visible(timeout=PATIENCE_MS)
    place = title.bounding_box()
    expect(page.locator(".lines li")).to_have_count(3, timeout=PATIENCE_MS)
    wait_for(page, "document.getElementById('video').readyState >= 1")
    assert title.bounding_box() == place


def test_a_link_is_copied_over_plain_http_too(
    visiting: Visiting, studio: Studio, film: tuple[str, str]
) -> None:
    visit = visiting()
    page = visit.page
    page.goto(studio.url.replace("127.0.0.1", "studio.example"))
    page.locator("#key-value").fill(studio.key)
    page.keyboard.press("Enter")
    expect(page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(f"{page.url.rstrip('/')}/videos/{film[0]}")
    assert page.evaluate("isSecureContext") is False
    address = make_link(page, "Over plain HTTP", "a day")
    assert address.startswith("http://studio.example:")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    # Pasted where the page takes text, since no program may read the clipboard here.
    search = page.get_by_role("searchbox", name="Search the transcript")
    search.focus()
    page.keyboard.press("Control+v")
    expect(search).to_have_value(address)


def test_a_link_ends_on_a_day_that_was_chosen(visit: Visit, operator: httpx.Client, film: Any) -> None:
    page = visit.page
    last = (datetime.now() + timedelta(days=40)).strftime("%Y-%m-%d")
    page.get_by_role("button", name="New link").click()
    page.get_by_label("Who or what it is for").fill("Until a day")
    page.get_by_label("It works for").select_option("until a date")
    page.get_by_label("Last day").fill(last)
    page.get_by_role("button", name="Create link").click()
    expect(page.get_by_label("Address of the link")).to_be_visible(timeout=PATIENCE_MS)
    links = operator.get(f"/api/renders/{film[0]}/links").json()
    (link,) = [one for one in links if one["name"] == "Until a day"]
    ends = datetime.fromisoformat(link["expires_at"]).astimezone()
    assert ends.strftime("%Y-%m-%d %H:%M") == f"{last} 23:59"


def test_the_film_stands_above_its_words_on_a_phone_and_beside_them_on_a_desk(
    visiting: Visiting, film: tuple[str, str]
) -> None:
    visit = visiting(viewport=NARROW, bypass_csp=True)
    page = visit.open(f"videos/{film[0]}")
    expect(page.locator(".lines li").first).to_be_visible(timeout=PATIENCE_MS)
    player, words = (page.locator(one).bounding_box() for one in (".player", ".transcript"))
    assert player is not None and words is not None
    assert words["y"] >= player["y"] + player["height"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert breaches(page) == []
    page.set_viewport_size({"width": 1440, "height": 900})
    player, words = (page.locator(one).bounding_box() for one in (".player", ".transcript"))
    assert player is not None and words is not None
    assert words["x"] >= player["x"] + player["width"] and abs(words["y"] - player["y"]) < 2
    assert abs(words["height"] - player["height"]) < 4


def test_viewers_see_no_links(visiting: Visiting, operator: httpx.Client, film: tuple[str, str]) -> None:
    key = operator.post("/api/keys", json={"name": "looks", "role": "viewer"}).json()["key"]
    visit = visiting()
    visit.page.goto(visit.url)
    visit.page.locator("#key-value").fill(key)
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
    page = visit.open(f"videos/{film[0]}")
    expect(page.locator(".lines li").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="Links")).to_have_count(0)
