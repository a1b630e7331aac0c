"""Debian as machines get it: its suites, what apt requests, and how a tree is made; read by images and
by the lab.

Nothing of the mirror that this computer uses is written into a machine: machines ask for deb.debian.org.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pxe.image.programs import run_tool

SUITE = "trixie"
"""That of images."""
PYTHON_OF = {SUITE: "3.13", "bookworm": "3.11"}
"""The suites that the roles set up, and the Python of each."""
PUBLIC = "http://deb.debian.org/debian"
PUBLIC_SECURITY = "http://deb.debian.org/debian-security"
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
)


@dataclass(frozen=True, slots=True)
class Mirror:
    """Two addresses, and the HTTP proxy that this computer's apt goes through (or an empty text)."""

    main: str = PUBLIC
    security: str = PUBLIC_SECURITY
    http_proxy: str = ""

    def addresses(self) -> dict[str, str]:
        """Maps the addresses that machines request to those of the mirror."""
        return {
            PUBLIC: self.main,
            PUBLIC_SECURITY: self.security,
            "http://security.debian.org/debian-security": self.security,
        }


def sources_of(suite: str = SUITE) -> str:
    """Returns the text of /etc/apt/sources.list.d/debian.sources."""
    return f"""\
Types: deb
URIs: {PUBLIC}
Suites: {suite} {suite}-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: {PUBLIC_SECURITY}
Suites: {suite}-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def mirror_of_this_computer() -> Mirror:
    """The mirror of this computer's apt, or the public one where there is no apt, or one of another
    distribution."""
    if shutil.which("apt-get") is None:
        return Mirror(http_proxy=_environment_proxy())
    targets = _run_apt(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)", "Created-By: Packages"]
    )
    debian = [
        uri.rstrip("/") for uri in targets.split() if re.fullmatch(r"https?://.*/debian(-security)?/?", uri)
    ]
    main = next((uri for uri in debian if uri.endswith("/debian")), PUBLIC)
    security = next((uri for uri in debian if uri.endswith("/debian-security")), PUBLIC_SECURITY)
    return Mirror(main, security, _apt_proxy() or _environment_proxy())


def mmdebstrap(target: Path, packages: Iterable[str], mirror: Mirror, suite: str = SUITE) -> list[str | Path]:
    """Returns the command that makes a minimal tree with these packages; root runs it."""
    options = [f"--dpkgopt={one}" for one in DPKG_OPTIONS] + ['--aptopt=Acquire::Languages "none"']
    if mirror.http_proxy:
        options.append(f'--aptopt=Acquire::http::Proxy "{mirror.http_proxy}"')
    return [
        *("mmdebstrap", "--quiet", "--mode=root", "--format=directory", "--variant=minbase"),
        f"--include={','.join(packages)}",
        *options,
        *(suite, target),
        f"deb {mirror.main} {suite} main",
        f"deb {mirror.main} {suite}-updates main",
        f"deb {mirror.security} {suite}-security main",
    ]


def _apt_proxy() -> str:
    line = _run_apt(["apt-config", "shell", "proxy", "Acquire::http::Proxy"]).strip()
    proxy = line.removeprefix("proxy='").removesuffix("'")
    return proxy if re.match(r"https?://", proxy) else ""


def _run_apt(command: list[str]) -> str:
    return run_tool(command, doing="Reading apt's configuration").decode(errors="replace")


def _environment_proxy() -> str:
    return os.environ.get("http_proxy", "")
