"""Takes pictures of every view, filled with content, at three widths and in both themes.

Those of docs/guide/views.md are taken anew by
`PICTURES_TO=docs/pictures .venv/bin/pytest --long tests/ui/test_view_pictures.py`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from editor_page import field
from editor_panes import show_pane
from full_studio import FullStudio, fill, open_full_studio
from PIL import Image
from playwright.sync_api import Page, expect
from studio_page import PATIENCE_MS, REPOSITORY, Visiting, play_a_moment, wait_for

pytestmark = pytest.mark.browser
ROUTER = REPOSITORY / "ui" / "src" / "shell" / "router.tsx"
GUIDE = REPOSITORY / "docs" / "guide" / "views.md"
ROUTE = re.compile(
    r"const (\w+) = (?:createRoute\(\{\s*getParentRoute: (?:\(\) => (\w+)|parent),\s*path: |view\()"
    r"\"([^\"]*)\""
)
WIDTHS = {"1440": (1440, 900), "390": (390, 844), "1024": (1024, 768), "dark": (1440, 900)}
SIDEWAYS = """() => [document.documentElement, ...document.querySelectorAll(".view, .turns, dialog")]
  .map(one => [one.className || one.tagName, one.scrollWidth - one.clientWidth]).filter(one => one[1] > 0)"""
TALL = """() => { const view = document.querySelector(".view") ?? document.documentElement;
  return innerHeight + view.scrollHeight - view.clientHeight; }"""
HIGHEST = 2600
# Of the words of the page and of fields; pairs of what stands there and what does elsewhere.
REPLACE = """pairs => { const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let one = words.nextNode(); one; one = words.nextNode())
    for (const [before, after] of pairs)
      if (one.data.includes(before)) one.data = one.data.replaceAll(before, after); }"""
# What is far below is fetched when one comes near it.
SHOWN = """() => document.fonts.status == "loaded" && [...document.images].every(one => one.complete ||
  !one.checkVisibility() || one.getBoundingClientRect().top > innerHeight ||
  one.getBoundingClientRect().left > innerWidth)"""


@dataclass(frozen=True)
class Picture:
    """One view: its route in the router, its address, what stands there when it is ready."""

    name: str
    route: str | None
    address: str
    ready: str
    act: Callable[[Page], None] | None = None
    """What is done there before the picture."""


def press(*names: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        for name in names:
            page.get_by_role("button", name=re.compile(f"^{name}(, .*)?$")).first.click()
        expect(page.get_by_role("dialog").or_(page.get_by_role("menu")).first).to_be_visible()

    return act


def keys(keys: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        page.keyboard.press(keys)
        expect(page.get_by_role("dialog")).to_be_visible()

    return act


def play(page: Page) -> None:
    show_pane(page, "Video")
    play_a_moment(page, 1)
    show_pane(page, "Script")


def ask_the_policy(page: Page) -> None:
    page.get_by_label("do", exact=True).fill("render:create")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".view .chip").first).to_be_visible()


def open_the_log(page: Page) -> None:
    page.get_by_role("button", name="Log of speak on gpu-1").click()
    expect(page.get_by_label("Log of speak", exact=True)).to_contain_text("first line")


def look(page: Page) -> None:
    page.get_by_role("button", name="Run checks").first.click()
    expect(page.locator(".view table").first).to_be_visible()


def choose_the_changed_scene(page: Page) -> None:
    """A scene that differs from its film shows its own picture at the caret."""
    script = field(page, 3)
    script.click()
    page.keyboard.press("Control+Home")
    show_pane(page, "Scene 3")
    expect(page.locator(".layout figcaption span")).to_contain_text("Scene 3 at", timeout=PATIENCE_MS)


PICTURES = (
    Picture("new-film", "/", "/", ".faces img"),
    Picture("import", None, "/", ".faces img", press("Import a document")),
    Picture("welcome", "/welcome", "/welcome", ".view section"),
    Picture("projects", "/projects", "/projects", "text=A tour of the harbour"),
    Picture("editor", "/studio/p/$slug", "/studio/p/{project}", ".editor .script", play),
    Picture("editor-scene", None, "/studio/p/{project}", ".editor .script", choose_the_changed_scene),
    Picture("versions", None, "/studio/p/{project}", ".editor .script", press("Versions")),
    Picture("presenters", "/presenters", "/presenters", ".view img"),
    Picture("new-presenter", None, "/presenters", ".view img", press("New presenter")),
    Picture("pronunciations", "/pronunciations", "/pronunciations", "tbody tr"),
    Picture("assets", "/library", "/library", ".asset"),
    Picture("brands", "/brands", "/brands", "text=Harbour museum"),
    Picture("new-brand", None, "/brands", "text=Harbour museum", press("New brand kit")),
    Picture("trash", "/trash", "/trash", "text=An old draft"),
    Picture("chat", "/chat", "/chat", ".turn"),
    Picture("videos", "/videos", "/videos", ".tile img"),
    Picture("video", "/videos/$id", "/videos/{film}", ".lines li", play),
    Picture("video-failed", None, "/videos/{failed}", "text=disk.full"),
    Picture("video-running", None, "/videos/{running}", "progress"),
    Picture("publish", None, "/videos/{harbour}", ".lines li", press("Publish")),
    Picture("queue", "/queue", "/queue", "text=News of the evening"),
    Picture("talk", "/talk", "/talk", ".talk"),
    Picture("publications", "/publications", "/publications", "tbody tr"),
    Picture("snapshots", "/snapshots", "/snapshots", "text=the film for schools"),
    Picture("approvals", "/run/approvals", "/run/approvals", ".approval"),
    Picture("approval", "/run/approvals/$id", "/run/approvals/{approval}", ".approval .changes li"),
    Picture("planned", "/run/planned", "/run/planned", "tbody tr"),
    Picture("machines", "/run/machines", "/run/machines", "tbody tr"),
    Picture("machine", "/run/machines/$name", "/run/machines/{machine}", ".view li"),
    Picture("nodes", "/run/nodes", "/run/nodes", "text=gpu-2"),
    Picture("node", "/run/nodes/$id", "/run/nodes/node-1", "text=RTX 4060"),
    Picture("jobs", "/run/jobs", "/run/jobs", "text=voices"),
    Picture("job", "/run/jobs/$id", "/run/jobs/voices", "text=Allocations", open_the_log),
    Picture("runs", "/run/runs", "/run/runs", "tbody tr"),
    Picture("run", "/run/runs/$id", "/run/runs/{run}", "text=Join the farm"),
    Picture("health", "/run/health", "/run/health", "tbody tr"),
    Picture("doctor", "/run/doctor", "/run/doctor", ".view h1", look),
    Picture("log", "/run/log", "/run/log", ".log li:nth-child(8)"),
    Picture("trace", "/run/log/$id", "/run/log/{film}", "h1:has-text('Steps of')"),
    Picture("audit", "/run/audit", "/run/audit", "tbody tr"),
    Picture("keys", "/run/keys", "/run/keys", "tbody tr"),
    Picture("policy", "/run/policy", "/run/policy", ".view h1", ask_the_policy),
    Picture("webhooks", "/run/webhooks", "/run/webhooks", "text=museum"),
    Picture("storage", "/run/storage", "/run/storage", "text=are stored"),
    Picture("settings", "/run/settings", "/run/settings", ".view h2"),
    Picture("palette", None, "/projects", "text=A tour of the harbour", keys("Control+k")),
    Picture("shortcuts", None, "/projects", "text=A tour of the harbour", keys("?")),
    Picture("inbox", None, "/projects", "text=A tour of the harbour", press("Inbox")),
    Picture("account", None, "/projects", "text=A tour of the harbour", press("Settings")),
    Picture("no-view", None, "/no/such/view", ".view h1"),
    Picture("shared", None, "{watch}", "video", play),
    Picture("login", None, "login", "form"),
)


def routes_of(source: str) -> set[str]:
    """Returns the paths of the router, those of nested routes with their parents'."""
    found = {name: (parent, path) for name, parent, path in ROUTE.findall(source)}

    def whole(name: str) -> str:
        parent, path = found[name]
        return f"{whole(parent)}/{path}" if parent else path

    return {whole(name) for name in found}


