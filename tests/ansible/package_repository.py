"""A small APT repository with a signing key of its own, for tests of roles that install others' packages."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

SUITE = "trixie"
_LISTS = f"dists/{SUITE}/main/binary-amd64"


class PackageRepository:
    """`folder/tree` is what a web server gives away; `folder/key.asc` is the public key."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self.key = folder / "key.asc"
        self._folder = folder
        # Short: the agent's socket lies below it.
        self._home = folder / "gpg"
        self._home.mkdir(parents=True, mode=0o700)
        (self.tree / _LISTS).mkdir(parents=True)
        (self.tree / "pool").mkdir()
        self._gpg(
            "--passphrase", "", "--quick-generate-key", "Packages of a test", "ed25519", "sign", "never"
        )
        self.key.write_bytes(self._gpg("--armor", "--export"))

    def add(self, name: str, version: str, program: str) -> Path:
        """A package with the one file /usr/bin/NAME; `sign` makes it known."""
        root = self._folder / f"{name}-{version}"
        (root / "DEBIAN").mkdir(parents=True)
        (root / "usr/bin").mkdir(parents=True)
        (root / "usr/bin" / name).write_text(program)
        (root / "usr/bin" / name).chmod(0o755)
        control = {
            "Package": name,
            "Version": version,
            "Architecture": "amd64",
            "Maintainer": "Nobody <nobody@example.org>",
            "Description": "stand-in of a test",
        }
        (root / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
        package = self.tree / "pool" / f"{name}_{version}_amd64.deb"
        _run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(package)])
        return package

    def sign(self) -> None:
        """Lists what there is, and signs the list."""
        stanzas = []
        for package in sorted((self.tree / "pool").glob("*.deb")):
            content = package.read_bytes()
            stanzas.append(
                _run(["dpkg-deb", "--field", str(package)]).decode()
                + f"Filename: pool/{package.name}\nSize: {len(content)}\nSHA256: {_sha256(content)}\n"
            )
        listed = "\n".join(stanzas).encode()
        (self.tree / _LISTS / "Packages").write_bytes(listed)
        release = (
            f"Origin: test\nSuite: {SUITE}\nCodename: {SUITE}\nComponents: main\nArchitectures: amd64\n"
            f"Date: {_run(['date', '--utc', '--rfc-email']).decode().strip().replace('+0000', 'UTC')}\n"
            f"SHA256:\n {_sha256(listed)} {len(listed)} main/binary-amd64/Packages\n"
        )
        plain = self._folder / "Release"
        plain.write_text(release)
        signed = self.tree / "dists" / SUITE / "InRelease"
        signed.unlink(missing_ok=True)
        self._gpg("--output", str(signed), "--clear-sign", str(plain))

    def close(self) -> None:
        """Ends the agent that gpg has started."""
        _run(["gpgconf", "--homedir", str(self._home), "--kill", "all"])

    def _gpg(self, *words: str) -> bytes:
        return _run(["gpg", "--homedir", str(self._home), "--batch", "--quiet", *words])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _run(command: list[str]) -> bytes:
    done = subprocess.run(
        command, capture_output=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr.decode()}")
    return done.stdout
