"""The view Talk in a real Chromium whose microphone is a synthetic voice, with server and voice worker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_microphone import Microphone
from livekit_server import answers, livekit_variables
from page_hands import EACH_WIDTH
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect
from studio_page import PATIENCE_MS, REPOSITORY, Studio, Visit, address, breaches
from voice_workers import wait_for_voice_worker
from waiting import eventually

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")
pytestmark = pytest.mark.browser
QUESTION = "what videos do I have"
LONG_ANSWER = "what can you do"
SESSION = "sessionStorage.getItem('soundstage.session')"


@pytest.fixture(scope="module")
def talking(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with a voice worker that has connected."""
    with talking_by(tmp_path_factory, "websocket") as found:
        yield found


@pytest.fixture
def talking_by_webrtc(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    pytest.importorskip("aiortc", reason="needs aiortc: run `uv sync --inexact --extra voice`")
    with talking_by(tmp_path_factory, "webrtc") as found:
        yield found


@pytest.fixture(scope="module")
def talking_in_a_room(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    pytest.importorskip(
        "livekit.rtc", reason="needs LiveKit's libraries: run `uv sync --inexact --extra voice`"
    )
    livekit = livekit_variables()
    with talking_by(tmp_path_factory, "livekit", **livekit) as found:
        eventually(lambda: answers(livekit), "LiveKit", PATIENCE_MS / 1000)
        yield found


@contextmanager
def talking_by(folders: pytest.TempPathFactory, transport: str, **more: str) -> Iterator[Studio]:
    variables = {
        **more,
        "SOUNDSTAGE_VOICE__ENABLED": "true",
        "SOUNDSTAGE_VOICE__TRANSPORT": transport,
        "SOUNDSTAGE_PROVISIONING__ENABLED": "false",
    }
    found = Studio(folders.mktemp("talking"), variables)
    try:
        found.start()
        wait_for_voice_worker(found)
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def talking_with_own(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with a presenter of its own design, for whom the page has no file."""
    pytest.importorskip("aiortc", reason="needs aiortc: run `uv sync --inexact --extra voice`")
    with talking_by(tmp_path_factory, "websocket", SOUNDSTAGE_VOICE__VIDEO_HEIGHT="360") as found:
        design = (REPOSITORY / "personas" / "amina.yaml").read_text()
        own = design.replace("id: amina", "id: own").replace("name: Amina", "name: Own")
        folder = found.path / "state" / "personas"
        folder.mkdir(exist_ok=True)
        (folder / "own.yaml").write_text(own)

        def is_known() -> bool:
            answer = httpx.get(f"{found.url}/api/personas", headers=found.headers, trust_env=False)
            return "own" in answer.text

        eventually(is_known, "the presenter", PATIENCE_MS / 1000)
        yield found


Entering = Callable[..., Page]


@pytest.fixture
def entering(chromium: Browser, talking: Studio, microphone: Microphone, width: int) -> Iterator[Entering]:
    """Opens the view in pages that close with the test."""
    contexts: list[BrowserContext] = []

    def enter(*, allowed: bool = True, of: Studio = talking, **options: Any) -> Page:
        options.setdefault("viewport", {"width": width, "height": 900})
        context = chromium.new_context(permissions=["microphone"] if allowed else [], **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        microphone.hears()
        page: Page = Visit(context.new_page(), of.url, of.start_link).open("talk")
        return page

    yield enter
    for context in contexts:
        context.close()


def route_sound(page: Page) -> list[WebSocketRoute]:
    """Returns the list of the page's sockets for sound, which grows with each; they lead to the server."""
    sockets: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/sound?*", pass_on)
    return sockets


def start(page: Page, state: str = "listening") -> None:
    page.get_by_role("button", name="Start talking").click()
    until(page, state)


def write(page: Page, sentence: str) -> None:
    page.locator("#utterance").fill(sentence)
    page.keyboard.press("Enter")


def until(page: Page, state: str) -> None:
    expect(page.locator(".talk")).to_have_attribute("data-state", state, timeout=PATIENCE_MS)


def speak(page: Page, microphone: Microphone, sentence: str) -> None:
    """Says a sentence into another device, which the person chooses for it."""
    microphone.hears(sentence)
    page.get_by_role("button", name="Devices").click()
    choice = page.get_by_role("combobox", name="Microphone", exact=True)
    # The browser lists its devices a moment after the dialog is open.
    expect(choice.locator("option").nth(1)).to_be_attached(timeout=PATIENCE_MS)
    names = choice.locator("option").all_inner_texts()
    now = choice.evaluate("one => one.selectedOptions[0].text")
    choice.select_option(label=next(one for one in reversed(names) if one != now))
    page.get_by_role("dialog").get_by_role("button", name="Close").click()


def turns(talking: Studio, page: Page) -> list[str]:
    session = page.evaluate(SESSION)
    path = f"{talking.url}/api/chat/sessions/{session}/turns"
    answer = httpx.get(path, headers=talking.headers, timeout=60, trust_env=False)
    return [turn["utterance"] for turn in answer.json()]


def measure(page: Page, name: str) -> str:
    return (
        page.locator(".talk-measures div", has=page.get_by_text(name, exact=True)).locator("dd").inner_text()
    )


@EACH_WIDTH
def test_a_spoken_question_is_answered_by_a_face_that_can_be_interrupted(
    entering: Entering, talking: Studio, microphone: Microphone
) -> None:
    page = entering()
    stops: list[str] = []

    def note(message: str | bytes) -> None:
        if isinstance(message, str) and json.loads(message)["type"] == "stop":
            stops.append(message)

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    start(page)
    page.get_by_role("button", name="Devices").click()
    page.get_by_label("Show measurements over the face").check()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    speak(page, microphone, LONG_ANSWER)
    expect(page.locator(".turn .said")).to_have_text(LONG_ANSWER, timeout=PATIENCE_MS)
    until(page, "speaking")
    expect(page.locator(".captions .of-agent")).not_to_be_empty()
    # The mouth is open while there is sound, and shut after it.
    eventually(
        lambda: float(measure(page, "Mouth")) > 0.1 and float(measure(page, "Amplitude")) > 0.1, "speech"
    )
    assert measure(page, "Connection") == "open"
    stops.clear()
    speak(page, microphone, QUESTION)
    # Which words are heard over the agent's own sound is the recogniser's business.
    # Playwright delivers what came on the socket while it is called.
    eventually(lambda: page.title() and stops, "an interruption", PATIENCE_MS / 1000)
    until(page, "listening")
    eventually(
        lambda: float(measure(page, "Mouth")) == float(measure(page, "Amplitude")) == 0, "a shut mouth"
    )
    assert turns(talking, page)[0] == LONG_ANSWER
    page.get_by_role("button", name="Stop talking").click()
    until(page, "off")


def test_a_button_silences_the_agent_and_a_lost_connection_comes_back(
    entering: Entering, talking: Studio
) -> None:
    page = entering()
    sockets = route_sound(page)
    start(page)
    session = page.evaluate(SESSION)
    write(page, LONG_ANSWER)
    page.get_by_role("button", name="Interrupt").click()
    until(page, "listening")
    sockets[0].close(code=1011)
    until(page, "reconnecting")
    until(page, "listening")
    write(page, QUESTION)
    until(page, "speaking")
    assert len(sockets) == 2 and turns(talking, page) == [LONG_ANSWER, QUESTION]
    assert page.evaluate(SESSION) == session


def test_with_hold_to_talk_the_microphone_is_open_while_the_button_is_held(
    entering: Entering, talking: Studio
) -> None:
    page = entering()
    page.evaluate(
        """() => {
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async request => {
                const stream = await open(request);
                [window.constraints, window.track] = [request.audio, stream.getAudioTracks()[0]];
                return stream;
            };
        }"""
    )
    start(page)
    constraints = page.evaluate("constraints")
    assert all(constraints[name] for name in ("echoCancellation", "noiseSuppression", "autoGainControl"))
    assert page.evaluate("track.enabled")
    page.get_by_role("button", name="Devices").click()
    page.get_by_label("Hold the button to talk").check()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    button = page.get_by_role("button", name="Hold to talk")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert not page.evaluate("track.enabled")
    write(page, LONG_ANSWER)
    until(page, "speaking")
    # Whoever wants to speak silences the agent.
    button.hover()
    page.mouse.down()
    until(page, "listening")
    assert page.evaluate("track.enabled")
    page.mouse.up()
    expect(button).to_have_attribute("aria-pressed", "false")
    assert not page.evaluate("track.enabled")


def test_by_webrtc_a_spoken_question_is_answered_and_a_second_window_takes_over(
    entering: Entering, talking_by_webrtc: Studio, microphone: Microphone
) -> None:
    is_answered_elsewhere(entering, talking_by_webrtc, microphone)


def test_in_a_livekit_room_a_spoken_question_is_answered_and_a_second_window_takes_over(
    entering: Entering, talking_in_a_room: Studio, microphone: Microphone
) -> None:
    is_answered_elsewhere(entering, talking_in_a_room, microphone)


def test_where_the_livekit_server_is_away_the_page_takes_the_socket(
    entering: Entering, talking_in_a_room: Studio
) -> None:
    page = entering(of=talking_in_a_room)
    page.route_web_socket("**/rtc**", lambda socket: socket.close(code=1011))
    page.route("**/rtc/**", lambda route: route.abort())
    sockets = route_sound(page)
    start(page)
    write(page, QUESTION)
    until(page, "speaking")
    assert len(sockets) == 1 and turns(talking_in_a_room, page) == [QUESTION]


def test_a_presenter_whom_the_page_cannot_draw_comes_as_a_video(
    entering: Entering, talking_with_own: Studio
) -> None:
    page = entering(of=talking_with_own)
    sockets = route_sound(page)
    choose(page, "own")
    start(page)
    film = page.locator(".talk-ring video")
    expect(film).to_have_attribute("data-seen", "true", timeout=PATIENCE_MS)
    assert film.evaluate("one => [one.videoWidth, one.videoHeight]") == [640, 360]
    write(page, LONG_ANSWER)
    until(page, "speaking")
    shown = [film.evaluate("one => one.currentTime") for _ in range(2) if not page.wait_for_timeout(700)]
    assert shown[1] > shown[0] and sockets == []
    page.get_by_role("button", name="Interrupt").click()
    until(page, "listening")
    session = page.evaluate(SESSION)
    # Nova is drawn by the page: the call goes on over the socket.
    page.get_by_role("button", name="Who answers").click()
    page.get_by_role("dialog").get_by_text("Nova", exact=True).click()
    expect(page.locator(".talk-ring canvas")).to_be_visible(timeout=PATIENCE_MS)
    expect(film).to_have_count(0)
    until(page, "listening")
    write(page, QUESTION)
    until(page, "speaking")
    assert len(sockets) == 1 and page.evaluate(SESSION) == session
    assert turns(talking_with_own, page) == [LONG_ANSWER, QUESTION]
    assert breaches(page) == []


def test_where_no_peer_connection_comes_about_the_still_picture_speaks(
    entering: Entering, talking_with_own: Studio
) -> None:
    page = entering(of=talking_with_own)
    sockets = route_sound(page)
    choose(page, "own")
    refuse = "RTCPeerConnection.prototype.setRemoteDescription = () => Promise.reject(new Error('no'))"
    page.evaluate(f"() => {{ {refuse} }}")
    start(page)
    write(page, QUESTION)
    until(page, "speaking")
    assert len(sockets) == 1 and page.locator(".talk-ring video").count() == 0
    expect(page.locator(".talk-ring img")).to_be_visible()


def choose(page: Page, presenter: str) -> None:
    """Makes somebody the presenter of the last visit."""
    page.evaluate(f"localStorage.setItem('soundstage.presenter', {json.dumps(presenter)})")
    page.reload()


def is_answered_elsewhere(entering: Entering, studio: Studio, microphone: Microphone) -> None:
    """Talks over a transport that is not the socket, interrupts, and goes on in a second window."""
    page = entering(of=studio)
    sockets = route_sound(page)
    start(page)
    page.get_by_role("button", name="Devices").click()
    page.get_by_label("Show measurements over the face").check()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    speak(page, microphone, LONG_ANSWER)
    # Sound that was coded for the way, on a busy machine, is not always sure.
    utterance = page.locator(".turn .said")
    meant = page.locator(".meant").get_by_role("button", name=LONG_ANSWER)
    expect(utterance.or_(meant).first).to_be_visible(timeout=PATIENCE_MS)
    if meant.is_visible():
        meant.click()
    # The grammar takes the word “here” at its end, and may hear it in what follows.
    expect(utterance).to_have_text(re.compile(f"^{LONG_ANSWER}( here)?$"), timeout=PATIENCE_MS)
    words = utterance.inner_text()
    until(page, "speaking")
    eventually(
        lambda: float(measure(page, "Mouth")) > 0.1 and float(measure(page, "Amplitude")) > 0.1, "speech"
    )
    page.get_by_role("button", name="Interrupt").click()
    until(page, "listening")
    eventually(lambda: float(measure(page, "Amplitude")) == 0, "silence")
    assert sockets == [] and turns(studio, page) == [words]
    second = page.context.new_page()
    second.add_init_script(
        f"sessionStorage.setItem('soundstage.session', {json.dumps(page.evaluate(SESSION))})"
    )
    second.goto(f"{studio.url}/talk")
    start(second)
    until(page, "off")
    expect(page.get_by_text("goes on in another window")).to_be_visible(timeout=PATIENCE_MS)
    until(second, "listening")


def test_what_was_not_heard_clearly_is_asked_and_answered_with_a_click(
    entering: Entering, talking: Studio
) -> None:
    page = entering(bypass_csp=True)
    sockets = route_sound(page)
    start(page)
    unclear = {"type": "unclear", "text": QUESTION, "confidence": 0.6}
    sockets[0].send(json.dumps(unclear))
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator(".meant")).to_have_count(0)
    sockets[0].send(json.dumps({**unclear, "choices": [QUESTION, LONG_ANSWER]}))
    expect(page.locator(".meant button")).to_have_text([QUESTION, LONG_ANSWER, "Neither"])
    assert breaches(page) == []
    page.get_by_role("button", name=QUESTION).click()
    until(page, "speaking")
    assert turns(talking, page) == [QUESTION]


def test_a_conversation_is_recorded_and_becomes_a_video(
    entering: Entering, talking: Studio, tmp_path: Path
) -> None:
    page = entering(allowed=False, bypass_csp=True)
    start(page, "writing")
    record = page.locator(".talk-record")
    record.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("checkbox", name="My voice is in it")).to_be_checked()
    for width in (1440, 1024, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.screenshot(path=tmp_path / f"record-{width}.png")
    assert breaches(page) == []
    dialog.get_by_role("button", name="Start recording").click()
    expect(record).to_have_text("Recording", timeout=PATIENCE_MS)
    write(page, QUESTION)
    until(page, "speaking")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.screenshot(path=tmp_path / f"recording-{width}.png")
    until(page, "writing")
    record.click()
    dialog.get_by_role("button", name="Make the video").click()
    page.get_by_role("link", name="The video is being made").click(timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", level=1)).to_contain_text(QUESTION, timeout=PATIENCE_MS)
    expect(record).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_a_microphone_it_goes_on_in_writing(
    entering: Entering, talking: Studio, scheme: str, tmp_path: Path
) -> None:
    page = entering(allowed=False, color_scheme=scheme, bypass_csp=True)
    expect(page.locator(".talk canvas")).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    start(page, "writing")
    expect(page.locator(".talk-notices")).to_contain_text("not allowed")
    write(page, QUESTION)
    until(page, "speaking")
    for width in (1440, 1024, 390):
        page.set_viewport_size({"width": width, "height": 900 if width > 400 else 844})
        page.screenshot(path=tmp_path / f"talk-{scheme}-{width}.png")
    expect(page.locator(".turn .reply")).to_contain_text("videos", timeout=PATIENCE_MS)
    assert breaches(page) == []
    assert turns(talking, page) == [QUESTION]


def test_over_plain_http_on_a_foreign_name_it_says_why_there_is_no_microphone(
    entering: Entering, talking: Studio
) -> None:
    page = entering()
    page.goto(talking.start_link().replace("127.0.0.1", "studio.example"))
    expect(page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(talking.url.replace("127.0.0.1", "studio.example") + address("talk"))
    start(page, "writing")
    expect(page.locator(".talk-notices")).to_contain_text("HTTPS or on localhost")
