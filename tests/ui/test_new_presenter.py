"""A presenter is made on the page from a photo or by the camera, with the recorded consent of its person."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from page_hands import EACH_WIDTH
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from studio_page import (
    CHROMIUM,
    OPTIONS,
    PATIENCE_MS,
    REPOSITORY,
    Studio,
    Visit,
    Visiting,
    breaches,
    play_a_moment,
    studio_up,
)
from voice_server import VoiceServer, voice_server

pytestmark = pytest.mark.browser
ENVIRONMENT = REPOSITORY / "avatar" / ".venv"
PHOTO = next(ENVIRONMENT.glob("lib/*/site-packages/skimage/data/astronaut.png"), Path("astronaut.png"))
NO_FACE = PHOTO.with_name("brick.png")


@pytest.fixture(autouse=True)
def photo() -> None:
    if not PHOTO.exists():
        pytest.skip(f"The worker's environment has no {PHOTO.name}: scripts/setup test")


@pytest.fixture
def own(operator: httpx.Client) -> Iterator[None]:
    """Deletes the presenters that a test has made."""
    yield
    for one in operator.get("/api/personas").json():
        if one["origin"] == "user":
            operator.delete(f"/api/personas/{one['id']}").raise_for_status()


@pytest.fixture
def posing(browser: Browser, studio: Studio, tmp_path: Path, width: int) -> Iterator[Page]:
    """A page in a browser whose camera films the photo, and whose microphone beeps."""
    with _poses(browser, studio, tmp_path, width) as page:
        yield page


@contextmanager
def _poses(browser: Browser, studio: Studio, folder: Path, width: int) -> Iterator[Page]:
    film = folder / "camera.mjpeg"
    still = [
        "ffmpeg",
        "-v",
        "error",
        "-loop",
        "1",
        "-i",
        PHOTO,
        "-t",
        "1",
        "-r",
        "10",
        "-pix_fmt",
        "yuvj420p",
    ]
    subprocess.run([*still, film], check=True)
    devices = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    started = browser.browser_type.launch(executable_path=CHROMIUM, args=[*OPTIONS, *devices])
    context: BrowserContext = started.new_context(
        permissions=["camera", "microphone"], bypass_csp=True, viewport={"width": width, "height": 900}
    )
    context.set_default_timeout(PATIENCE_MS)
    yield Visit(context.new_page(), studio.url, studio.start_link).open("presenters")
    context.close()
    started.close()


@pytest.fixture
def cloning(
    built_page: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Studio, VoiceServer]]:
    """A studio with a speech service that clones voices."""
    with (
        voice_server() as server,
        studio_up(tmp_path_factory, SOUNDSTAGE_SERVICES__TTS_OPENAI__BASE_URL=f"{server.url}/v1") as studio,
    ):
        yield studio, server


def begin(page: Page, name: str) -> Locator:
    """Opens the dialog, and fills in all but the photo."""
    page.get_by_role("button", name="New presenter").click()
    dialog = page.get_by_role("dialog", name="New presenter")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_label("Role").fill("Commander")
    dialog.get_by_label("Full name").fill("Eileen Collins")
    dialog.get_by_label("This person has read this").check()
    return dialog


@EACH_WIDTH
def test_a_photo_becomes_a_presenter_who_is_deleted_again(
    visiting: Visiting, operator: httpx.Client, own: None
) -> None:
    page = visiting(bypass_csp=True).open("presenters")
    dialog = begin(page, "Eileen")
    create = dialog.get_by_role("button", name="Create presenter")
    expect(create).to_be_disabled()
    choose = dialog.locator("input[type=file]")
    choose.set_input_files(NO_FACE)
    dialog.get_by_label("This person has read this").check()
    expect(dialog.get_by_role("alert")).to_contain_text("face.not_found", timeout=PATIENCE_MS)
    expect(create).to_be_disabled()
    choose.set_input_files(PHOTO)
    agreed = dialog.get_by_label("This person has read this")
    expect(agreed).not_to_be_checked()
    agreed.check()
    # She smiles.
    remarks = dialog.get_by_role("list", name="What could be better in the photo")
    expect(remarks).to_contain_text("shows teeth", timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Preview", exact=True).click()
    preview = dialog.get_by_label("Preview of the presenter")
    expect(preview).to_be_visible(timeout=PATIENCE_MS)
    play_a_moment(page, 0.5, ".portrait-preview video")
    dialog.get_by_label("Voice").select_option("vera")
    # What was seen is not how the presenter will be.
    expect(preview).to_have_count(0)
    expect(dialog.locator("blockquote")).to_contain_text("I, Eileen Collins, agree")
    assert breaches(page) == []
    create.click()
    expect(page.get_by_role("status").filter(has_text="Eileen can speak now")).to_be_visible(
        timeout=PATIENCE_MS
    )
    eileen = operator.get("/api/personas/eileen").json()
    vera = operator.get("/api/personas/vera").json()
    assert eileen["voice"]["pitch"] == vera["voice"]["pitch"] and eileen["title"] == "Commander"
    [consent] = operator.get("/api/consents").json()
    assert consent["person"] == "Eileen Collins" and "speaks texts that others write" in consent["purpose"]

    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Eileen"))
    card.get_by_role("button", name="Delete Eileen").click()
    expect(page.get_by_role("dialog").get_by_role("listitem").first).to_contain_text("Presenters: Eileen")
    page.get_by_role("button", name="Delete this presenter").click()
    expect(card).to_have_count(0, timeout=PATIENCE_MS)


@EACH_WIDTH
def test_the_camera_takes_the_picture_and_the_consent_is_recorded(
    posing: Page, operator: httpx.Client, own: None
) -> None:
    dialog = begin(posing, "Camera")
    dialog.get_by_role("button", name="Take it with the camera").click()
    expect(dialog.get_by_text("The light is right")).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(posing) == []
    dialog.get_by_role("button", name="Take the picture").click()
    expect(dialog.locator("img.thumbnail")).to_be_visible(timeout=PATIENCE_MS)
    dialog.get_by_label("This person has read this").check()
    dialog.get_by_role("button", name="Record it read aloud").click()
    expect(dialog.get_by_text("let the person read")).to_be_visible()
    posing.wait_for_timeout(1200)
    dialog.get_by_role("button", name="Stop").click()
    expect(dialog.get_by_label("The recorded consent")).to_be_visible(timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Create presenter").click()
    expect(posing.get_by_role("status").filter(has_text="Camera can speak now")).to_be_visible(
        timeout=PATIENCE_MS
    )
    [consent] = operator.get("/api/consents").json()
    assert consent["evidence_sha256"]
    assets = operator.get("/api/assets").json()
    recorded = [one for one in assets if one["sha256"] == consent["evidence_sha256"]]
    assert [one["name"] for one in recorded] == ["Eileen Collins.webm"]


@pytest.mark.slow
def test_the_own_voice_is_cloned_from_the_recorded_consent_and_removed_again(
    browser: Browser, cloning: tuple[Studio, VoiceServer], tmp_path: Path, width: int
) -> None:
    studio, server = cloning
    with _poses(browser, studio, tmp_path, width) as page:
        dialog = begin(page, "Eileen")
        dialog.locator("input[type=file]").set_input_files(PHOTO)
        expect(dialog.locator("img.thumbnail")).to_be_visible(timeout=PATIENCE_MS)
        dialog.get_by_label("Voice").select_option("their own, cloned")
        # It is another sentence, which nobody has agreed to yet.
        expect(dialog.locator("blockquote")).to_contain_text("cloned from this recording")
        expect(dialog.get_by_text(f"goes to the speech service {server.url}")).to_be_visible()
        agreed = dialog.get_by_label("This person has read this")
        expect(agreed).not_to_be_checked()
        agreed.check()
        create = dialog.get_by_role("button", name="Create presenter")
        expect(create).to_be_disabled()
        dialog.get_by_role("button", name="Record it read aloud").click()
        expect(dialog.get_by_text("let the person read")).to_be_visible()
        page.wait_for_timeout(2500)
        dialog.get_by_role("button", name="Stop").click()
        expect(dialog.get_by_label("The recorded consent")).to_be_visible(timeout=PATIENCE_MS)
        assert breaches(page) == []
        # The service refuses it at first: nothing is left, and the next try goes on.
        server.status = 400
        create.click()
        expect(dialog.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
        server.status = 200
        create.click()
        ready = page.get_by_role("status").filter(has_text="Eileen can speak now")
        expect(ready).to_be_visible(timeout=PATIENCE_MS)
        [voice] = server.voices.values()
        assert voice["kind"] == b"audio/webm" and b"Eileen Collins, agree" in voice["ref_text"]
        with httpx.Client(base_url=studio.url, headers=studio.headers, trust_env=False) as api:
            eileen = api.get("/api/personas/eileen").raise_for_status().json()
            assert eileen["voice"]["cloned"] and eileen["voice"]["consent"]["person"] == "Eileen Collins"
        cloned = page.get_by_role("region", name="Cloned voices")
        expect(cloned).to_contain_text("Eileen Collins")
        assert breaches(page) == []
        cloned.get_by_role("button", name="Remove").click()
        page.get_by_role("button", name="Remove this voice").click()
        expect(cloned).to_have_count(0, timeout=PATIENCE_MS)
        assert server.voices == {}


def test_without_a_camera_a_file_is_chosen(visiting: Visiting) -> None:
    page = visiting().open("presenters")
    dialog = begin(page, "Nobody")
    dialog.get_by_role("button", name="Take it with the camera").click()
    expect(dialog.locator(".problem")).to_be_visible(timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Choose a file").click()
    expect(dialog.locator("input[type=file]")).to_be_attached()
