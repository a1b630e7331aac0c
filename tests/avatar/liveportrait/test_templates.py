"""Motion templates: numbers in, numbers out, and nothing that could run."""

from __future__ import annotations

import json
import pickle
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.engines.liveportrait.motion_values import Motion, rotation_of
from avatar.engines.liveportrait.poses import DrivingFace, Openings
from avatar.engines.liveportrait.template import MotionTemplate, load_template, save_template, template_of
from avatar.errors import InvalidInput


@pytest.fixture
def template() -> MotionTemplate:
    faces = []
    for index in range(3):
        values = np.full((21, 3), 0.01 * index, np.float32)
        motion = Motion(values, values, rotation_of(index, 0, 0), values[0], 1.0 + index)
        faces.append(DrivingFace(motion, Openings(np.array([0.3, 0.31], np.float32), 0.1)))
    return template_of(24.0, faces)


@pytest.mark.parametrize("name", ["motion.npz", "motion.json", "MOTION.JSON"])
def test_a_template_comes_back_as_it_was_kept(template: MotionTemplate, tmp_path: Path, name: str) -> None:
    save_template(template, tmp_path / name)
    loaded = load_template(tmp_path / name)
    assert loaded.fps == 24
    for key, rows in template.rows.items():
        np.testing.assert_array_equal(loaded.rows[key], rows)
    assert loaded.face(2).motion.scale == 3


def faces(count: int) -> Iterator[DrivingFace]:
    values = np.random.default_rng(1).standard_normal((count, 21, 3)).astype(np.float32)
    for index, points in enumerate(values):
        motion = Motion(
            points, -points, rotation_of(index % 40, 0, 0), points[0], 1.0 + float(points[1, 1]) ** 2
        )
        yield DrivingFace(motion, Openings(points[2, :2], float(points[3, 0])))


def test_a_template_is_made_of_faces_as_they_come_and_of_their_numbers_alone() -> None:
    frames = 6000
    tracemalloc.start()
    try:
        empty = tracemalloc.get_traced_memory()[0]
        full_template = template_of(25.0, faces(frames))
        most = tracemalloc.get_traced_memory()[1] - empty
    finally:
        tracemalloc.stop()
    numbers = sum(rows.nbytes for rows in full_template.rows.values())
    row_bytes = 21 * 3 * 4 * frames  # the generator's own
    assert most < 2 * numbers + row_bytes
    for index, face in enumerate(faces(3)):
        stored_face = template_of(25.0, faces(3)).face(index)
        np.testing.assert_array_equal(stored_face.motion.exp, face.motion.exp)
        assert stored_face.openings is not None
        assert (stored_face.motion.scale, stored_face.openings.lips) == (
            np.float32(face.motion.scale),
            np.float32(face.openings.lips if face.openings else 0),
        )


def test_json_is_written_some_rows_at_a_time_and_is_that_of_the_whole(tmp_path: Path) -> None:
    full_template = template_of(25.0, faces(2345))
    save_template(full_template, tmp_path / "motion.json")
    whole = {"version": 1, "fps": 25.0} | {name: rows.tolist() for name, rows in full_template.rows.items()}
    assert (tmp_path / "motion.json").read_text() == json.dumps(whole)


def test_a_pickle_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "motion.pkl"
    path.write_bytes(pickle.dumps({"n_frames": 1}))
    with pytest.raises(InvalidInput, match=r"template\.pickle"):
        load_template(path)


def test_an_array_of_objects_is_refused(template: MotionTemplate, tmp_path: Path) -> None:
    path = tmp_path / "motion.npz"
    rows: dict[str, Any] = {**template.rows, "t": np.array([object()], dtype=object)}
    np.savez(path, version=1, fps=24.0, **rows)
    with pytest.raises(InvalidInput, match=r"template\.unreadable"):
        load_template(path)


def with_changed(key: str, value: Any) -> Any:
    def change(record: dict[str, Any]) -> None:
        record[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (with_changed("version", 9), "is of version 9"),
        (with_changed("fps", 0), "plays at 0"),
        (with_changed("extra", 1), "holds what is not known: extra"),
        (with_changed("scale", [0, 1, 1]), "has a scale that is not above zero"),
        (with_changed("scale", [1, 1]), "has kp of shape"),
        (with_changed("t", [[0, 0, float("nan")]] * 3), "has values in t that are no numbers"),
        (with_changed("rotation", [[[2, 0, 0], [0, 1, 0], [0, 0, 1]]] * 3), "has rotations that are none"),
    ],
)
def test_what_is_wrong_with_a_template_is_said(
    template: MotionTemplate, tmp_path: Path, change: Any, sentence: str
) -> None:
    path = tmp_path / "motion.json"
    save_template(template, path)
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(InvalidInput, match=rf"template\.invalid.*{sentence}"):
        load_template(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA], ids=["deflate", "lzma"])
