"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket in it, as a humble user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALL = "PostgreSQL is not installed: apt-get install postgresql"
USER = "soundstage"


class PostgresqlServer:
    """A running server; its only user, who needs no password, may do everything."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = process

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"


def find_programs() -> Path | None:
    """The folder of initdb and postgres; Debian keeps it off PATH, one per version."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    return versions[-1].parent if versions else None


@contextmanager
def running_server(programs: Path, *, durable: bool = False) -> Iterator[PostgresqlServer]:
    """Starts an empty server, and ends it. Unless `durable`, as it is delivered, it writes nothing through to
    the disk."""
    initdb = ("initdb", "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    with _server(programs, initdb, durable=durable) as server:
        yield server


@contextmanager
def running_standby(programs: Path, primary: PostgresqlServer) -> Iterator[PostgresqlServer]:
    """Starts a standby that follows `primary`, and ends it."""
    clone = ("pg_basebackup", "-h", str(primary.folder), "-U", USER, "--write-recovery-conf", "--no-sync")
    with _server(programs, (*clone, "--checkpoint=fast")) as server:
        yield server


@contextmanager
def _server(
    programs: Path, make_data: tuple[str, ...], *, durable: bool = False
) -> Iterator[PostgresqlServer]:
    # Not under pytest's own folders: nobody but their owner may enter those.
    folder = Path(tempfile.mkdtemp(prefix="soundstage-pg-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        become = _unprivileged(folder)
        data = folder / "data"
        command = [*become, str(programs / make_data[0]), *make_data[1:], "-D", str(data)]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        careless = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB")
        settings = ["listen_addresses=", f"unix_socket_directories={folder}", "max_connections=200"]
        settings += [] if durable else careless
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*become, str(programs / "postgres"), "-D", str(data),
                 *(part for setting in settings for part in ("-c", setting))],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True,
            )  # fmt: skip
        _wait(data / "postmaster.pid", process, folder / "log")
        yield PostgresqlServer(folder, process)
    finally:
        if process is not None and process.poll() is None:
            # SIGINT: end all sessions, then end.
            process.send_signal(2)
            process.wait(30)
        shutil.rmtree(folder)


def _unprivileged(folder: Path) -> list[str]:
    """What to put before a command: the server refuses to be root, and shall not outlive the tests."""
    become = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() != 0:
        return become
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [*become, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _wait(pid_file: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when the server says in its pid file that it is ready, which is where pg_ctl looks as well."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended at once:\n{log.read_text()}")
        if pid_file.exists() and pid_file.read_text().split("\n")[7:8] in (["ready   "], ["standby "]):
            return
        time.sleep(0.02)
    raise RuntimeError(f"PostgreSQL is not ready after a minute:\n{log.read_text()}")
