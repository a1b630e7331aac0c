"""Two people with keys of their own walk through the page: from the first question to the video, over a
restart of the server; what a reload in mid-answer and markup in texts do; what the log says of a persona.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from ramdisk import switched_on
from scripted_model import Call, Line, Say, scripted_model
from studio_page import PATIENCE_MS, REPOSITORY, Studio, Visiting, address, breaches, run_in_thread, wait_for

pytestmark = pytest.mark.browser
TEXT = "The tide comes in twice a day. The moon pulls the sea. Then it goes out again."
LONG_WISH = "would you happen to have something poetic to tell about the sea"
LONG = "The sea rises and the sea falls, and between them lie six hours and a bit."
HARDWARE = {
    "cpu_threads": 8,
    "memory_mib": 16384,
    "disks": [{"name": "sda", "bytes": 10**11}],
}
MARKUP = "<img src=x onerror=document.title='struck'><script>document.title='struck'</script>"


SCRIPT = {
    "title": "How tides work",
    "scenes": [
        {"title": "The moon", "script": "The moon pulls the sea."},
        {"title": "The sun", "script": "The sun pulls too, but less."},
    ],
}


class SlowModel:
    """A language model that stops until `go_on` is called: in a talk after the first word, in a script
    before all of it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._held: dict[type[Line], asyncio.Event] = {Say: asyncio.Event(), Call: asyncio.Event()}
        self._threads = ThreadPoolExecutor(1)
        self._serving = scripted_model(self._line)
        self._threads.submit(self._loop.run_forever)
        self.model = asyncio.run_coroutine_threadsafe(self._serving.__aenter__(), self._loop).result()

    def go_on(self, line: type[Line]) -> None:
        self._loop.call_soon_threadsafe(self._held[line].set)

    def _line(self, asked: dict[str, Any]) -> Line:
        if [one["function"]["name"] for one in asked.get("tools", ())] == ["write_scenes"]:
            return Call("write_scenes", SCRIPT, hold=self._held[Call])
        return Say(LONG, hold=self._held[Say])

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._serving.__aexit__(None, None, None), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._threads.shutdown()
        self._loop.close()


@pytest.fixture(scope="module")
def slow_model() -> Iterator[SlowModel]:
    model = SlowModel()
    yield model
    model.close()


