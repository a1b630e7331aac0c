"""Copies of objects on the S3 server, of which the database of the studio, a real PostgreSQL, knows some."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from parts import blob_paths

pytestmark = pytest.mark.cached("ansible/roles/backup")
PHOTO, VIDEO = "ab" * 32, "cd" * 32


def test_objects_of_personas_are_named_by_the_database(
    tmp_path: Path, make_database: Callable[[str], Callable[[str], str]]
) -> None:
    sql = make_database("objects")
    for digest in (PHOTO, VIDEO):
        (tmp_path / digest[:2]).mkdir()
        (tmp_path / digest[:2] / digest).write_bytes(b"content")
    part = {"name": "objects", "path": str(tmp_path), "policy": "personas", "database": "objects"}
    assert blob_paths(part, tmp_path) == [], "before the first start of the studio"
    sql("CREATE TABLE blob_references (sha256 text, owner text)")
    for digest, owner in ((PHOTO, "persona:nova"), (VIDEO, "render:1")):
        sql(f"INSERT INTO blob_references VALUES ('sha256:{digest}', '{owner}')")  # noqa: S608 - our own
    assert blob_paths(part, tmp_path) == [tmp_path / PHOTO[:2] / PHOTO]
    assert blob_paths({**part, "policy": "all"}, tmp_path) == [tmp_path]
