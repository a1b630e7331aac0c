"""An S3 server of the tests' own: versitygw over a temporary folder, on a free port of loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INSTALL = "there is no S3 server: run `make tools`, or tools/build versitygw"

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Bucket:
    """A bucket of one test, and the folder in which the server keeps its objects as files."""

    url: str
    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to reach it."""
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }


class S3Server:
    """A gateway that can be stopped and started again on the same port."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.access_key_id = "tests"
        self.secret_access_key = secrets.token_hex(16)
        self.certificate: tuple[Path, Path] | None = None
        """The file of its certificate and that of the key; from the next start it speaks TLS with them."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint_url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def bucket(self, name: str = "") -> Bucket:
        """A new, empty one. To this server a bucket is a folder."""
        name = name or f"test-{secrets.token_hex(6)}"
        (self.folder / name).mkdir()
        return Bucket(
            f"s3://{name}/some/where",
            self.endpoint_url,
            self.access_key_id,
            self.secret_access_key,
            self.folder / name / "some" / "where",
        )

    def start(self) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", str(self.program), "--quiet"]
        if self.certificate is not None:
            command += ["--cert", str(self.certificate[0]), "--key", str(self.certificate[1])]
        boss = {"ROOT_ACCESS_KEY": self.access_key_id, "ROOT_SECRET_KEY": self.secret_access_key}
        self._process = subprocess.Popen(
            [*command, "--port", f"127.0.0.1:{self.port}", "posix", str(self.folder)],
            env={**os.environ, **boss},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("versitygw does not listen after a minute")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None


def find_program() -> Path | None:
    """versitygw from PATH or from the cache of tools/build; None when it would have to be built first."""
    if (found := shutil.which("versitygw")) is not None:
        return Path(found)
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    cache = Path(os.environ.get("SOUNDSTAGE_TOOLS", home / "soundstage" / "tools"))
    if shutil.which("go") is None or not list(cache.glob("versitygw-*/versitygw")):
        return None
    built = subprocess.run(
        [_ROOT / "tools" / "build", "versitygw"], check=True, capture_output=True, text=True
    )
    return Path(built.stdout.strip().split("\t")[1])


@contextmanager
def running_s3_server(program: Path) -> Iterator[S3Server]:
    folder = Path(tempfile.mkdtemp(prefix="soundstage-s3-"))
    server = S3Server(program, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
