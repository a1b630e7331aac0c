"""Log lines in files and journals, found by their trace."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from soundstage.errors import Unavailable
from soundstage.telemetry import configure_logging, get_logger, trace
from soundstage.telemetry.log_files import JournalHandler, find_lines, goes_to_journal, read_journal

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "0af7651916cd43dd8448eb211c80319c"
REMOTE = Path("/lib/systemd/systemd-journal-remote")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = logging.getLogger().handlers
    configure_logging("info", "console", file=tmp_path / "logs" / "studio.jsonl")
    yield tmp_path / "logs"
    logging.getLogger().handlers[-1].close()
    logging.getLogger().handlers = before


def test_lines_of_a_trace_are_found_in_the_files_without_secrets(folder: Path) -> None:
    log = get_logger("app.test")
    with trace(ID):
        log.info("render queued", render="rnd_1", api_key="5a" * 32)
        logging.getLogger("library").warning("slow answer")
    with trace(OTHER):
        log.info("something else", about=ID)
    log.info("no trace")
    first, second = find_lines(folder, ID, 10)
    assert (first.service, first.level, first.logger, first.message) == (
        "studio",
        "info",
        "app.test",
        "render queued",
    )
    assert first.fields == {"render": "rnd_1", "api_key": "[masked]"} and first.trace_id == ID
    assert second.message == "slow answer"
    assert [line.message for line in find_lines(folder, None, 2)] == ["something else", "no trace"]
    assert (folder / "studio.jsonl").stat().st_mode & 0o777 == 0o600
    assert "5a5a" not in (folder / "studio.jsonl").read_text()


def test_a_line_that_is_cut_off_and_lines_of_others_are_skipped(folder: Path) -> None:
    with trace(ID):
        get_logger("app.test").info("whole")
    with (folder / "studio.jsonl").open("a") as file:
        file.write(f'{{"trace_id": "{ID}", "timesta\n[1]\n{ID}\n')
    assert [line.message for line in find_lines(folder, ID, 10)] == ["whole"]


def test_a_server_starts_where_no_log_file_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    before, stream = logging.getLogger().handlers, io.StringIO()
    configure_logging("info", "json", stream, file=tmp_path / "logs" / "studio.jsonl")
    logging.getLogger().handlers = before
    assert json.loads(stream.getvalue())["event"] == "log.file_unwritable"


def test_a_process_of_systemd_writes_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert not goes_to_journal()
    found = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert goes_to_journal()
    before = logging.getLogger().handlers
    configure_logging("info", "json", file=tmp_path / "logs" / "studio.jsonl")
    logging.getLogger().handlers = before
    assert not (tmp_path / "logs").exists()
    # Something else took standard error over since.
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert not goes_to_journal()


def test_lines_reach_journald_with_their_trace_and_level(tmp_path: Path) -> None:
    journald = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journald.bind(str(tmp_path / "socket"))
    handler = JournalHandler("studio", tmp_path / "socket")
    handler.setFormatter(logging.Formatter('{"event": "%(message)s"}'))
    handler.handle(logging.LogRecord("app", logging.WARNING, "", 0, "slow disk", (), None))
    assert journald.recv(4096) == b'PRIORITY=4\nSYSLOG_IDENTIFIER=studio\nMESSAGE={"event": "slow disk"}\n'
    # Without journald a process goes on.
    journald.close()
    handler.handle(logging.LogRecord("app", logging.INFO, "", 0, "unheard", (), None))
    handler.close()


def test_a_line_that_is_in_file_and_journal_is_found_once(folder: Path, tmp_path: Path) -> None:
    with trace(ID):
        get_logger("app.test").info("render queued")
    written = (folder / "studio.jsonl").read_bytes().strip()
    (found,) = find_lines(folder, ID, 10, [export(tmp_path, entry(1, written))])
    assert (found.host, found.message) == ("worker-1", "render queued")


def entry(number: int, message: bytes, **fields: str) -> bytes:
    """One entry in the export format of journals (systemd.io/JOURNAL_EXPORT_FORMATS)."""
    head = {
        "__CURSOR": f"s={number:032x};i={number:x};b={1:032x};m=1;t=1;x=1",
        "__REALTIME_TIMESTAMP": str(1_795_000_000_000_000 + number),
        "__MONOTONIC_TIMESTAMP": str(number),
        "_BOOT_ID": f"{1:032x}",
        "_HOSTNAME": "worker-1",
        "SYSLOG_IDENTIFIER": "soundstage",
        "PRIORITY": "4",
        **fields,
    }
    text = "".join(f"{name}={value}\n" for name, value in head.items()).encode()
    return text + b"MESSAGE\n" + len(message).to_bytes(8, "little") + message + b"\n\n"


def export(parent: Path, *entries: bytes) -> Path:
    """Returns a folder of journals as the farm's collecting machine has it."""
    if not REMOTE.exists() or shutil.which("journalctl") is None:
        pytest.skip("needs systemd-journal-remote: apt-get install systemd-journal-remote")
    folder = parent / "remote"
    folder.mkdir()
    command = [str(REMOTE), f"--output={folder}/farm.journal", "--split-mode=none", "-"]
    subprocess.run(command, input=b"".join(entries), check=True, capture_output=True)
    return folder


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    ours = {
        "timestamp": "2026-11-23T02:00:00Z",
        "event": "render done",
        "level": "info",
        "logger": "studio",
        "trace_id": ID,
        "frames": 9,
        "api_key": "5a" * 32,
    }
    entries = (
        entry(1, f"2026-11-23 [warning] slow disk trace_id={ID}".encode()),
        entry(2, b"nothing of ours"),
        entry(3, json.dumps(ours).encode(), SYSLOG_IDENTIFIER="nomad"),
        entry(4, b"colours \x1b[1m " + ID.encode() + b" Bearer abcdefghijkl"),
    )
    return export(tmp_path, *entries)


def test_journals_of_the_farm_are_searched_by_trace(journal: Path) -> None:
    text, coloured, ours = read_journal(journal, ID, 10)
    assert (text.host, text.service, text.level) == ("worker-1", "soundstage", "warning")
    assert "slow disk" in text.message
    assert (ours.message, ours.trace_id) == ("render done", ID)
    assert ours.fields == {"frames": 9, "api_key": "[masked]"}
    assert "colours" in coloured.message and "abcdefghijkl" not in coloured.message
    assert read_journal(journal, OTHER, 10) == [] == read_journal(journal, "; reboot", 10)
    assert len(read_journal(journal, None, 2)) == 2


def test_a_journal_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    if shutil.which("journalctl") is None:
        pytest.skip("needs journalctl: apt-get install systemd")
    with pytest.raises(Unavailable) as caught:
        read_journal(tmp_path / "nowhere", ID, 10)
    assert caught.value.code == "logs.journal_unreadable"
