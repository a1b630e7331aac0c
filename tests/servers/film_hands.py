"""Makes a project in the editor by mouse and keyboard alone, from what the REST API would be given for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from editor_page import expect_saved, field
from page_hands import Mouse
from playwright.sync_api import Locator, Page, expect
from studio_page import PATIENCE_MS

ADD = {
    "title": "Title",
    "lower_third": "Name and role",
    "list": "List",
    "text": "Text",
    "arrow": "Arrow",
    "highlight": "Frame",
    "image": "Picture or clip",
    "video": "Picture or clip",
}
NAMES = ADD | {"image": "Picture", "video": "Video"}
TEXTS = {
    "title": {"title": "title", "subtitle": "second line"},
    "lower_third": {"name": "name", "role": "role"},
    "list": {"heading": "heading"},
    "text": {"text": "text"},
    "arrow": {"label": "label"},
}
FRAMINGS = {
    "half": "To the waist",
    "side_left": "At the left",
    "picture_in_picture": "In a corner",
    "voice_over": "Only heard",
}
TRANSITIONS = {"dissolve": "Dissolve", "wipe": "Wipe", "slide": "Slide", "fade": "Through black"}
VOLUMES = {-18: "quiet", -12: "usual", -6: "loud"}
WHOLE = {"x": 0, "y": 0, "width": 1, "height": 1}
MARK = re.compile(r"\[(\w+) ?([^\]]*)\]|\*([^*]+)\*")
MAX_CLICKS = 20
Described = dict[str, Any]

# Of the character at an index, on the screen: the copy below the field has the same letters.
PLACE_OF_CHARACTER = """(field, index) => {
  const copy = field.parentElement.querySelector(".mirror");
  const letters = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
  let rest = index;
  for (let node = letters.nextNode(); node; node = letters.nextNode()) {
    if (rest < node.length) {
      const range = document.createRange();
      range.setStart(node, rest);
      range.setEnd(node, rest + 1);
      const { x, y, width, height } = range.getBoundingClientRect();
      return [x + width / 2, y + height / 2];
    }
    rest -= node.length;
  }
}"""


def without_marks(script: str) -> str:
    """Returns what is typed of a script at first: its words."""
    return re.sub(r" {2,}", " ", MARK.sub(lambda mark: mark[3] or "", script)).strip()


class FilmHands:
    """Uses the open page of one project. `folder` holds the files that are uploaded."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.use = Mouse(page)
        self._uploaded: set[str] = set()

    def begin(self, project: Described, scenes: list[Described]) -> None:
        """Types the whole text on the page New film, and opens the editor with it."""
        page = self.page
        page.get_by_role("radio", name=project["persona"].title()).locator("..").click()
        page.get_by_label("Script", exact=True).click()
        page.keyboard.type("\n\n".join(without_marks(scene["script"]) for scene in scenes))
        page.get_by_role("button", name="Edit first").click()
        expect(field(page, len(scenes))).to_be_visible(timeout=PATIENCE_MS)
        self.use.write(page.get_by_label("Title of the project"), project["title"])
        expect_saved(page)

    def set_film(self, project: Described) -> None:
        page, use = self.page, self.use
        captions = project["output"]["captions"]
        use.choose(page.get_by_role("combobox", name="Size", exact=True), f"{project['canvas']['height']}p")
        use.upload(page.get_by_label("Upload music"), self.folder / project["music"]["audio"]["name"])
        use.choose(page.get_by_label("Volume"), VOLUMES[project["music"]["level_db"]])
        modes = {"both": "Both", "burned": "In the picture"}
        use.choose(page.get_by_role("combobox", name="Captions", exact=True), modes[captions["mode"]])
        use.choose(page.get_by_label("Spoken word"), "Yes")
        expect_saved(page)

    def set_scene(self, number: int, scene: Described) -> None:
        page = self.page
        field(page, number).click()
        expect(page.get_by_role("region", name=f"On screen in scene {number}", exact=True)).to_be_visible()
        if persona := scene.get("persona"):
            page.get_by_role("button", name=re.compile(f"^Presenter of scene {number}:")).click()
            dialog = page.get_by_role("dialog", name=f"Presenter of scene {number}")
            dialog.get_by_role("button", name=persona.title()).click()
            expect(dialog).to_be_hidden()
        self._set_marks(number, scene["script"])
        self._set_look(number, scene)
        for at, overlay in enumerate(scene.get("overlays", ()), 1):
            self.add_overlay(number, at, overlay)
        expect_saved(page)

    def _set_marks(self, number: int, script: str) -> None:
        page = self.page
        for mark in MARK.finditer(script):
            kind, value, stressed = mark.groups()
            before = len(without_marks(script[: mark.start()]).split())
            if stressed:
                self._choose_word(number, before)
                page.get_by_role("button", name="Emphasis", exact=True).click()
            elif before < len(without_marks(script).split()):
                self._choose_word(number, before)
                page.keyboard.press("ArrowLeft")
                self._press_mark(kind, value)
            else:
                field(page, number).click()
                page.keyboard.press("Control+End")
                self._press_mark(kind, value)

    def _press_mark(self, kind: str, value: str) -> None:
        if kind == "pause":
            assert value == "500ms", "the button has this one"
            self.page.get_by_role("button", name="Pause", exact=True).click()
        else:
            self.use.menu(self.page.get_by_role("button", name="Gesture"), value.replace("_", " "))

    def choose_word(self, number: int, word: str) -> None:
        words = without_marks(field(self.page, number).input_value()).split()
        self._choose_word(number, place_of({"word": word}, words))

    def _choose_word(self, number: int, word: int) -> None:
        """Clicks the spoken word with this index twice; again where the page has moved under the mouse."""
        script = field(self.page, number)
        text = script.input_value()
        spoken = [one for one in re.finditer(r"\[[^\]]*\]|\S+", text) if not one[0].startswith("[")]
        first = re.search(r"\w+", spoken[word][0])
        assert first is not None
        start, end = spoken[word].start() + first.start(), spoken[word].start() + first.end()
        for _ in range(MAX_CLICKS):
            # Not below the bar of the editor.
            script.evaluate("field => field.scrollIntoView({ block: 'center' })")
            self.page.mouse.dblclick(*script.evaluate(PLACE_OF_CHARACTER, (start + end) // 2))
            if script.evaluate("field => [field.selectionStart, field.selectionEnd]") == [start, end]:
                return
        raise AssertionError(f"“{first[0]}” of scene {number} cannot be chosen")

    def _set_look(self, number: int, scene: Described) -> None:
        page, use = self.page, self.use
        look = page.get_by_role("group", name=f"Look of scene {number}", exact=True)
        if mood := scene.get("mood"):
            use.choose(look.get_by_label("Mood"), mood)
        background = scene["background"]
        if background["kind"] == "set":
            use.choose(look.get_by_label("Background"), background["name"])
        else:
            use.choose(look.get_by_label("Background"), "Picture or clip…")
            self._choose_file(background[background["kind"]]["name"])
        if "layout" in scene:
            use.choose(look.get_by_label("Framing"), "In the left corner")
        elif framing := scene.get("camera", {}).get("framing"):
            use.choose(look.get_by_label("Framing"), FRAMINGS[framing])
        if transition := scene.get("transition", {}).get("kind"):
            use.choose(look.get_by_label("Begins with"), TRANSITIONS[transition])

    def _choose_file(self, name: str) -> None:
        """Uploads a file where it is needed first, and chooses it from there on."""
        dialog = self.page.get_by_role("dialog", name="Picture or clip")
        if name in self._uploaded:
            dialog.get_by_role("button", name=name).first.click()
        else:
            self.use.upload(dialog.get_by_label("Choose a file"), self.folder / name)
        self._uploaded.add(name)
        expect(dialog).to_be_hidden(timeout=PATIENCE_MS)

    def add_overlay(self, number: int, at: int, overlay: Described) -> None:
        page, use, kind = self.page, self.use, overlay["kind"]
        words = without_marks(field(page, number).input_value()).split()
        if start := overlay.get("start"):
            self._choose_word(number, place_of(start, words))
        else:
            field(page, number).click()
            page.keyboard.press("Control+Home")
        use.menu(page.get_by_role("button", name="Add ▾"), ADD[kind])
        if kind in ("image", "video"):
            self._choose_file(overlay[kind]["name"])
        label = f"{NAMES[kind]} {at}"
        layer = page.locator(".on-screen .layer").nth(at - 1)
        expect(layer).to_be_visible()
        for name, words_of in TEXTS.get(kind, {}).items():
            if name in overlay:
                use.write(layer.get_by_label(f"{label}: {words_of}", exact=True), overlay[name])
        if kind == "list":
            points = layer.get_by_label(f"{label}: points, one a line")
            use.write(points, "\n".join(item["text"] for item in overlay["items"]))
            layer.get_by_text("When each point comes").click()
            for place, item in enumerate(overlay["items"], 1):
                self._choose_moment(layer, f"{label}: point {place} comes", item.get("at"), words)
        if kind == "highlight":
            if overlay.get("shape") == "ellipse":
                use.choose(layer.get_by_label(f"{label}: shape"), "Ellipse")
            layer.get_by_label("Darken the rest").set_checked("dim" in overlay)
        self._choose_moment(layer, f"{label} goes", overlay.get("end"), words)
        self._place(layer, label, overlay)

    def _choose_moment(self, layer: Locator, label: str, anchor: Described | None, words: list[str]) -> None:
        if anchor:
            place = place_of(anchor, words)
            self.use.choose(layer.get_by_label(label, exact=True), f"{place + 1} · {words[place]}")

    def _place(self, layer: Locator, label: str, overlay: Described) -> None:
        box = overlay.get("box")
        if box == WHOLE and overlay["kind"] in ("image", "video"):
            self.use.choose(layer.get_by_label(f"{label}: place", exact=True), "Over the whole picture")
            return
        sides = {"left": "x", "top": "y", "width": "width", "height": "height"}
        numbers = {} if box is None else {name: box[side] for name, side in sides.items()}
        for end in ("tail", "head"):
            if end in overlay:
                numbers |= {f"{end}, left": overlay[end]["x"], f"{end}, top": overlay[end]["y"]}
        if not numbers:
            return
        layer.locator("summary", has_text="Place on the picture").click()
        for name, share in numbers.items():
            self.use.write(layer.get_by_label(f"{label}: {name}", exact=True), f"{share * 100:.1f}")


def place_of(anchor: Described, words: list[str]) -> int:
    """Returns the index of the word that an anchor stands on."""
    keys = [re.sub(r"[^\w]", "", word).lower() for word in words]
    places = [at for at, key in enumerate(keys) if key == anchor["word"].lower()]
    return places[anchor.get("occurrence", 1) - 1]