def test_a_damaged_template_is_refused_wherever_the_damage_is(
    template: MotionTemplate, tmp_path: Path, method: int
) -> None:
    """Errors of zipfile, its decompressors and numpy about a changed byte differ from place to place."""
    path = tmp_path / "motion.npz"
    save_template(template, path)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            load_template(path)
        except InvalidInput as error:
            refused += 1
            assert error.code.startswith("template.")
            assert error.hint
    assert refused > len(whole) / 7 / 2


@pytest.mark.parametrize(
    ("local", "central", "value", "reason"),
    [(6, 8, 1, "encrypted"), (8, 10, 99, "compression method")],
    ids=["encrypted", "unknown-method"],
)
def test_an_archive_that_cannot_be_unpacked_is_refused(
    template: MotionTemplate, tmp_path: Path, local: int, central: int, value: int, reason: str
) -> None:
    """`local`, `central`: where flags and method lie in both headers of a file (APPNOTE 4.3.7 and 4.3.12)."""
    path = tmp_path / "motion.npz"
    save_template(template, path)
    content = path.read_bytes()
    for signature, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        parts = content.split(signature)
        parts[1:] = [
            part[: offset - 4] + value.to_bytes(2, "little") + part[offset - 2 :] for part in parts[1:]
        ]
        content = signature.join(parts)
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=rf"template\.unreadable.*{reason}"):
        load_template(path)


def test_a_header_that_is_none_is_refused(template: MotionTemplate, tmp_path: Path) -> None:
    """numpy reads an array's header as a Python literal, the older form token by token."""
    path = tmp_path / "motion.npz"
    save_template(template, path)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content.replace(b"', 'fortran_order'", b"'( 'fortran_order'"))
    with pytest.raises(InvalidInput, match=r"template\.unreadable"):
        load_template(path)


@pytest.mark.parametrize("version", ["1e999", "-Infinity", "[[1]]", "null"])
def test_a_version_that_is_no_number_is_refused(
    template: MotionTemplate, tmp_path: Path, version: str
) -> None:
    path = tmp_path / "motion.json"
    save_template(template, path)
    path.write_text(path.read_text().replace('"version": 1', f'"version": {version}'))
    with pytest.raises(InvalidInput, match=r"template\.unreadable"):
        load_template(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\x93NUMPY", b'{"fps": 25, "version": 1}'])
@pytest.mark.parametrize("name", ["motion.npz", "motion.json"])
def test_other_files_are_no_templates(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=r"template\.unreadable"):
        load_template(tmp_path / name)


@pytest.mark.parametrize(("name", "begins"), [("long.json", b"{"), ("0123abcd", b'{"version": 1, "fps": 25')])
def test_a_table_that_would_fill_the_memory_is_refused_unread(
    tmp_path: Path, name: str, begins: bytes
) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(begins)
        file.truncate((64 << 20) + 1)  # a hole: it takes no room on the disk
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match=r"template\.unreadable.*larger than 64 MiB"):
            load_template(path)
        # Other threads of the test allocate, too.
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "kp",
    ["[" + "[]," * 100_000 + "[]]", "[" + '{"a":1},' * 100_000 + "{}]"],
    ids=["lists", "tables"],
)
def test_a_table_of_next_to_nothing_is_refused_before_python_makes_things_of_it(
    tmp_path: Path, kp: str
) -> None:
    path = tmp_path / "motion.json"
    path.write_text(f'{{"version": 1, "fps": 25, "kp": {kp}}}')
    with pytest.raises(InvalidInput, match=r"template\.unreadable.*lists of next to nothing"):
        load_template(path)


def test_an_archive_that_would_grow_is_refused(tmp_path: Path) -> None:
    """A byte of zeros deflates to nothing and would be four of float32."""
    small = {"kp": np.zeros((5, 21, 3), np.int8)}
    np.savez_compressed(tmp_path / "small.npz", fps=25, version=1, **small)
    with pytest.raises(InvalidInput, match=r"template\.unreadable.*kp is of int8"):
        load_template(tmp_path / "small.npz")
    np.savez_compressed(tmp_path / "large.npz", fps=25, version=1, kp=np.zeros((300 << 20,), np.int8))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match=r"template\.unreadable.*it unpacks to more than 271 MiB"):
            load_template(tmp_path / "large.npz")
        # Other threads of the test allocate, too.
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