@pytest.fixture(scope="module")
def guarded(
    built_page: None, slow_model: SlowModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """An installation that wants a key from everybody."""
    path = tmp_path_factory.mktemp("guarded")
    shutil.copytree(REPOSITORY / "personas", path / "personas")
    variables = {
        "SOUNDSTAGE_PERSONAS_DIR": str(path / "personas"),
        "SOUNDSTAGE_LLM__LOCAL__BASE_URL": slow_model.model.base_url,
        "SOUNDSTAGE_LLM__LOCAL__MODEL": "scripted",
        "SOUNDSTAGE_PROVISIONING__API_KEY_FILE": str(path / "api.key"),
    }
    studio = Studio(path, variables)
    studio.start()
    (path / "api.key").write_text(studio.key)
    (path / "api.key").chmod(0o600)
    yield studio
    studio.stop()


@pytest.fixture
def enter(guarded: Studio, visiting: Visiting) -> Callable[..., Page]:
    """Opens the page as somebody: with a new operator's key, typed into the form."""

    def entered(name: str, view: str = "chat", **options: Any) -> Page:
        answer = httpx.post(
            f"{guarded.url}/api/keys",
            headers={"Authorization": f"Bearer {guarded.key}"},
            json={"name": name, "role": "operator"},
            timeout=60,
            trust_env=False,
        )
        page = visiting(guarded, **options).page
        page.goto(guarded.url + address(view))
        page.locator("#key-value").fill(answer.raise_for_status().json()["key"])
        page.keyboard.press("Enter")
        expect(page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
        return page

    return entered


def say(page: Page, sentence: str) -> None:
    """Says it and waits for the answer."""
    turns = page.locator(".turn")
    before = turns.count()
    page.locator("#utterance").fill(sentence)
    page.keyboard.press("Enter")
    expect(turns).to_have_count(before + 1, timeout=PATIENCE_MS)
    expect(page.locator(".thinking")).to_have_count(0, timeout=PATIENCE_MS)


def switch_on(studio: Studio, serial: str) -> str:
    """An empty machine reports from its ramdisk; gives its name."""
    reporting = switched_on(
        studio.provisioning_url, studio.provisioning_tls_url, {"serial": serial, **HARDWARE}
    )
    return run_in_thread(reporting)


@pytest.mark.slow
def test_the_whole_story_is_clicked_through(guarded: Studio, enter: Callable[..., Page]) -> None:
    name = switch_on(guarded, "PAGE-1")
    ada, bob = enter("ada"), enter("bob", "approvals")

    say(ada, "what machines do we have?")
    expect(ada.locator(".turn").last).to_contain_text(name)
    say(ada, "accept the new one")
    plan = ada.get_by_role("link", name="See the plan")
    approval_id = _last_part(plan)
    plan.click()
    expect(ada.locator(".approval")).to_contain_text(name, timeout=PATIENCE_MS)
    assert ada.locator(".turn").last.get_by_text("the approval").count() == 0, "a command holds the whole id"

    bob.get_by_placeholder("Reason").fill("It is ours.")
    bob.get_by_role("button", name="Approve").click()
    expect(bob.locator("tbody tr").first.locator(".chip")).to_have_text("done", timeout=PATIENCE_MS)
    ada.get_by_role("link", name="Machines").click()
    machines = ada.get_by_role("region", name="Machines")
    expect(machines.get_by_role("row", name=name)).to_contain_text("accepted", timeout=PATIENCE_MS)
    said = ada.locator(".turn").last
    expect(said.locator(".asks")).to_contain_text("bob agreed: It is ours.")
    expect(said.locator(".step .chip")).to_have_text("done")

    order = f"make a 360p three-scene video about tides with Nova from this text: {TEXT}"
    say(ada, order)
    expect(ada.locator("a.made")).to_be_visible(timeout=PATIENCE_MS)
    render_id = _last_part(ada.locator("a.made"))
    say(ada, "why is it waiting?")
    why = ada.locator(".turn").last.locator(".reply")
    expect(why).to_have_text(
        re.compile(r"“Tides” is (queued\. It waits: .+|waiting for a worker\. .+|being made\..*)")
    )
    assert _last_part(why.get_by_role("link", name="Tides")) == render_id
    say(ada, "save this as tides")
    guarded.stop()
    guarded.start()
    expect(ada.locator(".banner")).to_have_count(0, timeout=PATIENCE_MS)

    ada.get_by_role("link", name="Snapshots").click()
    ada.get_by_role("button", name="Load tides").click()
    expect(ada.get_by_role("status").filter(has_text="from tides")).to_be_visible(timeout=PATIENCE_MS)
    expect(ada.locator(".turn")).to_have_count(0, timeout=PATIENCE_MS)
    _wait_until_done(guarded, render_id)
    say(ada, "where is my video?")
    reply = ada.locator(".turn").last.locator(".reply")
    expect(reply).to_contain_text("is done")
    [video] = re.findall(r"\S+\.mp4", reply.inner_text())
    assert (guarded.path / video).stat().st_size > 10_000
    ada.get_by_role("link", name="Videos").click()
    ada.locator(".tile", has_text="tides").click()
    wait_for(ada, "document.getElementById('video')?.readyState >= 2")
    ada.locator("#video").evaluate("v => { v.muted = true; return v.play(); }")
    wait_for(ada, "document.getElementById('video').currentTime > 0.5")
    _is_one_story(guarded, render_id, order, "ada tool.called", "ada tool.ended", "farm artefact.made")
    _is_one_story(
        guarded,
        approval_id,
        "accept the new one",
        "ada approval.requested",
        "bob approval.approved",
        "ada tool.called",
        "soundstage approval.done",
        "ada tool.ended",
    )
    verdict = _ask(guarded, "/api/audit/verdict")
    assert verdict["broken_at"] is None and verdict["lines"] > 10


def _last_part(link: Locator) -> str:
    return (link.get_attribute("href") or "").rpartition("/")[2]


def _ask(studio: Studio, path: str) -> Any:
    answer = httpx.get(
        studio.url + path, headers={"Authorization": f"Bearer {studio.key}"}, timeout=60, trust_env=False
    )
    return answer.raise_for_status().json()


def _wait_until_done(studio: Studio, render_id: str) -> None:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while (render := _ask(studio, f"/api/renders/{render_id}"))["state"] != "done":
        assert render["state"] not in ("failed", "cancelled") and time.monotonic() < deadline, render
        time.sleep(0.5)


def _is_one_story(studio: Studio, about: str, sentence: str, *acts: str) -> None:
    """The sentence and what came of it, in this order among others, have one trace id in the audit log."""
    lines = _ask(studio, f"/api/traces/{about}")["lines"]
    [said] = [one for one in lines if one["kind"] == "utterance.said" and sentence in str(one["data"])]
    story = [f"{one['actor']} {one['kind']}" for one in lines if one["trace_id"] == said["trace_id"]]
    told = iter(story)
    missing = [one for one in ("ada utterance.said", *acts) if one not in told]
    assert missing == [], story


def test_a_reload_in_mid_answer_loses_nothing_and_asks_nothing_twice(
    slow_model: SlowModel, enter: Callable[..., Page]
) -> None:
    page = enter("eve")
    page.locator("#utterance").fill(LONG_WISH)
    page.keyboard.press("Enter")
    expect(page.locator(".reply")).to_have_text("The", timeout=PATIENCE_MS)
    page.reload()
    expect(page.locator(".reply")).to_have_text("The", timeout=PATIENCE_MS)
    expect(page.locator(".thinking")).to_be_visible()
    slow_model.go_on(Say)
    expect(page.locator(".reply")).to_have_text(LONG, timeout=PATIENCE_MS)
    expect(page.locator(".turn")).to_have_count(1)
    assert sum(LONG_WISH in str(one) for one in slow_model.model.asked) == 1


def test_a_reload_while_a_tool_is_under_way_shows_it_and_its_end(
    slow_model: SlowModel, enter: Callable[..., Page]
) -> None:
    page = enter("tom")
    page.locator("#utterance").fill("write a script about tides in two scenes")
    page.keyboard.press("Enter")
    under_way = page.locator(".step .chip")
    expect(under_way).to_have_text("running", timeout=PATIENCE_MS)
    page.reload()
    expect(under_way).to_have_text("running", timeout=PATIENCE_MS)
    expect(page.locator(".thinking")).to_be_visible()
    slow_model.go_on(Call)
    expect(under_way).to_have_text("done", timeout=PATIENCE_MS)
    expect(page.locator(".reply")).to_contain_text("The moon pulls the sea.", timeout=PATIENCE_MS)
    expect(page.locator(".turn")).to_have_count(1)


def test_a_reload_while_an_approval_waits_shows_it_and_what_becomes_of_it(
    guarded: Studio, enter: Callable[..., Page]
) -> None:
    name = switch_on(guarded, "PAGE-2")
    page, other = enter("uma"), enter("vic", "approvals")
    say(page, f"accept the machine {name}")
    waits = page.get_by_role("link", name="See the plan")
    approval_id = _last_part(waits)
    page.reload()
    expect(waits).to_be_visible(timeout=PATIENCE_MS)
    assert _last_part(waits) == approval_id
    expect(page.locator(".step .chip")).to_have_text("waits for approval")
    other.reload()
    card = other.locator(".approval", has_text=name)
    card.get_by_placeholder("Reason").fill("It is ours, too.")
    card.get_by_role("button", name="Approve").click()
    expect(page.locator(".asks")).to_contain_text("vic agreed: It is ours, too.", timeout=PATIENCE_MS)
    expect(page.locator(".step .chip")).to_have_text("done", timeout=PATIENCE_MS)
    expect(page.locator(".turn")).to_have_count(1)


def test_the_log_says_which_persona_is_broken_and_why(guarded: Studio, enter: Callable[..., Page]) -> None:
    page = enter("wim", "log")
    line = page.locator(".log li", has_text="persona.broken")
    draft = guarded.path / "tilda.yaml"
    draft.write_text("name: Tilda\nvoice: {pace: fast}\n")
    # In one step: a look at a half-written file would be an event of its own.
    draft.rename(guarded.path / "personas" / "tilda.yaml")
    expect(line).to_contain_text(
        "tilda · tilda.yaml, line 1, column 1, field id: Field required", timeout=PATIENCE_MS
    )
    (guarded.path / "personas" / "tilda.yaml").unlink()
    expect(page.locator(".log li", has_text="persona.removed")).to_contain_text("tilda", timeout=PATIENCE_MS)


def test_markup_in_sentences_titles_and_reasons_stays_text(
    guarded: Studio, enter: Callable[..., Page]
) -> None:
    page = enter("mal")
    say(page, f"Make a video in 360p where Nova says: Hello {MARKUP}")
    expect(page.locator(".said").last).to_contain_text(MARKUP)
    # Titles that are taken from a script leave tags out; one that is given stays as it is.
    order = {"script": "Hello", "title": f"Hello {MARKUP}", "canvas": {"width": 320, "height": 180}}
    status = page.evaluate(
        """async (order) => (await fetch("/api/renders", {method: "POST", body: JSON.stringify(order),
            headers: {"Content-Type": "application/json"}})).status""",
        order,
    )
    assert status == 202, status
    say(page, f"remember that {MARKUP} is dangerous")
    say(page, "list my videos")
    page.goto(guarded.url + address("log"))
    expect(page.locator(".log")).to_contain_text("<img", timeout=PATIENCE_MS)
    assert page.locator("img[src=x], .view script, .chat script").count() == 0
    assert "struck" not in page.title()


def test_the_page_of_the_api_loads_nothing_from_elsewhere(guarded: Studio, visiting: Visiting) -> None:
    visit = visiting(guarded)
    visit.page.goto(f"{guarded.url}/docs")
    expect(visit.page.locator("h1, h2").first).to_be_visible(timeout=PATIENCE_MS)
    assert visit.hosts == {guarded.url}


def test_a_key_is_asked_for_and_kept_from_scripts(guarded: Studio, visiting: Visiting) -> None:
    page = visiting(guarded, bypass_csp=True).page
    page.goto(guarded.url)
    page.locator("#key-value").fill("0" * 64)
    assert breaches(page) == []
    page.keyboard.press("Enter")
    expect(page.locator(".problem code")).to_have_text("auth.bad_key", timeout=PATIENCE_MS)
    assert breaches(page) == []
    page.locator("#key-value").fill(guarded.key)
    page.keyboard.press("Enter")
    expect(page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
    kept = page.evaluate("document.cookie + JSON.stringify(sessionStorage) + JSON.stringify(localStorage)")
    assert kept == "{}{}"
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("menuitem", name="Log out").click()
    expect(page.locator("#key-value")).to_be_visible(timeout=PATIENCE_MS)
