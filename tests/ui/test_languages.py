"""The page in German: by the browser's language, by choice, on each kind of view, and on a phone."""

from __future__ import annotations

import json
import re

import httpx
import pytest
import yaml
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, REPOSITORY, Studio, Visit, Visiting, address, breaches
from waiting import eventually

pytestmark = pytest.mark.browser
BUILT = REPOSITORY / "app" / "page" / "built"
RAIL = [
    "Neues Video",
    "Projekte",
    "Figuren",
    "Aussprache",
    "Medien",
    "Markenvorlagen",
    "Papierkorb",
    "Videos",
    "Warteschlange",
    "Geplant",
    "Gespräch",
    "Publikationen",
]
SCROLLBAR_PX = 15
CASES = re.compile(r"\b(von|durch|mit|bei|für|an) \{0\}")
"""Prepositions with a case that a name put in does not have."""


def test_people_are_named_where_a_name_needs_no_case() -> None:
    entries = (REPOSITORY / "ui" / "src" / "locales" / "de.po").read_text().split("\n\n")
    named = [one for one in entries if "placeholder {0}: personWords(" in one]
    assert len(named) == 3
    assert [one for one in named if CASES.search(one.partition("msgstr")[2])] == []


def test_presenters_have_one_german_name() -> None:
    """That of the agent's replies."""
    locales = REPOSITORY / "ui" / "src" / "locales"
    entries = (locales / "de.po").read_text().split("\n\n")
    texts = [one.partition("\nmsgstr")[2] for one in entries]
    texts += json.loads((locales / "labels.de.json").read_text()).values()
    assert [text for text in texts if re.search("Sprecher(?!notizen)|Persona", text)] == []
    assert sum("Figur" in text for text in texts) > 20


def test_each_role_of_a_presenter_that_comes_along_has_german_words() -> None:
    source = (REPOSITORY / "ui" / "src" / "create" / "usePersonas.ts").read_text()
    shipped = [yaml.safe_load(file.read_text()) for file in (REPOSITORY / "personas").glob("*.yaml")]
    roles = {f"{one['id']}/{one['title']}" for one in shipped if one.get("title")}
    assert roles == set(re.findall(r'^  "([a-z-]+/[^"]+)": msg', source, re.MULTILINE))


@pytest.fixture(scope="module")
def project(studio: Studio) -> str:
    """The slug of a project with one scene."""
    with httpx.Client(base_url=studio.url, headers=studio.headers, timeout=60, trust_env=False) as operator:
        created = operator.post("/api/projects", json={"title": "Gezeiten", "persona": "nova"}).json()
        scene = {"script": "Die Flut kommt zweimal am Tag."}
        operator.post(f"/api/projects/{created['id']}/scenes", json=scene).raise_for_status()
    return str(created["slug"])


@pytest.fixture(scope="module")
def german(module_visiting: Visiting) -> Visit:
    visit = module_visiting(locale="de-AT")
    visit.log_in()
    return visit


def choose(page: Page, settings: str, language: str) -> None:
    page.get_by_role("button", name=settings, exact=True).click()
    page.get_by_role("menuitemradio", name=language, exact=True).click()


