"""Server settings and the doctor on the page: found, explained, copied, and without secrets."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from page_hands import Keyboard
from playwright.sync_api import Locator, Page, expect
from studio_page import PATIENCE_MS, Studio, Visiting, breaches, studio_up

pytestmark = pytest.mark.browser
MARKER = "hunter2marker"
CLIPBOARD = "navigator.clipboard.readText()"


@pytest.fixture
def set_studio(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """With a setting from the environment, one of which has a password in it."""
    variables = {"LLM__CLOUD__BASE_URL": f"https://me:{MARKER}@127.0.0.1:9/v1", "LIMITS__SCENES": "77"}
    variables |= {"AUTH__SCRAPE_KEY_HASHES": "ab" * 32, "LLM__PREFER": "none"}
    with studio_up(
        tmp_path_factory, **{f"SOUNDSTAGE_{name}": value for name, value in variables.items()}
    ) as studio:
        yield studio


def setting(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_text(name, exact=True))


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        pytest.param(1440, "light", marks=pytest.mark.slow),
        pytest.param(1024, "dark", marks=pytest.mark.slow),
        (390, "light"),
    ],
)
def test_settings_are_found_with_their_source_and_the_lines_that_set_them(
    visiting: Visiting, set_studio: Studio, width: int, scheme: str
) -> None:
    visit = visiting(
        set_studio,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        bypass_csp=True,
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = visit.open("create")
    answers: list[str] = []
    page.on("response", lambda one: answers.append(one.text()) if "/api/settings" in one.url else None)
    page.goto(f"{visit.url}/run/settings")
    expect(page.get_by_text("config.toml")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("details[open]", has_text="[limits]")).to_be_visible()
    assert breaches(page) == []
    find = page.get_by_role("searchbox", name="Find a setting")
    find.fill("most scenes")
    line = setting(page, "limits.scenes")
    expect(line).to_contain_text("77")
    expect(line).to_contain_text("from the environment")
    expect(line).to_contain_text("default: 200")
    expect(page.get_by_text("1 setting", exact=True)).to_be_visible()
    line.get_by_role("button", name="How to set it").click()
    assert breaches(page) == []
    line.get_by_role("button", name="Copy: the lines for the file").click()
    expect(line.get_by_role("button", name="Copied: the lines for the file")).to_be_visible(
        timeout=PATIENCE_MS
    )
    assert tomllib.loads(page.evaluate(CLIPBOARD)) == {"limits": {"scenes": 77}}
    line.get_by_role("button", name="Copy: the variable").click()
    expect(line.get_by_role("button", name="Copied: the variable")).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate(CLIPBOARD) == "SOUNDSTAGE_LIMITS__SCENES=77"
    assert page.url.endswith("/run/settings?q=most+scenes")

    find.fill("")
    page.get_by_label("Only what is not the default").check()
    expect(setting(page, "llm.cloud.base_url")).to_contain_text("https://[masked]@127.0.0.1:9/v1")
    hashes = setting(page, "auth.scrape_key_hashes")
    expect(hashes).to_contain_text("set")
    hashes.get_by_role("button", name="How to set it").click()
    expect(hashes).to_contain_text('scrape_key_hashes = ["…"]')
    expect(setting(page, "limits.body_kib")).to_have_count(0)
    assert breaches(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    find.fill("no such thing")
    expect(page.get_by_text("No setting is like that.")).to_be_visible()
    assert answers and not any(MARKER in one or "ab" * 32 in one for one in answers)
    assert visit.complaints == []


def test_settings_are_found_by_the_keyboard_alone(visiting: Visiting) -> None:
    page = visiting().open("create")
    page.goto(page.url.rstrip("/") + "/run/settings")
    use = Keyboard(page)
    section = page.locator("summary", has_text="[worker]")
    use.press(section)
    expect(setting(page, "worker.concurrency")).to_be_visible(timeout=PATIENCE_MS)
    use.press(page.get_by_role("button", name="How to set it: worker.concurrency"))
    expect(setting(page, "worker.concurrency")).to_contain_text("SOUNDSTAGE_WORKER__CONCURRENCY=1")


def test_the_doctor_is_asked_on_the_page_and_copied_as_text(visiting: Visiting, set_studio: Studio) -> None:
    visit = visiting(set_studio, bypass_csp=True, permissions=["clipboard-read", "clipboard-write"])
    page = visit.open("health")
    page.get_by_role("link", name="Doctor").click(timeout=PATIENCE_MS)
    expect(page.get_by_text("Nobody has looked")).to_be_visible(timeout=PATIENCE_MS)
    assert breaches(page) == []
    Keyboard(page).press(page.get_by_role("button", name="Run checks"))
    table = page.locator("#view")
    expect(table).to_contain_text("worker flite", timeout=PATIENCE_MS)
    expect(table).to_contain_text("is held by our server")
    assert breaches(page) == []
    page.get_by_role("button", name="Copy as text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible(timeout=PATIENCE_MS)
    lines = page.evaluate(CLIPBOARD).splitlines()
    assert lines[0].startswith("soundstage doctor, 20")
    assert any(line.startswith("green  database: at revision") for line in lines)
    assert not any(MARKER in line for line in lines)
    # Another view and back: what was found is still there.
    page.get_by_role("link", name="Health").first.click()
    page.go_back()
    expect(table).to_contain_text("worker flite", timeout=PATIENCE_MS)
