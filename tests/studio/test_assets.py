"""Uploads: told apart by their bytes, streamed, limited, and never trusted by name or header."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from soundstage.errors import Invalid, NotFound, TooLarge
from studio.assets.models import Asset
from studio.assets.schemas import AssetLabels
from studio.assets.service import plain_name
from studio.assets.sniffing import sniff
from studio.downloads import file_answer

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64)
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(64)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (JPEG, "image/jpeg"),
        (PNG, "image/png"),
        (b"GIF89a" + bytes(20), "image/gif"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "image/heic"),
        (b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00", "image/avif"),
        (b"II*\x00" + bytes(20), "image/tiff"),
        (b"BM" + bytes(12) + b"\x28\x00\x00\x00" + bytes(20), "image/bmp"),
        (MP4, "video/mp4"),
        (b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00", "video/quicktime"),
        (b"\x00\x00\x00\x08wide\x00\x00\x10\x00mdat", "video/quicktime"),
        (b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f\x42\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f\x42\x82\x88matroska", "video/x-matroska"),
        (b"RIFF\x10\x00\x00\x00AVI LIST", "video/x-msvideo"),
        ((b"\x47" + bytes(187)) * 3, "video/mp2t"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00", "audio/mp4"),
        (WAV, "audio/wav"),
        (b"ID3\x04\x00" + bytes(20), "audio/mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(20), "audio/mpeg"),
        (b"\xff\xf1\x50\x80" + bytes(20), "audio/aac"),
        (b"fLaC" + bytes(20), "audio/flac"),
        (b"OggS" + bytes(24) + b"\x01vorbis", "audio/ogg"),
        (b"PK\x03\x04" + bytes(22) + b"\x0b\0\0\0version.npy", "application/x-npz"),
        (b'{"version": 1, "fps": 25.0, "kp": [', "application/json"),
    ],
)
def test_a_file_is_known_by_its_first_bytes(head: bytes, media_type: str) -> None:
    assert sniff(head).media_type == media_type


@pytest.mark.parametrize(
    "head",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<html><body>hi</body></html>",
        b"%PDF-1.7",
        b"PK\x03\x04zip",
        b"PK\x03\x04" + bytes(22) + b"\x08\0\0\0evil.exe\0\0.npy",
        b'{"openapi": "3.1.0", "info": {"version": "1"}}',
        b"\x7fELF\x02\x01",
        b"#!/bin/sh\n",
        b"plain text",
        b"\xff\xff\xff\xff\xff",
        b"BMW is a car maker, this is no bitmap",
        b"\x00",
    ],
)
def test_anything_else_is_refused(head: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        sniff(head)
    assert caught.value.code == "upload.unknown_type" and "JPEG" in caught.value.hint


async def test_a_form_upload_becomes_an_asset_of_the_kind_of_its_bytes(client: Any) -> None:
    files = {"file": ("C:\\Users\\me\\../photo.exe", JPEG, "application/x-msdownload")}
    created = await client.post("/api/assets", files=files)
    assert created.status_code == 201, created.text
    asset = created.json()
    assert (asset["kind"], asset["media_type"], asset["bytes"]) == ("image", "image/jpeg", len(JPEG))
    assert asset["name"] == "photo.exe"
    digits = asset["sha256"].removeprefix("sha256:")
    assert asset["path"] == f"{digits[:2]}/{digits}"
    assert {"kind", "path", "duration_ms", "metadata"} <= asset.keys()


UNSTORABLE = [
    '{"a": "\\ud800"}',
    '{"\\udfff": 1}',
    '{"a": ["\\u0000"]}',
    '{"a": NaN}',
    '{"a": ' + "[" * 90 + "]" * 90 + "}",
]


@pytest.mark.parametrize("metadata", UNSTORABLE)
async def test_metadata_that_no_answer_could_show_is_refused_at_every_door(
    client: Any, metadata: str
) -> None:
    json_body = {"Content-Type": "application/json"}
    remaining = (await client.post("/api/assets", content=JPEG)).json()
    reported = base64.b64encode(metadata.encode()).decode()
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "9", "Upload-Metadata": f"metadata {reported}"}
    change = f'{{"metadata": {metadata}}}'
    draft = f'{{"sha256": "{remaining["sha256"]}", "metadata": {metadata}}}'
    answers = [
        await client.post("/api/assets", files={"file": ("a.jpg", JPEG)}, data={"metadata": metadata}),
        await client.post("/api/assets", params={"metadata": metadata}, content=JPEG),
        await client.post("/api/assets", content=draft, headers=json_body),
        await client.patch(f"/api/assets/{remaining['id']}", content=change, headers=json_body),
        await client.post("/api/uploads", headers=tus),
    ]
    assert [one.status_code for one in answers] == [422] * 5
    # Half a pair in a JSON body goes no further than to whoever reads the body.
    codes = [one.json()["code"].replace("request.bad_text", "asset.bad_labels") for one in answers]
    assert codes == ["asset.bad_labels"] * 5
    listed = await client.get("/api/assets")
    assert (listed.status_code, [one["metadata"] for one in listed.json()]) == (200, [{}])


async def test_metadata_from_before_it_was_checked_breaks_no_list(client: Any, db: Any) -> None:
    remaining = (await client.post("/api/assets", content=JPEG)).json()
    async with db.transaction() as session:
        (await session.get(Asset, remaining["id"])).details = {"a": "\ud800"}
    [shown] = (await client.get("/api/assets")).json()
    assert shown["metadata"] == {"a": "\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("metadata", ["{", "[" * 2000, "9" * 5000, "[1]"])
async def test_metadata_that_is_no_json_object_is_refused(client: Any, metadata: str) -> None:
    files = {"file": ("photo.jpg", JPEG, "image/jpeg")}
    refused = await client.post("/api/assets", files=files, data={"metadata": metadata})
    assert (refused.status_code, refused.json()["code"]) == (422, "asset.bad_labels")


async def test_labels_may_stand_before_or_after_the_file(client: Any) -> None:
    project = (await client.post("/api/projects", json={"title": "P"})).json()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + WAV + b"\r\n"
        b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\ntts_audio\r\n'
        b'--x\r\nContent-Disposition: form-data; name="project"\r\n\r\n' + project["slug"].encode() + b"\r\n"
        b'--x\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"take": 3}\r\n'
        b'--x\r\nContent-Disposition: form-data; name="duration_ms"\r\n\r\n1500\r\n--x--\r\n'
    )
    created = await client.post(
        "/api/assets", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    asset = created.json()
    assert (asset["kind"], asset["duration_ms"], asset["metadata"]) == ("tts_audio", 1500, {"take": 3})
    assert asset["project_id"] == project["id"]
    assert [one["id"] for one in (await client.get("/api/assets?project=p&kind=tts_audio")).json()] == [
        asset["id"]
    ]


async def test_a_raw_body_is_taken_too(client: Any) -> None:
    created = await client.post(
        "/api/assets?name=clip.mp4&kind=screen_capture", content=MP4, headers={"Content-Type": "video/mp4"}
    )
    assert (created.json()["kind"], created.json()["name"]) == ("screen_capture", "clip.mp4")


def store(settings: Any) -> list[Path]:
    found = Path(settings.blobs_url).rglob("*")
    return [path for path in found if path.is_file() and path.name != "lock"]


async def endless() -> AsyncIterator[bytes]:
    yield JPEG
    for _ in range(200):
        yield b"\0" * 65536


async def test_a_file_over_the_limit_is_refused_while_it_comes_and_nothing_is_kept(
    client: Any, settings: Any
) -> None:
    answer = await client.post("/api/assets", content=endless(), headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 413, answer.text
    text = await client.post("/api/assets", files={"file": ("a.jpg", JPEG + bytes(3 << 20))})
    assert text.status_code == 413
    assert store(settings) == []


async def test_the_service_itself_counts_what_comes(studio_rooms: Any, settings: Any) -> None:
    with pytest.raises(TooLarge) as caught:
        await studio_rooms.assets.upload(endless(), AssetLabels())
    assert caught.value.hint and store(settings) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "upload.empty"),
        (b"<svg/>", "upload.unknown_type"),
    ],
)
async def test_what_is_no_media_is_refused_and_not_kept(
    client: Any, settings: Any, content: bytes, code: str
) -> None:
    for answer in (
        await client.post("/api/assets", files={"file": ("x.jpg", content, "image/jpeg")}),
        await client.post("/api/assets", content=content, headers={"Content-Type": "image/jpeg"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert store(settings) == []


async def test_broken_forms_are_refused_with_a_sentence(client: Any) -> None:
    async def send(body: bytes, boundary: str = "x") -> Any:
        kind = f"multipart/form-data; boundary={boundary}" if boundary else "multipart/form-data"
        return await client.post("/api/assets", content=body, headers={"Content-Type": kind})

    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    cut = await send(start + JPEG)
    assert (cut.status_code, cut.json()["code"]) == (422, "upload.broken_form")
    assert (await send(start + JPEG, boundary="")).json()["code"] == "upload.broken_form"
    assert (await send(b"nonsense")).json()["code"] == "upload.broken_form"
    two = await send(start + JPEG + b"\r\n" + start + JPEG + b"\r\n--x--\r\n")
    assert two.json()["code"] == "upload.one_file"
    label = b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\nhologram\r\n'
    bad = await send(label + start + JPEG + b"\r\n--x--\r\n")
    assert (bad.json()["code"], "kind" in bad.json()["detail"]) == ("asset.bad_labels", True)


async def test_a_kind_that_the_bytes_cannot_be_is_refused(client: Any) -> None:
    answer = await client.post("/api/assets", files={"file": ("a.wav", WAV)}, data={"kind": "avatar_image"})
    assert (answer.status_code, answer.json()["code"]) == (422, "asset.kind_mismatch")


async def test_a_download_says_what_the_bytes_are_and_serves_ranges(client: Any) -> None:
    asset = (await client.post("/api/assets", files={"file": ("a.jpg", JPEG)})).json()
    whole = await client.get(asset["url"])
    assert whole.content == JPEG and whole.headers["content-type"] == "image/jpeg"
    assert whole.headers["x-content-type-options"] == "nosniff" and whole.headers["accept-ranges"] == "bytes"
    part = await client.get(asset["url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, JPEG[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(JPEG)}"
    tail = await client.get(asset["url"], headers={"Range": "bytes=-5"})
    assert tail.content == JPEG[-5:]
    beyond = await client.get(asset["url"], headers={"Range": "bytes=999999-"})
    assert beyond.status_code == 416


async def test_labels_change_and_the_asset_can_be_deleted(client: Any) -> None:
    asset = (await client.post("/api/assets", files={"file": ("a.jpg", JPEG)})).json()
    changed = await client.patch(f"/api/assets/{asset['id']}", json={"name": "b", "metadata": {"x": 1}})
    assert (changed.json()["name"], changed.json()["metadata"], changed.json()["sha256"]) == (
        "b", {"x": 1}, asset["sha256"],
    )  # fmt: skip
    assert (await client.delete(f"/api/assets/{asset['id']}")).status_code == 204
    gone = await client.get(f"/api/assets/{asset['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "asset.not_found")


async def test_a_stored_blob_becomes_an_asset_by_its_hash(client: Any, blobs: Any) -> None:
    brought = (await client.post("/api/assets?name=a.mp4", content=MP4)).json()
    created = await client.post("/api/assets", json={"sha256": brought["sha256"], "kind": "composited_scene"})
    assert (created.status_code, created.json()["media_type"]) == (201, "video/mp4")
    # What is stored for something else is not there for whoever knows its hash.
    unseen = await blobs.put_bytes(MP4 + b"of somebody")
    answers = [
        await client.post("/api/assets", json={"sha256": sha256})
        for sha256 in (unseen.sha256, "sha256:" + "0" * 64)
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (404, "blob.not_found")
    ] * 2


def test_a_name_is_a_label_and_never_a_path() -> None:
    assert plain_name("../../etc/passwd") == "passwd"
    assert plain_name("a\r\nSet-Cookie: x\x00") == "aSet-Cookie: x"
    assert plain_name("C:\\x\\y.jpg") == "y.jpg" and len(plain_name("x" * 999)) == 255


async def test_a_file_that_is_deleted_before_it_is_sent_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "tide.png"
    answer = file_answer(path, name="tide.png", media_type="image/png", sha256="sha256:00")
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": []}

    async def receive() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(NotFound, match="deleted meanwhile"):
        await answer(scope, receive, send)
    path.write_bytes(b"tide")
    await answer(scope, receive, send)
    assert b"".join(message.get("body", b"") for message in sent) == b"tide"
