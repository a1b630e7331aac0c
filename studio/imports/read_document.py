"""Reads one document: `python -I read_document.py KIND FILE FOLDER` writes JSON to standard output and its
pictures into the folder.

Runs as a process of its own with limits on memory, processor time and file size, because documents come from
strangers. It imports nothing of ours. A section of the JSON is a slide, or what stands below a heading.
"""

from __future__ import annotations

import hashlib
import json
import re
import resource
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEMORY_BYTES = 2 << 30
PROCESSOR_S = 60
MAX_ENTRIES = 10_000
MAX_UNPACKED_BYTES = 512 << 20
MAX_PART_BYTES = 128 << 20
"""Of one XML part; a bomb of zeros is far above."""
MAX_PICTURES = 300
MAX_SECTIONS = 2000
MAX_TEXT_CHARS = 2_000_000
TOO_LARGE, UNREADABLE = 3, 4

# Emphasis, for whoever makes a script of it: private characters that no document has.
STRONG, END = "\ue000", "\ue001"
_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\n((?:[A-Za-z_][^\n]*\n|[ \t#-][^\n]*\n|\n){0,200})---[ \t]*(?:\n|\Z)"
)
_TITLE = re.compile(r"^title:[ \t]*(.+)$", re.MULTILINE)
_BLANKS = re.compile(r"[ \t\u00a0\v\r\n]+")
_GENERIC_TITLES = frozenset(("powerpoint presentation", "powerpoint-präsentation", "word document", "title"))


class TooLargeError(ValueError):
    """Raised for what would be more than the limits allow."""


class Reader:
    """Collects the sections of a document, and what of it is left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.title = ""
        self.sections: list[dict[str, Any]] = []
        self.left_out: dict[str, int] = {}
        self._pictures: dict[str, str] = {}

    def begin(self, title: str = "") -> dict[str, Any]:
        if len(self.sections) >= MAX_SECTIONS:
            raise TooLargeError("sections")
        self.sections.append({"title": _line(title), "script": [], "shown": []})
        return self.sections[-1]

    @property
    def section(self) -> dict[str, Any]:
        return self.sections[-1] if self.sections else self.begin()

    def leave_out(self, what: str) -> None:
        self.left_out[what] = self.left_out.get(what, 0) + 1

    def say(self, text: str) -> None:
        if line := _line(text):
            self.section["script"].append(line)

    def picture(self, content: bytes) -> str | None:
        """Returns the name of the file that holds it; equal pictures share one."""
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self._pictures:
            if len(self._pictures) >= MAX_PICTURES:
                self.leave_out("pictures")
                return None
            self._pictures[digest] = f"{len(self._pictures)}.picture"
            (self.folder / self._pictures[digest]).write_bytes(content)
        return self._pictures[digest]

    def document(self) -> dict[str, Any]:
        spoken = sum(len(line) for section in self.sections for line in section["script"])
        if spoken > MAX_TEXT_CHARS:
            raise TooLargeError("text")
        filled = [one for one in self.sections if one["script"] or one["shown"]]
        return {"title": self.title, "sections": filled, "left_out": self.left_out}


def read_text(path: Path, reader: Reader) -> None:
    """One section with the whole text: it is divided where its paragraphs and headings are."""
    reader.begin()["script"].append(_decode(path).replace("\r\n", "\n"))


def read_markdown(path: Path, reader: Reader) -> None:
    from markdown_it import MarkdownIt

    text = _decode(path).replace("\r\n", "\n")
    if match := _FRONT_MATTER.match(text):
        named = _TITLE.search(match[1])
        reader.title = named[1].strip().strip("\"'") if named else ""
        text = text[match.end() :]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings = [token for token in tokens if token.type == "heading_open"]
    top = [token for token in headings if token.tag == "h1"]
    inside_table, inside_item, heading = 0, 0, ""
    for token in tokens:
        if token.type in ("table_open", "table_close"):
            inside_table += 1 if token.nesting == 1 else -1
            if token.nesting == 1:
                reader.leave_out("tables")
        elif token.type in ("list_item_open", "list_item_close"):
            inside_item += token.nesting
        elif token.type in ("fence", "code_block"):
            reader.leave_out("code blocks")
        elif token.type == "hr" and reader.sections and reader.section["script"]:
            reader.begin()
        elif token.type in ("heading_open", "heading_close"):
            heading = token.tag if token.nesting == 1 else ""
        elif token.type == "inline" and not inside_table:
            spoken_text = _inline(token.children or [], reader)
            if heading in ("h1", "h2", "h3"):
                plain = spoken_text.replace(STRONG, "").replace(END, "")
                if heading == "h1" and len(top) == 1 and not reader.title:
                    reader.title = _line(plain)
                reader.begin(plain)
            else:
                reader.say(_ended(spoken_text) if inside_item or heading else spoken_text)


def _inline(tokens: list[Any], reader: Reader) -> str:
    spoken_text = ""
    for token in tokens:
        if token.type in ("text", "code_inline"):
            spoken_text += token.content
        elif token.type in ("softbreak", "hardbreak"):
            spoken_text += " "
        elif (
            token.type in ("em_open", "strong_open")
            and STRONG not in spoken_text[spoken_text.rfind(END) + 1 :]
        ):
            spoken_text += STRONG
        elif (
            token.type in ("em_close", "strong_close") and STRONG in spoken_text[spoken_text.rfind(END) + 1 :]
        ):
            spoken_text += END
        elif token.type == "image":
            reader.leave_out("linked pictures")
    return spoken_text


def read_html(path: Path, reader: Reader) -> None:
    """The main text of a web page, without menus, advertisements and comments."""
    import trafilatura

    found: Any = trafilatura.bare_extraction(
        path.read_bytes(), include_comments=False, include_tables=False, with_metadata=True
    )
    if found is None or found.body is None:
        return
    reader.title = _line(found.title or "")
    for element in found.body.iter("head", "item", "p", "quote", "code"):
        if element.tag == "head":
            plain = "".join(element.itertext())
            if _line(plain) != reader.title:
                reader.begin(plain)
        elif element.tag == "item":
            reader.say(_ended("".join(element.itertext())))
        elif element.tag in ("p", "quote") and not _is_inside(element, ("item", "quote")):
            reader.say("".join(element.itertext()))
        elif element.tag == "code":
            reader.leave_out("code blocks")


def _is_inside(element: Any, tags: tuple[str, ...]) -> bool:
    return any(parent.tag in tags for parent in element.iterancestors())


def read_docx(path: Path, reader: Reader) -> None:
    import docx
    from docx.text.paragraph import Paragraph

    document = docx.Document(str(path))
    reader.title = _named(document.core_properties.title)
    for block in document.iter_inner_content():
        if not isinstance(block, Paragraph):
            reader.leave_out("tables")
            continue
        style = (block.style.style_id or "").lower() if block.style is not None else ""
        if style == "title":
            reader.title = _line(block.text) or reader.title
        elif re.fullmatch(r"(?:heading|berschrift|titre)[1-3]", style):
            reader.begin(block.text)
        elif style.startswith("list") or (block._p.pPr is not None and block._p.pPr.numPr is not None):
            reader.say(_ended(block.text))
        elif not style.startswith("toc"):
            reader.say(block.text)
        for embedded in block._p.xpath(".//a:blip/@r:embed"):
            part = document.part.related_parts.get(embedded)
            if part is None or not (name := reader.picture(part.blob)):
                continue
            reader.section["shown"].append(
                {"kind": "picture", "file": name, "after": len(reader.section["script"])}
            )


def read_pptx(path: Path, reader: Reader) -> None:
    import pptx

    deck = pptx.Presentation(str(path))
    width, height = deck.slide_width or 1, deck.slide_height or 1
    reader.title = _named(deck.core_properties.title)
    for slide in deck.slides:
        if slide._element.get("show") == "0":
            reader.leave_out("hidden slides")
            continue
        title = slide.shapes.title
        section = reader.begin(title.text_frame.text if title is not None else "")
        section["aspect"] = width / height
        lines: list[str] = []
        for shape, box in _shapes(slide.shapes, (width, height)):
            if title is not None and shape.shape_id == title.shape_id:
                continue
            lines += _read_shape(shape, box, section, reader)
        notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        spoken = [_line(line) for line in (notes.text if notes is not None else "").splitlines()]
        section["notes"] = any(spoken)
        section["script"] = [line for line in spoken if line] or [
            _ended(line) for line in [section["title"], *lines] if line
        ]
        if (
            title is not None
            and title.is_placeholder
            and "CENTER_TITLE" in str(title.placeholder_format.type)
        ):
            section["card"] = {"title": section["title"], "subtitle": " ".join(lines)[:300]}
            section["shown"] = [one for one in section["shown"] if one["kind"] != "list"]
        if not reader.title:
            reader.title = section["title"]


def _shapes(shapes: Any, size: tuple[int, int]) -> Iterator[tuple[Any, list[float]]]:
    """Each shape with its box in fractions of the slide, those of groups too."""
    for shape in shapes:
        left, top, wide, high = (shape.left or 0, shape.top or 0, shape.width or 0, shape.height or 0)
        box = [left / size[0], top / size[1], wide / size[0], high / size[1]]
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes, size)
        else:
            yield shape, box


def _read_shape(shape: Any, box: list[float], section: dict[str, Any], reader: Reader) -> list[str]:
    """Returns the lines of its text; what is seen of it goes into the section."""
    kind = str(shape.placeholder_format.type) if shape.is_placeholder else ""
    if any(name in kind for name in ("SLIDE_NUMBER", "FOOTER", "DATE")):
        return []
    image = _image(shape)
    if image is not None:
        if name := reader.picture(image.blob):
            crop = [shape.crop_left, shape.crop_top, shape.crop_right, shape.crop_bottom]
            shown = {"kind": "picture", "file": name, "box": box, "crop": crop, "name": _line(shape.name)}
            section["shown"].append(shown)
        return []
    if getattr(shape, "has_table", False) and shape.has_table:
        reader.leave_out("tables")
    elif getattr(shape, "has_chart", False) and shape.has_chart:
        reader.leave_out("charts")
    elif shape.has_text_frame:
        lines = [_line(one.text) for one in shape.text_frame.paragraphs]
        lines = [line for line in lines if line]
        if lines:
            section["shown"].append({"kind": "list", "items": lines, "box": box})
        return lines
    return []


def _image(shape: Any) -> Any:
    """The picture of a shape, None where it has none in the file."""
    try:
        return shape.image
    except (AttributeError, ValueError, KeyError):
        return None


def _decode(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        raise ValueError("no text")
    return text


def _line(text: str) -> str:
    return "".join(
        char for char in _BLANKS.sub(" ", text) if char.isprintable() or char in STRONG + END
    ).strip()


def _ended(text: str) -> str:
    """A point of a list as a sentence."""
    line = _line(text)
    return line if not line or line[-1] in ".!?…:;,。！？" + END else f"{line}."


def _named(title: str | None) -> str:
    line = _line(title or "")
    return "" if line.casefold() in _GENERIC_TITLES else line


def check_archive(path: Path) -> None:
    """Raises TooLargeError for an archive that would unpack to more than the limits."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if len(entries) > MAX_ENTRIES or sum(one.file_size for one in entries) > MAX_UNPACKED_BYTES:
        raise TooLargeError("archive")
    for one in entries:
        if one.filename.endswith((".xml", ".rels")) and one.file_size > MAX_PART_BYTES:
            raise TooLargeError("part")


READERS = {
    "text": read_text, "markdown": read_markdown, "html": read_html, "docx": read_docx, "pptx": read_pptx,
}  # fmt: skip


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_UNPACKED_BYTES, MAX_UNPACKED_BYTES))
    kind, path, reader = sys.argv[1], Path(sys.argv[2]), Reader(Path(sys.argv[3]))
    try:
        if kind in ("docx", "pptx"):
            check_archive(path)
        READERS[kind](path, reader)
        document = reader.document()
    except (TooLargeError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return TOO_LARGE
    # The libraries raise what their decoders raise: of a stranger's file anything.
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return UNREADABLE
    json.dump(document, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