def test_every_view_of_the_router_has_a_picture() -> None:
    source = ROUTER.read_text()
    routes = routes_of(source)
    assert len(routes) == source.count("= createRoute(") + source.count("= view(") > 30
    pictured = {one.route for one in PICTURES if one.route}
    assert routes - pictured == set(), "views without a picture"
    assert pictured - routes == set(), "pictures of no view"
    names = [one.name for one in PICTURES]
    assert len(set(names)) == len(names)
    shown = re.findall(r"pictures/views/([\w-]+)\.png", GUIDE.read_text())
    assert sorted(shown) == sorted(names), "docs/guide/views.md has each picture once"


@pytest.fixture(scope="module")
def full(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStudio]:
    with open_full_studio(tmp_path_factory) as studio:
        fill(studio)
        yield studio


@pytest.mark.slow
@pytest.mark.parametrize("form", WIDTHS)
def test_every_view_fits_and_is_shown_at_this_width(
    visiting: Visiting, full: FullStudio, tmp_path: Path, form: str
) -> None:
    folder = Path(os.environ.get("VIEWS_TO", tmp_path)) / form
    folder.mkdir(parents=True, exist_ok=True)
    width, height = WIDTHS[form]
    scheme = "dark" if form == "dark" else "light"
    visit = visiting(full.studio, viewport={"width": width, "height": height}, color_scheme=scheme)
    session = json.dumps(full.ids["session"])
    visit.page.add_init_script(f"sessionStorage.setItem('soundstage.session', {session})")
    # The conversation is beside its own view alone.
    visit.page.add_init_script("localStorage.setItem('soundstage.chat', '{\"open\": false}')")
    page = visit.open()
    wrong = [take(page, full, one, folder) for one in PICTURES]
    assert not any(wrong), "\n".join(one for one in wrong if one)


