"""A worker of a farm reads its inputs and nothing else of its machine, whatever a spec names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.pipeline.segment import make_segment
from avatar.spec import MediaRef, RenderSpec

PICTURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a task, beside files that are none of its business."""
    (tmp_path / "secret.png").write_bytes(PICTURE)
    blob = tmp_path / "blobs" / "55" / ("5" * 64)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(PICTURE)
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "picture").symlink_to(blob)
    (folder / "escape").symlink_to(tmp_path / "secret.png")
    (folder / "up").symlink_to(tmp_path)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def context_of_farm(inputs: Path, tmp_path: Path) -> Context:
    return Context(cache=tmp_path / "cache", blobs=tmp_path / "blobs", confined=True)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../secret.png",
        "escape",
        "up/secret.png",
        "/proc/self/environ",
    ],
)
def test_a_path_outside_is_refused_whatever_leads_there(context_of_farm: Context, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        context_of_farm.resolve(MediaRef(path=path, name="a.png"))
    assert caught.value.code == "media.outside_inputs" and "a.png" in caught.value.message


@pytest.mark.parametrize(
    "path",
    [
        "file:///etc/passwd",
        "concat:/etc/passwd|/etc/hosts",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "https://example.com/a.mp4",
    ],
)
def test_an_address_is_no_file(context_of_farm: Context, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        context_of_farm.resolve(MediaRef(path=path))
    assert caught.value.code == "media.missing"


def test_inputs_are_read_by_path_and_by_hash(context_of_farm: Context) -> None:
    assert context_of_farm.resolve(MediaRef(path="picture")).read_bytes() == PICTURE
    assert context_of_farm.resolve(MediaRef(sha256="sha256:" + "5" * 64)).read_bytes() == PICTURE
    # The hash is not there: the path beside it must not be taken instead.
    with pytest.raises(InvalidInput, match=r"media\.outside_inputs"):
        context_of_farm.resolve(MediaRef(sha256="sha256:" + "6" * 64, path="/etc/passwd"))


def test_a_person_at_their_own_machine_names_what_they_like(inputs: Path, tmp_path: Path) -> None:
    assert Context(cache=tmp_path).resolve(MediaRef(path="../secret.png")).read_bytes() == PICTURE


REF = {"path": "/etc/passwd"}
CONSENT = {"id": "c1", "person": "A. Person", "granted_at": "2026-01-01", "purpose": "tests"}
BOX = {"x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}


@pytest.mark.parametrize(
    "scene",
    [
        {"audio": REF},
        {"face": {"kind": "photo", "image": REF, "consent": CONSENT}},
        {"face": {"kind": "photo", "image": {"path": "picture"}, "portrait": REF, "consent": CONSENT}},
        {"face": {"kind": "video", "video": REF, "consent": CONSENT}},
        {"background": {"kind": "image", "image": REF}},
        {"background": {"kind": "video", "video": REF}},
        {"overlays": [{"kind": "image", "image": REF, "box": BOX}]},
        {"overlays": [{"kind": "video", "video": REF, "box": BOX}]},
    ],
    ids=str,
)
def test_every_place_of_a_spec_that_names_a_file_is_confined(
    context_of_farm: Context, small_spec: Any, tmp_path: Path, scene: dict[str, Any]
) -> None:
    spec = RenderSpec.model_validate(small_spec({"id": "a", "script": "Oh.", **scene}))
    with pytest.raises(InvalidInput) as caught:
        make_segment(spec, "a", tmp_path / "out", context_of_farm)
    assert caught.value.code == "media.outside_inputs"


def test_the_program_takes_it_as_an_option(
    avatar: Any, write_spec: Any, small_spec: Any, tmp_path: Path
) -> None:
    spec = write_spec(small_spec({"id": "a", "background": {"kind": "image", "image": REF}}))
    ended = avatar("segment", spec, "a", tmp_path / "out", "--confined", "--json")
    assert ended.returncode == 1 and "media.outside_inputs" in ended.stdout
