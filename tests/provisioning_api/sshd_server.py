"""A real sshd on a free port, set up as an enrolled machine's is: host certificate, trusted user CA, nothing
else.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = Path("/usr/sbin/sshd")
INSTALL = "apt-get install openssh-server, then run again"
PATIENCE_S = 60.0


@dataclass
class Sshd:
    """Keys are made here, on "the machine"; `trust` is what its enrolment gave it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def host_key(self) -> str:
        return (self.folder / "host_key.pub").read_text().strip()

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text()

    def trust(self, host_certificate: str, user_ca: str) -> None:
        (self.folder / "host_key-cert.pub").write_text(host_certificate + "\n")
        (self.folder / "user_ca.pub").write_text(user_ca + "\n")

    def make_key(self) -> None:
        key = self.folder / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)

    def start(self) -> None:
        Path("/run/sshd").mkdir(exist_ok=True)
        lines = [
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.folder / 'host_key'}",
            "AuthorizedKeysFile none", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password", "StrictModes no", "UsePAM no", "PidFile none",
            "LogLevel VERBOSE", "Subsystem sftp internal-sftp", "MaxStartups 100:30:200",
        ]  # fmt: skip
        if (self.folder / "host_key-cert.pub").exists():
            lines += [f"HostCertificate {self.folder / 'host_key-cert.pub'}"]
            lines += [f"TrustedUserCAKeys {self.folder / 'user_ca.pub'}"]
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen(
            [PROGRAM, "-D", "-f", self.folder / "sshd_config", "-E", self.folder / "sshd.log"]
        )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.log
                time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
            self.process = None


@contextmanager
def machine_with_sshd(folder: Path) -> Iterator[Sshd]:
    """With a host key and not started yet; stopped at the end."""
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sshd = Sshd(folder, port)
    sshd.make_key()
    try:
        yield sshd
    finally:
        sshd.stop()