def write_for_docs(taken: Path, folder: Path) -> None:
    """Smaller, and in 256 colours; those of small things stay."""
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(taken) as picture:
        small = picture.convert("RGB").resize((1080, 675), Image.Resampling.LANCZOS)
        small.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(
            folder / taken.name, optimize=True
        )


def take(page: Page, full: FullStudio, picture: Picture, folder: Path) -> str:
    """Takes the picture; returns what is wrong with it."""
    if picture.name == "login":
        page.context.clear_cookies()
    path = picture.address.format(**full.ids)
    page.goto(path if path.startswith("http") else f"{full.studio.url}/{path.lstrip('/')}")
    try:
        expect(page.locator(picture.ready).first).to_be_visible(timeout=20_000)
        if picture.act:
            picture.act(page)
        wait_for(page, SHOWN)
    except AssertionError as error:
        page.screenshot(path=folder / f"{picture.name}.png")
        return f"{picture.name}: {str(error)[:300]}"
    page.mouse.move(0, 0)
    # Temporary folders say nothing to who looks at the pictures.
    folders = {full.studio.path: "/srv/soundstage", full.folder: "/srv", REPOSITORY: "/opt/soundstage"}
    page.evaluate(REPLACE, [[str(one), name] for one, name in folders.items()])
    page.screenshot(path=folder / f"{picture.name}.png", animations="disabled")
    if "PICTURES_TO" in os.environ and folder.name == "1440":
        write_for_docs(folder / f"{picture.name}.png", Path(os.environ["PICTURES_TO"]) / "views")
    sideways = page.evaluate(SIDEWAYS)
    size = page.viewport_size
    assert size is not None
    if (tall := page.evaluate(TALL)) > size["height"] * 1.1:
        page.set_viewport_size({"width": size["width"], "height": min(tall, HIGHEST)})
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{picture.name}-whole.png", animations="disabled")
        page.set_viewport_size(size)
    return f"{picture.name} scrolls sideways: {sideways}" if sideways else ""
