"""First steps on the page: from the reminder to a film, skipped, put away, and nothing without the right."""

from __future__ import annotations

import httpx
import pytest
from page_hands import FORMS, Keyboard, Mouse
from playwright.sync_api import Page, Route, expect
from studio_page import PATIENCE_MS, Studio, Visiting, breaches, wait_for
from waiting import eventually

pytestmark = pytest.mark.browser


def states(studio: Studio) -> dict[str, str]:
    answer = httpx.get(f"{studio.url}/api/first-run", headers=studio.headers, timeout=60, trust_env=False)
    return {one["step"]: one["state"] for one in answer.raise_for_status().json()["steps"]}


def wait_for_faces(studio: Studio) -> None:
    """Until the worker has drawn them: a face that takes long is answered by 503, which browsers log."""
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as client:
        for persona in client.get("/api/personas").raise_for_status().json():
            path = f"/api/personas/{persona['id']}/image"

            def is_drawn(path: str = path) -> bool:
                return client.get(path).is_success

            eventually(is_drawn, f"the face of {persona['id']}", within_s=180, pause_s=1)


def fits(page: Page) -> bool:
    """Returns whether nothing lies beside the page."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize(("form"), FORMS)
def test_the_reminder_leads_by_steps_to_a_film(
    visiting: Visiting, new_studio: Studio, form: tuple[str, int]
) -> None:
    hand, width = form
    wait_for_faces(new_studio)
    visit = visiting(new_studio, viewport={"width": width, "height": 900}, bypass_csp=True)
    page = visit.open("create")
    use = Mouse(page) if hand == "mouse" else Keyboard(page)
    reminder = page.get_by_role("region", name="First steps")
    expect(reminder.get_by_role("listitem")).to_have_count(4, timeout=PATIENCE_MS)
    use.press(reminder.get_by_role("link", name="Begin"))
    expect(page.get_by_role("heading", name="First steps", level=1)).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == [] and fits(page)

    use.press(page.get_by_role("button", name="Look now"))
    machine = page.get_by_role("region", name="Check this machine")
    expect(machine.get_by_text("done", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == [] and fits(page)
    leo = page.get_by_role("radio", name="Leo")
    if hand == "mouse":
        page.get_by_text("Leo", exact=True).click()
    else:
        use.reach(page.get_by_role("radio").first)
        # Nobody is chosen yet, so the first arrow leads from the first face to the second.
        for _ in range(3):
            page.keyboard.press("ArrowRight")
    expect(leo).to_be_checked(timeout=PATIENCE_MS)
    voice = page.get_by_role("region", name="Hear the voice")
    use.press(voice.get_by_role("button", name="Hear Leo"))
    expect(voice.get_by_text("done", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    seen = states(new_studio)
    assert [seen[step] for step in ("doctor", "presenter", "voice", "film")] == ["done"] * 3 + ["open"]
    # Another browser goes on where this one has stopped. First away from the page: a picture that it still
    # fetches would be refused.
    page.goto("about:blank")
    page.context.clear_cookies()
    visit.log_in()
    page.goto(f"{visit.url}/welcome")
    expect(leo).to_be_checked(timeout=PATIENCE_MS)
    use.press(page.get_by_role("button", name="Make this video"))
    wait_for(page, "document.getElementById('film')?.currentTime > 0.3")
    project = page.url.rpartition("/")[2]
    answer = httpx.get(
        f"{new_studio.url}/api/projects/{project}", headers=new_studio.headers, timeout=60, trust_env=False
    )
    assert answer.json()["persona"] == "leo"
    with page.expect_response("**/api/first-run", timeout=PATIENCE_MS):
        page.goto(visit.url)
    expect(page.get_by_role("link", name="Good morning").first).to_be_visible(timeout=PATIENCE_MS)
    expect(reminder).to_have_count(0)
    assert visit.complaints == []


@pytest.mark.slow
def test_steps_are_skipped_and_the_reminder_is_put_away_for_all_browsers(
    visiting: Visiting, new_studio: Studio
) -> None:
    page = visiting(new_studio).open("create")
    reminder = page.get_by_role("region", name="First steps")
    page.get_by_role("button", name="Put away").click(timeout=PATIENCE_MS)
    expect(reminder).to_have_count(0, timeout=PATIENCE_MS)
    visit = visiting(new_studio, color_scheme="dark", bypass_csp=True)
    page = visit.open("create")
    expect(page.get_by_role("button", name="Empty project")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(f"{visit.url}/welcome")
    for name in ("Hear the voice", "Faces on a GPU"):
        page.get_by_role("button", name=f"Skip: {name}").click(timeout=PATIENCE_MS)
        expect(page.get_by_role("button", name=f"Do it after all: {name}")).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    assert (states(new_studio)["voice"], states(new_studio)["gpu"]) == ("skipped", "skipped")
    page.get_by_role("button", name="Do it after all: Hear the voice").click()
    expect(page.get_by_role("button", name="Skip: Hear the voice")).to_be_visible(timeout=PATIENCE_MS)
    assert states(new_studio)["voice"] == "open"
    page.get_by_role("button", name="Remind me on the start page").click()
    expect(page.get_by_role("button", name="Do not remind me")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(visit.url)
    expect(page.get_by_role("region", name="First steps")).to_be_visible(timeout=PATIENCE_MS)


def test_what_the_doctor_complains_of_is_shown_with_its_fix(visiting: Visiting, new_studio: Studio) -> None:
    red = {
        "name": "worker espeak-ng",
        "level": "red",
        "found": "not found",
        "fix": "Install it: apt-get install espeak-ng.",
        "code": "",
    }
    report = {"ok": False, "at": "2026-11-26T07:00:00Z", "duration_ms": 1200, "checks": [red]}
    visit = visiting(new_studio, bypass_csp=True)
    page = visit.open("create")
    page.route("**/api/doctor", lambda route: route.fulfill(json=report))
    page.goto(f"{visit.url}/welcome")
    page.get_by_role("button", name="Look now").click(timeout=PATIENCE_MS)
    step = page.get_by_role("region", name="Check this machine")
    expect(step).to_contain_text("apt-get install espeak-ng", timeout=PATIENCE_MS)
    expect(step).to_contain_text("1 to mend")
    assert breaches(page) == []
    assert states(new_studio)["doctor"] == "open", "a machine that lacks something is not done"

    def refuse(route: Route) -> None:
        problem = {"code": "server.busy", "detail": "It is busy.", "hint": "", "status": 503}
        route.fulfill(status=503, content_type="application/problem+json", json=problem)

    page.route("**/api/doctor", refuse)
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []


def test_an_editor_sees_nothing_of_it(visiting: Visiting, operator: httpx.Client) -> None:
    key = operator.post("/api/keys", json={"name": "Ed", "role": "editor"}).json()["key"]
    visit = visiting()
    page = visit.page
    requested: list[str] = []
    page.on("request", lambda one: requested.append(one.url))
    page.goto(visit.url)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("button", name="Empty project")).to_be_visible(timeout=PATIENCE_MS)
    # The reminder of others comes after a second.
    page.wait_for_timeout(2000)
    expect(page.get_by_role("heading", name="First steps")).to_have_count(0)
    expect(page.get_by_role("link", name="Server settings", include_hidden=True)).to_have_count(0)
    for path in ("/welcome", "/run/settings", "/run/doctor"):
        page.goto(visit.url + path)
        expect(page.get_by_role("alert")).to_contain_text("has no right", timeout=PATIENCE_MS)
    paths = [url.removeprefix(visit.url) for url in requested]
    assert not [path for path in paths if path.startswith(("/api/first-run", "/api/settings", "/api/doctor"))]


@pytest.mark.slow
def test_the_first_steps_are_german_for_a_german_browser(visiting: Visiting, new_studio: Studio) -> None:
    visit = visiting(new_studio, locale="de-DE", viewport={"width": 390, "height": 844}, bypass_csp=True)
    page = visit.open("create")
    expect(page.get_by_role("region", name="Erste Schritte")).to_be_visible(timeout=PATIENCE_MS)
    for path, heading in (
        ("/welcome", "Erste Schritte"),
        ("/run/settings", "Konfiguration"),
        ("/run/doctor", "Diagnose"),
    ):
        page.goto(visit.url + path)
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=PATIENCE_MS)
        assert breaches(page) == [] and fits(page), path
