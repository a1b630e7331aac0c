"""Documents become scenes: slides with their notes, headings, pages; broken ones leave nothing behind."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
import httpx
import pptx
import pytest
from loopback_http import Reply, Request, serving
from PIL import Image
from pptx.util import Inches

from soundstage.database import Database
from soundstage.settings import Settings
from soundstage.settings.outgoing import DownloadSettings
from studio.imports import read_document
from studio.imports.scenes import as_script
from studio.references.repository import References
from studio.wiring import Studio

MARKDOWN = """---
title: Bees
---
# Bees

Bees are *small*. [pause 300ms] They work [sic].

## Honey

- sweet
- golden

```py
x = 1
```

| a | b |
|---|---|
| 1 | 2 |
"""
PAGE = f"""<html lang=en><head><title>Owls at night</title></head><body>
<nav><a href=/>Home</a> <a href=/shop>Our shop</a></nav>
<article><h1>Owls at night</h1><p>{"Owls hunt in the dark and hear very well. " * 6}</p>
<h2>Their ears</h2><p>{"The ears of an owl are at different heights. " * 5}</p></article>
<footer>All rights reserved</footer></body></html>"""


def png(colour: str) -> io.BytesIO:
    written = io.BytesIO()
    Image.new("RGB", (80, 60), colour).save(written, "PNG")
    written.seek(0)
    return written


def deck() -> bytes:
    """A title, points with notes, two pictures with notes, a slide without notes, and a hidden one."""
    document = pptx.Presentation()
    document.slide_width, document.slide_height = Inches(13.333), Inches(7.5)
    title = document.slides.add_slide(document.slide_layouts[0])
    title.shapes.title.text, title.placeholders[1].text = "How tides work", "Why the sea comes and goes"
    points = document.slides.add_slide(document.slide_layouts[1])
    points.shapes.title.text = "Three causes"
    points.placeholders[1].text_frame.text = "The moon pulls"
    points.placeholders[1].text_frame.add_paragraph().text = "The coast decides"
    points.notes_slide.notes_text_frame.text = (
        "Three things. [pause 300ms] First the moon [sic].\nThen the coast."
    )
    pictures = document.slides.add_slide(document.slide_layouts[5])
    pictures.shapes.title.text = "The bulges"
    pictures.shapes.add_picture(png("navy"), Inches(1), Inches(2), Inches(5))
    pictures.shapes.add_picture(png("teal"), Inches(7), Inches(2), Inches(5))
    pictures.notes_slide.notes_text_frame.text = "Look from above."
    plain = document.slides.add_slide(document.slide_layouts[1])
    plain.shapes.title.text, plain.placeholders[1].text_frame.text = "Summary", "Twice a day"
    plain.shapes.add_picture(png("navy"), Inches(1), Inches(2), Inches(5))
    hidden = document.slides.add_slide(document.slide_layouts[1])
    hidden.shapes.title.text = "Do not show"
    hidden._element.set("show", "0")
    return bytes_of(document)


def letter() -> bytes:
    document = docx.Document()
    document.add_heading("Bridges", 0)
    document.add_paragraph("An opening paragraph.")
    document.add_heading("Arches", 1)
    document.add_paragraph("An arch carries by pressure.")
    document.add_picture(png("maroon"))
    document.add_paragraph("Stones", style="List Bullet")
    document.add_heading("Cables", 1)
    document.add_paragraph("A cable carries by tension.")
    document.add_table(2, 2)
    return bytes_of(document)


def bytes_of(document: Any) -> bytes:
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()


async def send(client: httpx.AsyncClient, content: bytes, name: str, path: str = "", **fields: str) -> Any:
    return await client.post(f"/api/imports{path}", files={"file": (name, content)}, data=fields)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"downloads": DownloadSettings(loopback=True, timeout_s=20)})


async def test_slides_become_scenes_with_their_notes_points_and_pictures(client: httpx.AsyncClient) -> None:
    answer = await send(client, deck(), "deck.pptx")
    assert answer.status_code == 201, answer.text
    result = answer.json()
    card, points, pictures, summary = result["scenes"]
    assert (result["project"]["title"], card["script"], card["duration_ms"]) == ("How tides work", "", 4000)
    assert card["overlays"][0]["subtitle"] == "Why the sea comes and goes"
    assert points["script"] == "Three things. [pause 300ms] First the moon \\[sic].\n\nThen the coast."
    assert [item["text"] for item in points["overlays"][0]["items"]] == [
        "The moon pulls",
        "The coast decides",
    ]
    assert (points["camera"]["framing"], pictures["script"]) == ("side_left", "Look from above.")
    _, left, right = pictures["overlays"]
    assert left["image"]["sha256"] != right["image"]["sha256"]
    # Side by side as on the slide, right of the speaker.
    assert 0.45 < left["box"]["x"] < left["box"]["x"] + left["box"]["width"] < right["box"]["x"]
    assert right["box"]["x"] + right["box"]["width"] <= 0.96
    assert summary["script"] == "Summary.\n\nTwice a day."
    assert summary["overlays"][-1]["image"]["sha256"] == left["image"]["sha256"]
    assert len(result["assets"]) == 2 and result["notices"] == ["1 hidden slide is left out."]
    listed = (await client.get("/api/assets", params={"project": result["project"]["id"]})).json()
    assert {asset["id"] for asset in listed} == {asset["id"] for asset in result["assets"]}


async def test_a_film_can_be_ordered_of_imported_slides(client: httpx.AsyncClient) -> None:
    project = (await send(client, deck(), "deck.pptx")).json()["project"]["slug"]
    answer = await client.post("/api/renders", json={"project": project})
    assert answer.status_code == 202, answer.text


async def test_sections_of_a_word_document_become_scenes(client: httpx.AsyncClient) -> None:
    result = (await send(client, letter(), "letter.docx")).json()
    assert result["project"]["title"] == "Bridges"
    assert [(one["title"], one["script"]) for one in result["scenes"]] == [
        ("An opening paragraph", "An opening paragraph."),
        ("Arches", "An arch carries by pressure.\n\nStones."),
        ("Cables", "A cable carries by tension."),
    ]
    assert [len(one["overlays"]) for one in result["scenes"]] == [0, 1, 0]
    assert result["notices"] == ["1 table is left out."]


async def test_markdown_becomes_an_outline_first_and_nothing_is_made(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/imports/plan", json={"text": MARKDOWN})
    outline = answer.json()
    assert answer.status_code == 200 and (await client.get("/api/projects")).json() == []
    assert (outline["kind"], outline["title"], outline["pictures"]) == ("markdown", "Bees", 0)
    assert [(one["title"], one["script"]) for one in outline["scenes"]] == [
        ("Bees", "Bees are *small*. [pause 300ms] They work \\[sic]."),
        ("Honey", "sweet.\n\ngolden."),
    ]
    assert outline["notices"] == ["1 code block is left out.", "1 table is left out."]
    assert outline["seconds"] == pytest.approx(sum(one["seconds"] for one in outline["scenes"]))


async def test_a_web_page_is_read_without_its_menus_and_redirects_are_followed(
    client: httpx.AsyncClient,
) -> None:
    async def answer(request: Request) -> Reply | None:
        if request.path == "/old":
            return Reply(302, b"", headers={"location": "/owls"})
        return Reply(200, PAGE.encode(), headers={"content-type": "text/html; charset=utf-8"})

    async with serving(answer) as url:
        result = (await client.post("/api/imports", json={"url": f"{url}/old", "language": "en-gb"})).json()
    assert result["project"]["title"] == "Owls at night"
    assert [one["title"] for one in result["scenes"]] == [
        "Owls hunt in the dark and hear very well",
        "Their ears",
    ]
    spoken = " ".join(one["script"] for one in result["scenes"])
    assert "Our shop" not in spoken and "All rights" not in spoken
    assert {one["language"] for one in result["scenes"]} == {"en-gb"}


async def test_addresses_of_private_networks_are_refused_behind_redirects_too(
    client: httpx.AsyncClient,
) -> None:
    async def answer(request: Request) -> Reply | None:
        return Reply(302, b"", headers={"location": "http://10.0.0.7/secret"})

    async with serving(answer) as url:
        refused = await client.post("/api/imports", json={"url": f"{url}/"})
    assert refused.json()["code"] == "outgoing.address_refused"
    missing = await client.post("/api/imports", json={"url": "https://nowhere.invalid/"})
    assert missing.json()["code"] == "outgoing.unknown_host"
    for wrong in ("http://[", "ftp://a.example/x", "tides", "http://a\u0000b/"):
        answer = await client.post("/api/imports/plan", json={"url": wrong})
        assert answer.status_code == 422 and answer.json()["code"] in ("import.bad_url", "outgoing.bad_url")


async def test_more_scenes_come_behind_those_of_a_project(client: httpx.AsyncClient) -> None:
    project = (await client.post("/api/projects", json={"title": "Mine"})).json()["slug"]
    await client.post(f"/api/projects/{project}/scenes", json={"script": "First."})
    for _ in range(2):
        answer = await send(client, b"Second one.\n\nThird one.", "notes.txt", project=project)
        assert answer.status_code == 201
    listed = (await client.get(f"/api/projects/{project}/scenes")).json()
    assert [one["script"] for one in listed] == ["First.", *["Second one.", "Third one."] * 2]
    unknown = await send(client, b"Text.", "notes.txt", project="nothing")
    assert unknown.json()["code"] == "project.not_found"


def bomb() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * (read_document.MAX_PART_BYTES + 1))
    return written.getvalue()


def with_entities() -> bytes:
    """A Word file whose text names a file of this machine, and grows by entities."""
    whole, written = io.BytesIO(letter()), io.BytesIO()
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(written, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "word/document.xml":
                doctype = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
                content = content.replace(b"<w:document", doctype + b"<w:document", 1)
                content = content.replace(b"An opening paragraph.", b"An opening &x; paragraph.")
            new.writestr(entry, content)
    return written.getvalue()


def refusals() -> Iterator[tuple[bytes, str, str]]:
    yield deck()[:-4000], "deck.pptx", "import.unreadable"
    yield letter()[:6000], "letter.docx", "import.unreadable"
    yield b"PK nothing", "slides.PPTX", "import.unreadable"
    yield b"", "slides.pptx", "import.empty"
    yield b"A letter that is plain text.", "letter.docx", "import.unreadable"
    yield b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old.ppt", "import.old_format"
    yield b"%PDF-1.7 text", "paper.pdf", "import.unknown_type"
    yield bytes(range(256)), "noise.bin", "import.unknown_type"
    yield b"  \n ", "empty.md", "import.empty"
    yield b"```\ncode\n```", "code.md", "import.empty"
    yield bomb(), "bomb.docx", "import.too_large"


@pytest.mark.parametrize(("content", "name", "code"), list(refusals()), ids=lambda one: str(one)[:16])
async def test_a_broken_document_is_refused_in_clear_words_and_leaves_nothing(
    client: httpx.AsyncClient, settings: Settings, content: bytes, name: str, code: str
) -> None:
    answer = await send(client, content, name)
    assert (answer.json()["code"], answer.status_code >= 400) == (code, True)
    assert answer.json()["detail"] and answer.json()["hint"]
    assert (await client.get("/api/projects")).json() == [] == (await client.get("/api/assets")).json()
    assert list((settings.state_dir / "imports").iterdir()) == []


async def test_entities_of_a_document_read_no_file(client: httpx.AsyncClient) -> None:
    answer = await send(client, with_entities(), "letter.docx")
    assert "root:" not in answer.text


async def test_what_fails_in_the_middle_leaves_no_project_and_no_picture(
    client: httpx.AsyncClient, studio_rooms: Studio, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise OSError("the database is gone")

    monkeypatch.setattr("studio.imports.service.append_scenes", fail)
    with pytest.raises(OSError, match="gone"):
        await send(client, deck(), "deck.pptx")
    assert (await client.get("/api/projects")).json() == [] == (await client.get("/api/assets")).json()
    async with db.session() as session:
        assert await References(session).all_hashes() == set()
    assert [one async for one in studio_rooms.imports.blobs.iterate()] == []


@pytest.mark.parametrize(
    ("prose", "script"),
    [
        ("See [note] and [pause 2s].", "See \\[note] and [pause 2s]."),
        ("Be [mood warm], not [mood purple].", "Be [mood warm], not \\[mood purple]."),
        ("if a <b and c> d", "if a \\<b and c> d"),
        ("[1] stays", "[1] stays"),
        ("[Speaker 2] Yes.", "\\[Speaker 2] Yes."),
    ],
)
def test_what_only_looks_like_a_mark_is_spoken(prose: str, script: str) -> None:
    assert as_script(prose) == script


async def test_too_many_scenes_and_wrong_fields_are_named(client: httpx.AsyncClient, tmp_path: Path) -> None:
    long = "\n".join(f"# Part {number}\n\nText.\n" for number in range(40))
    answer = await client.post("/api/imports", json={"text": long})
    assert answer.json()["code"] == "import.too_many_scenes"
    for body in ({}, {"text": "a", "url": "https://a"}, {"text": "a", "colour": "red"}):
        assert (await client.post("/api/imports", json=body)).json()["code"] == "import.bad_options"
    assert (await client.post("/api/imports", content=b"x")).json()["code"] == "import.bad_form"