def test_a_german_browser_gets_the_page_in_german(german: Visit, project: str) -> None:
    page = german.open("create")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("heading", name="Was soll gesagt werden?")).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator(".tab-name").all_inner_texts()[: len(RAIL)] == RAIL
    # Room for a scrollbar, which this browser hides.
    right = page.locator(".bar nav").evaluate("nav => nav.getBoundingClientRect().right")
    ends = page.locator(".tab-name").evaluate_all(
        "all => all.map(one => { const range = document.createRange(); range.selectNodeContents(one);"
        " return range.getBoundingClientRect().right })"
    )
    assert max(ends) + SCROLLBAR_PX <= right
    assert page.locator(".bar nav").evaluate("nav => getComputedStyle(nav).overflowX") == "hidden"
    expect(page.get_by_role("group", name="Beispiele").get_by_role("button").first).to_contain_text(
        "Willkommen"
    )
    page = german.open(f"projects/{project}")
    expect(page.get_by_role("heading", name="Szene 1").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("1 Szene · etwa 3 s")).to_be_visible()
    expect(page.get_by_role("button", name="Betonung")).to_be_visible()
    mood = page.get_by_label("Stimmung")
    assert mood.locator("option").all_inner_texts()[:2] == ["Wie die Figur", "neutral"]
    page = german.open("videos")
    expect(page.get_by_role("heading", name="Videos", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(page).to_have_title("Videos · Soundstage")
    # A face that was never drawn is fetched again.
    assert [one for one in german.complaints if "503" not in one] == []


def test_a_german_conversation_begins_with_german_suggestions(german: Visit) -> None:
    suggestions = german.open("chat").locator(".turns .examples button")
    expect(suggestions.first).to_be_visible(timeout=PATIENCE_MS)
    assert suggestions.all_inner_texts() == [
        "Mach ein Video, in dem Nova sagt: Willkommen im Labor.",
        "Hochkant in 720p soll Nova sagen: Hallo",
        "Wer kann sprechen?",
        "Leg ein Projekt namens Gezeiten an",
        "Welche Maschinen gibt es?",
        "Merk dir, dass das Büro um neun öffnet",
    ]


def test_the_german_palette_suggests_german_sentences(german: Visit) -> None:
    page = german.open("chat")
    expect(page.locator("#utterance")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog").get_by_role("searchbox")).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.type("list_projects")
    page.get_by_role("dialog").get_by_role("option").first.click(timeout=PATIENCE_MS)
    expect(page.locator("#utterance")).to_have_value("Zeig meine Projekte", timeout=PATIENCE_MS)


def test_roles_of_presenters_are_german(german: Visit) -> None:
    page = german.open("presenters")
    fox = page.locator(".presenter-wall .words", has=page.get_by_role("heading", name="Finn"))
    expect(fox.locator("p").first).to_have_text("Fuchs", timeout=PATIENCE_MS)


@pytest.mark.parametrize("width", [390, 820])
def test_tabs_fade_only_where_there_are_more(visiting: Visiting, width: int) -> None:
    """At the last one nothing is beyond it, and where all are shown there is nothing at either end."""
    visit = visiting(locale="de-DE", viewport={"width": width, "height": 844})
    page = visit.open()
    page.goto(f"{visit.url}/run/settings")
    tabs = page.locator(".tabs")

    def fades() -> list[bool]:
        found = "(tabs, name) => parseFloat(getComputedStyle(tabs).getPropertyValue(name)) > 0"
        return [tabs.evaluate(found, name) for name in ("--more-before", "--more-after")]

    expect(page.locator(".tabs [aria-current]")).to_have_text("Konfiguration", timeout=PATIENCE_MS)
    expect(page.locator(".tabs .count").first).to_be_visible(timeout=PATIENCE_MS)
    eventually(lambda: fades() == [True, False], "no fade behind the last tab")
    tabs.evaluate("tabs => { tabs.scrollLeft = 0 }")
    eventually(lambda: fades() == [False, True], "a fade before the tabs that are beyond the edge")
    page = visit.open("presenters")
    expect(page.locator(".tabs [aria-current]")).to_have_text("Figuren", timeout=PATIENCE_MS)
    if width > 800:
        assert fades() == [False, False]


def test_buttons_of_presenters_end_on_one_line(german: Visit) -> None:
    page = german.open("presenters")
    expect(page.locator(".presenter-wall .card").first).to_be_visible(timeout=PATIENCE_MS)
    ends = page.locator(".presenter-wall .card").evaluate_all(
        """all => all.map((one) => [
          one.getBoundingClientRect().bottom,
          one.querySelector(".row > :last-child").getBoundingClientRect().bottom,
        ])"""
    )
    assert len({round(card - button) for card, button in ends}) == 1


def test_a_refused_login_is_told_in_german(studio: Studio, visiting: Visiting) -> None:
    page = visiting(locale="de-AT").page
    page.goto(f"{studio.url}/#/start/unknown")
    expect(page.get_by_role("alert")).to_contain_text("Diesen Anmeldelink kennt", timeout=PATIENCE_MS)
    page.get_by_label("API-Schlüssel").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").last).to_contain_text("Diesen API-Schlüssel", timeout=PATIENCE_MS)


def test_dates_follow_the_language_and_keep_the_region(german: Visit, project: str) -> None:
    row = german.open("projects").locator(".project", has_text="Gezeiten")
    iso = httpx.get(f"{german.url}/api/health", trust_env=False).headers["date"]
    written = german.page.evaluate(
        "iso => new Date(iso).toLocaleDateString('de-AT', {dateStyle: 'medium'})", iso
    )
    expect(row).to_contain_text(written, timeout=PATIENCE_MS)


def test_an_english_browser_fetches_no_catalogue(visiting: Visiting) -> None:
    visit = visiting()
    fetched: list[str] = []
    visit.page.on("request", lambda one: fetched.append(one.url.rpartition("/")[2]))
    visit.log_in()
    expect(visit.page.get_by_role("heading", name="What should be said?")).to_be_visible(timeout=PATIENCE_MS)
    expect(visit.page.locator("html")).to_have_attribute("lang", "en")
    assert list(BUILT.glob("de-*.js")), "the German catalogue is a file of its own"
    assert not [one for one in fetched if one.startswith(("de-", "labels.de"))]


def test_the_setting_overrides_the_browser_at_once_and_after_a_reload(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.open("create")
    script = page.get_by_label("Script")
    script.fill("Hello there.")
    choose(page, "Settings", "Deutsch")
    expect(page.get_by_role("heading", name="Was soll gesagt werden?")).to_be_visible(timeout=PATIENCE_MS)
    # Nothing that was typed is lost.
    expect(page.get_by_label("Skript")).to_have_value("Hello there.")
    expect(page.get_by_role("link", name="Neues Video").first).to_be_visible()
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "de", timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="Was soll gesagt werden?")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Einstellungen", exact=True).click()
    expect(page.get_by_role("menuitemradio", name="Deutsch")).to_be_checked()
    page.get_by_role("menuitemradio", name="System", exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", "en", timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="What should be said?")).to_be_visible(timeout=PATIENCE_MS)


def test_a_language_that_the_page_does_not_speak_is_english(visiting: Visiting) -> None:
    page = visiting(locale="pl-PL").open("create")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", name="What should be said?")).to_be_visible(timeout=PATIENCE_MS)


def test_axe_finds_nothing_on_german_views(visiting: Visiting, project: str) -> None:
    visit = visiting(locale="de-DE", bypass_csp=True)
    for view in ("create", f"projects/{project}", "talk", "machines"):
        page = visit.open(view)
        expect(page.locator("h1").first).to_be_attached(timeout=PATIENCE_MS)
        assert breaches(page) == [], view


def test_no_german_view_is_wider_than_a_phone(visiting: Visiting, project: str) -> None:
    visit = visiting(locale="de-DE", viewport={"width": 390, "height": 844})
    views = ["create", "projects", f"projects/{project}", "presenters", "pronunciations", "videos", "chat"]
    views += ["talk", "snapshots", "approvals", "planned", "machines", "health", "log", "keys"]
    for view in views:
        page = visit.open(view)
        expect(page.locator("h1").first).to_be_attached(timeout=PATIENCE_MS)
        page.evaluate("document.fonts.ready.then(() => true)")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view
        wide = page.evaluate(
            """[...document.querySelectorAll(".view button, .view a, .view h1, .view label")]
              .filter((one) => one.getClientRects().length > 0 && !one.closest(".table, .faces"))
              .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
              .map((one) => one.textContent)"""
        )
        assert wide == [], view


def test_words_fit_into_the_rail(german: Visit) -> None:
    page = german.open("create")
    page.evaluate("document.fonts.ready.then(() => true)")
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.tabs a')].filter(a => a.scrollWidth > a.clientWidth).length"
        )
        == 0
    )
    assert page.url == german.url + address("create")
