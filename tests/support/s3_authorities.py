"""Two authorities and an S3 server, whose certificate a test replaces; the fixtures are imported by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import s3_server
from tls_authorities import Authority


@pytest.fixture
def old(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "new")


@pytest.fixture
def server(old: Authority) -> Iterator[s3_server.S3Server]:
    """Shows a certificate of the old authority."""
    program = s3_server.find_program()
    if program is None:
        pytest.skip(s3_server.INSTALL)
    with s3_server.running_s3_server(program) as found:
        show(found, old)
        yield found


def show(server: s3_server.S3Server, authority: Authority) -> None:
    """Starts it with a certificate of this authority."""
    server.stop()
    server.certificate = authority.issue()
    server.start()


def replace(file: Path, text: str) -> None:
    """Replaces it as Ansible does: another file under its name."""
    staging = file.with_suffix(".new")
    staging.write_text(text)
    staging.replace(file)
