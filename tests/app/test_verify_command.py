"""`soundstage verify`: a film of ours is recognised, a changed one is not believed."""

from __future__ import annotations

import hashlib
import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import Finished, OutputFile

from app.server.video_authority import authority_pem, signing_key, video_signer
from soundstage.blobs import BlobStore
from soundstage.settings import Settings
from studio.renders.credentials import read_credentials, sign_video

Cli = Callable[..., Any]

FILM = Path(__file__).parents[2] / "docs" / "pictures" / "tides.mp4"
TRACE = "0123456789abcdef0123456789abcdef"
RECORD = {
    "title": "How tides work",
    "software": "Soundstage avatar 1.2",
    "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia",
    "trace_id": TRACE,
    "consents": [{"person": "Ada Lovelace"}],
    "video": {"sha256": "sha256:0", "bytes": 0},
}


@pytest.fixture
def film(home: Path, settings: Settings) -> Path:
    """A signed film, in the installation of `home`."""
    sign_video(FILM, home / "film.mp4", RECORD, signing_key(settings))
    return home / "film.mp4"


def boxes(content: bytes) -> dict[str, tuple[int, int]]:
    """Start and end of the top-level boxes of an MP4 (ISO 14496-12 §4.2)."""
    found, at = {}, 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        found[content[at + 4 : at + 8].decode()] = (at, at + size)
        at += size
    return found


def test_a_signed_film_shows_its_installation_trace_and_source(cli: Cli, film: Path) -> None:
    shown = cli("verify", "film.mp4", "--json")
    assert shown.code == 0, shown.err
    assert shown.json | {"manifest": ""} == {
        "valid": True,
        "signer": "this installation",
        "problems": [],
        "title": "How tides work",
        "software": "Soundstage avatar 1.2",
        "signed_by": "Soundstage videos",
        "digital_source_type": "algorithmicMedia",
        "trace_id": TRACE,
        "manifest": "",
    }
    assert TRACE in cli("verify", "film.mp4").out
    assert b"Lovelace" not in film.read_bytes()


def test_the_signing_key_is_its_owners_alone_and_stays_the_same(settings: Settings) -> None:
    first = authority_pem(settings)
    key = settings.state_dir / "tls" / "videos.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and authority_pem(settings) == first


def test_a_film_of_elsewhere_is_unchanged_and_its_signer_unknown(
    cli: Cli, film: Path, tmp_path: Path
) -> None:
    other = Settings(state_dir=tmp_path / "elsewhere")
    (tmp_path / "other.pem").write_text(authority_pem(other))
    shown = cli("verify", "film.mp4", "--certificate", "other.pem", "--json")
    assert shown.code == 0 and (shown.json["valid"], shown.json["signer"]) == (True, "unknown")
    assert shown.json["problems"] == ["signingCredential.untrusted"]


def test_where_no_studio_is_a_film_is_looked_at_and_nothing_is_left(
    cli: Cli, film: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "film.mp4").write_bytes(film.read_bytes())
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("SOUNDSTAGE_STATE_DIR", str(elsewhere / "state"))
    shown = cli("verify", "film.mp4", "--json")
    assert shown.code == 0 and (shown.json["valid"], shown.json["signer"]) == (True, "unknown")
    assert [one.name for one in elsewhere.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("box", ["moov", "mdat"])
def test_one_changed_byte_is_caught(cli: Cli, film: Path, box: str) -> None:
    content = bytearray(film.read_bytes())
    start, end = boxes(bytes(content))[box]
    content[(start + end) // 2] ^= 1
    film.write_bytes(content)
    shown = cli("verify", "film.mp4", "--json")
    assert shown.code == 1 and shown.json["valid"] is False
    assert shown.json["problems"] == ["assertion.bmffHash.mismatch"]


def test_a_changed_claim_is_caught(cli: Cli, film: Path) -> None:
    film.write_bytes(film.read_bytes().replace(TRACE.encode(), b"f" * 32))
    assert cli("verify", "film.mp4", "--json").json["valid"] is False


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "credentials.no_file"), (FILM.read_bytes(), "credentials.none"), (b"no film", "credentials.")],
)
def test_a_file_without_credentials_is_named(cli: Cli, home: Path, content: bytes | None, code: str) -> None:
    if content is not None:
        (home / "film.mp4").write_bytes(content)
    shown = cli("verify", "film.mp4", "--json")
    assert shown.code == 1 and shown.json["code"].startswith(code)


async def test_a_finished_video_is_signed_and_its_record_names_the_signed_file(
    settings: Settings, home: Path
) -> None:
    blobs = BlobStore.open(settings.blobs_url)
    result = await video_signer(settings).sign(await store_result(blobs), blobs)
    files = {file.role: file for file in result.files}
    path = await blobs.local_path(files["video"].sha256)
    assert read_credentials(path, authority_pem(settings)).signer == "this installation"
    record = json.loads((await blobs.local_path(files["provenance"].sha256)).read_bytes())
    digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["video"] == {"sha256": digest, "bytes": path.stat().st_size} and result.warnings == ()
    assert [*(settings.state_dir / "cache").iterdir()] == []


async def test_without_the_library_the_video_is_delivered_and_says_that_it_is_not_signed(
    settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    blobs = BlobStore.open(settings.blobs_url)
    before = await store_result(blobs)
    after = await video_signer(settings).sign(before, blobs)
    assert after.files == before.files
    (notice,) = after.warnings
    assert (notice.code, notice.details) == ("provenance.unsigned", {"because": "credentials.no_library"})


async def store_result(blobs: BlobStore) -> Finished:
    """A worker's result, whose files are stored."""
    files = []
    for role, content, kind in (
        ("video", FILM.read_bytes(), "video/mp4"),
        ("provenance", json.dumps(RECORD).encode(), "application/json"),
    ):
        blob = await blobs.put_bytes(content, kind)
        files.append(OutputFile(role=role, path=role, sha256=blob.sha256, bytes=blob.bytes, media_type=kind))
    return Finished(files=tuple(files), duration_ms=1000, frames=25)
