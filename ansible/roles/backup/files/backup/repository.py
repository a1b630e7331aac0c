"""The encrypted repository of copies: restic, as a separate program, over a folder, SSH or S3.

restic writes the list of a copy last, so what was cut off is no copy, and what it had sent is used again by
the next run. The passwords come from files; credentials of S3 go into its environment.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backup_error import BackupError

FORM = "%Y%m%dT%H%M%SZ"
TAG = "soundstage"
INSTALLATION = "installation="
INCOMPLETE = 3
# A computer elsewhere may hold the lock of the repository while it deletes old copies.
LOCK_WAIT_S = 600
_RETRY_S = 5.0
_AWAY = re.compile(
    r"dial tcp|connection (refused|reset|timed out)|no route to host|unreachable|no such host|i/o timeout",
    re.I,
)
_REMOTE_MOUNTS = re.compile(r"^(nfs|cifs|smb|fuse\.sshfs|fuse\.rclone|ceph|glusterfs|9p|afs)")
_SSH = re.compile(
    r"sftp:(?://)?(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^]]+\]|[^/:]+)(?::(?P<port>\d+)(?=/))?[:/](?P<path>.*)"
)


@dataclass(frozen=True, slots=True)
class Copy:
    """One snapshot of restic. `name` is its time, as people call it; `installation` made it."""

    id: str
    name: str
    installation: str
    paths: tuple[str, ...]

    @property
    def time_s(self) -> float:
        return datetime.datetime.strptime(self.name, FORM).replace(tzinfo=datetime.UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Saved:
    """`bytes` is what the copy holds, `added_bytes` what had to be sent."""

    id: str
    bytes: int
    added_bytes: int


@dataclass(frozen=True, slots=True)
class Repository:
    """`password_file` opens it: the machine's own, or a file with the recovery key."""

    config: dict[str, Any]
    password_file: Path
    extra: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, config: dict[str, Any]) -> Repository:
        return cls(config, Path(config["password_file"]))

    @property
    def url(self) -> str:
        return str(self.config["repository"])

    @property
    def host(self) -> str:
        return str(self.config["host"])

    def is_off_machine(self) -> bool:
        """Returns whether copies outlive this machine."""
        if re.match(r"^[a-z0-9]+:", self.url):
            return True
        mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
        above = [(len(point), kind) for point, kind in mounts if Path(self.url).is_relative_to(point)]
        return bool(_REMOTE_MOUNTS.match(max(above)[1]))

    def create(self) -> bool:
        """Makes the repository unless it is there; returns whether it did."""
        try:
            self._run(["cat", "config"])
        except BackupError as error:
            if error.code != "backup.no_repository":
                raise
            self._run(["init"])
            return True
        return False

    def copies(self) -> list[Copy]:
        """Returns the copies of this machine, the oldest first."""
        done = self._run(["snapshots", "--json", "--tag", TAG, "--host", self.host])
        found = [_copy_of(one) for one in json.loads(done.stdout or "null") or []]
        return sorted(found, key=lambda one: one.name)

    def save(self, paths: Sequence[Path], name: str, installation: str) -> Saved:
        """Sends files as one copy. Nothing counts when a file could not be read, except
        one that was collected meanwhile.
        """
        when = datetime.datetime.strptime(name, FORM).strftime("%Y-%m-%d %H:%M:%S")
        with tempfile.NamedTemporaryFile("w", suffix=".list") as listed:
            listed.write("".join(f"{path}\n" for path in paths))
            listed.flush()
            command = [
                "backup",
                "--json",
                "--tag",
                TAG,
                "--tag",
                f"{INSTALLATION}{installation}",
                "--time",
                when,
            ]
            command += ["--host", self.host, "--exclude", ".staging", "--files-from-verbatim", listed.name]
            done = self._run(command, accept=(0, INCOMPLETE), timeout_s=None)
        summary = next(line for line in _json_lines(done.stdout) if line.get("message_type") == "summary")
        if done.returncode == INCOMPLETE:
            unread = [str(line.get("item", "")) for line in _json_lines(done.stderr) if "item" in line]
            if left := [one for one in unread if Path(one).exists()] or ([] if unread else ["a file"]):
                self._run(["forget", summary["snapshot_id"]])
                raise BackupError(
                    "backup.unreadable",
                    f"{left[0]} could not be read.",
                    "Look at the disk, and take another copy.",
                )
        return Saved(summary["snapshot_id"], summary["total_bytes_processed"], summary["data_added"])

    def read(self, copy: Copy, path: Path) -> bytes:
        """Returns one file of a copy."""
        return self._run(["dump", copy.id, str(path)], text=False).stdout

    def restore(self, copy: Copy, target: Path, include: Path) -> None:
        """Writes what a copy holds of `include` below `target`; restic compares each piece with its hash."""
        command = ["restore", copy.id, "--target", str(target), "--include", str(include)]
        self._run(command, timeout_s=None)

    def require_readable(self, percent: int) -> None:
        """Reads the structure and so much of all data, picked at random. Raises BackupError."""
        command = ["check", f"--read-data-subset={percent}%"]
        self._run(command, timeout_s=None, failure="backup.damaged")

    def forget(self, keep: dict[str, int]) -> int | None:
        """Deletes copies of this machine beyond `keep` (`last`, `daily`, `weekly`, `monthly`), and their
        data. Returns how many are left; None when nothing is ever deleted.
        """
        periods = [f"--keep-{period}={count}" for period, count in keep.items() if count]
        if not periods:
            return None
        command = [
            "forget",
            "--json",
            "--prune",
            "--group-by",
            "host",
            "--host",
            self.host,
            "--tag",
            TAG,
            *periods,
        ]
        groups = next(json.loads(line) for line in self._run(command, timeout_s=None).stdout.splitlines())
        return sum(len(group["keep"] or []) for group in groups)

    def add_key(self, key: str) -> None:
        """Lets a second password open the repository."""
        self._run(["key", "add", "--new-password-file", "/dev/stdin"], stdin=key)

    def _run(
        self,
        command: list[str],
        *,
        accept: tuple[int, ...] = (0,),
        timeout_s: float | None = -1,
        failure: str = "backup.repository_failed",
        stdin: str | None = None,
        text: bool = True,
    ) -> subprocess.CompletedProcess[Any]:
        """Runs restic, again while another computer holds the lock. `timeout_s`: by default the time within
        which short commands have to be answered.
        """
        limit_s = self.config.get("answer_s", 120) if timeout_s == -1 else timeout_s
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                done = subprocess.run(
                    ["restic", *self._options(), *command],
                    env=self._environment(),
                    input=stdin if text or stdin is None else stdin.encode(),
                    stdin=subprocess.DEVNULL if stdin is None else None,
                    capture_output=True,
                    text=text,
                    check=False,
                    timeout=limit_s,
                )
            except subprocess.TimeoutExpired:
                raise _silent(f"{self.url} does not answer within {limit_s} s.") from None
            except FileNotFoundError:
                raise BackupError(
                    "backup.no_restic", "The program restic is not installed.", "apt install restic"
                ) from None
            if done.returncode in accept:
                return done
            stderr = done.stderr if text else done.stderr.decode(errors="replace")
            if "already locked" not in stderr or time.monotonic() > deadline:
                raise self._error(stderr, failure)
            # What a computer that has died held is not waited for.
            subprocess.run(
                ["restic", *self._options(), "unlock"],
                env=self._environment(),
                capture_output=True,
                check=False,
            )
            time.sleep(_RETRY_S)

    def _options(self) -> list[str]:
        options = ["--repo", self.url, "--cache-dir", str(Path(self.config["state_folder"], "cache"))]
        if self.config.get("ca_file"):
            options += ["--cacert", self.config["ca_file"]]
        if self.url.startswith("sftp:"):
            options += ["-o", f"sftp.command={self._ssh_command()}"]
        return [*options, *self.extra]

    def _ssh_command(self) -> str:
        found = _SSH.match(self.url)
        if found is None:
            raise BackupError(
                "backup.bad_repository",
                f"{self.url} is no address for SSH.",
                "sftp:USER@HOST:/FOLDER, for example.",
            )
        ssh = self.config["ssh"]
        command = ["ssh", "-i", ssh["key_file"], "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        command += ["-o", f"UserKnownHostsFile={ssh['known_hosts_file']}", "-o", "StrictHostKeyChecking=yes"]
        command += ["-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=4"]
        if found["port"]:
            command += ["-p", found["port"]]
        if found["user"]:
            command += ["-l", found["user"]]
        return shlex.join([*command, found["host"].strip("[]"), "-s", "sftp"])

    def _environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment |= {"TZ": "UTC", "RESTIC_PASSWORD_FILE": str(self.password_file)}
        if file := self.config.get("environment_file"):
            environment |= json.loads(Path(file).read_text(encoding="utf-8"))
        return environment

    def _error(self, stderr: str, failure: str) -> BackupError:
        lines = [line for line in stderr.splitlines() if line.strip()] or ["it says nothing"]
        fatal = next((line for line in lines if line.startswith("Fatal:")), lines[-1]).removeprefix("Fatal: ")
        if "wrong password or no key found" in stderr:
            hint = "The right one is backup/repository.password in the secrets folder, or the recovery key."
            return BackupError("backup.wrong_key", f"{self.url} is opened by another key.", hint)
        if _is_absent(stderr):
            hint = "`soundstage-backup init` makes one there. Look at the address first."
            return BackupError("backup.no_repository", f"There is no repository at {self.url}.", hint)
        if _AWAY.search(stderr):
            return _silent(f"{self.url} does not answer: {fatal}")
        return BackupError(failure, f"{self.url}: {fatal}", "Look at the computer that holds the copies.")


def _silent(message: str) -> BackupError:
    hint = "Look whether the computer that holds the copies can be reached. The next run goes on."
    return BackupError("backup.repository_silent", message, hint)


def _is_absent(stderr: str) -> bool:
    """restic asks the same question when the server refuses or is away; only these answers mean `nothing
    there`.
    """
    return ("Is there a repository" in stderr or "repository does not exist" in stderr) and any(
        reason in stderr
        for reason in (
            "no such file or directory",
            "file does not exist",
            "key does not exist",
            "bucket does not exist",
        )
    )


def _copy_of(snapshot: dict[str, Any]) -> Copy:
    when = datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", snapshot["time"]).replace("Z", "+00:00"))
    tags = snapshot.get("tags") or []
    installation = next((tag.removeprefix(INSTALLATION) for tag in tags if tag.startswith(INSTALLATION)), "")
    return Copy(
        snapshot["id"], when.astimezone(datetime.UTC).strftime(FORM), installation, tuple(snapshot["paths"])
    )


def _json_lines(output: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
