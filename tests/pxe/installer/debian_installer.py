"""Debian's network installer, taken from Debian's package and kept in the lab's cache; for tests.

An installer fetches its kernel's modules, and much else, from the mirror while it runs; not every mirror
that has the installer has those.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import subprocess
import urllib.request
from functools import cached_property
from pathlib import Path
from urllib.error import HTTPError

from lab.paths import cache_folder
from pxe.image.debian import mirror_of_this_computer
from pxe.image.folder_cache import build_once

PACKAGE = "debian-installer-13-netboot-amd64"
_INSIDE = "usr/lib/debian-installer/images/13/amd64/text/debian-installer/amd64"


class DebianMirror:
    """What this computer's mirror has for an installation."""

    def __init__(self) -> None:
        mirror = mirror_of_this_computer()
        proxy = {"http": mirror.http_proxy} if mirror.http_proxy else {}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxy))
        self._url = mirror.main

    def installer(self) -> Path:
        """The folder with `linux` and `initrd.gz`, as the package has it on Debian 13."""
        about = self._about(self._packages, PACKAGE)
        folder = cache_folder() / "installer" / about["SHA256"][:16]
        build_once(folder, lambda staging: self._unpack(about, staging))
        return folder / _INSIDE

    def lacks(self) -> str | None:
        """What an installation would ask for in vain; None when its kernel's modules are there."""
        kernel = f"kernel-image-{kernel_of(self.installer())}-di"
        try:
            self._fetch(self._about(self._modules, kernel)["Filename"], "HEAD")
        except (HTTPError, KeyError) as missing:
            return f"{self._url} has {PACKAGE} and not its {kernel}.udeb ({missing})"
        return None

    @cached_property
    def _packages(self) -> str:
        return lzma.decompress(self._fetch("dists/trixie/main/binary-amd64/Packages.xz")).decode()

    @cached_property
    def _modules(self) -> str:
        path = "dists/trixie/main/debian-installer/binary-amd64/Packages.xz"
        return lzma.decompress(self._fetch(path)).decode()

    def _about(self, packages: str, name: str) -> dict[str, str]:
        """KeyError when the list has no such package."""
        _, found, after = packages.partition(f"Package: {name}\n")
        if not found:
            raise KeyError(f"no package {name}")
        return dict(re.findall(r"^(\S+): (.*)$", after.split("\n\n")[0], re.MULTILINE))

    def _unpack(self, about: dict[str, str], target: Path) -> None:
        content = self._fetch(about["Filename"])
        got = hashlib.sha256(content).hexdigest()
        assert got == about["SHA256"], "the mirror sent another file than its list names"
        package = target / "package.deb"
        package.write_bytes(content)
        subprocess.run(["dpkg-deb", "--extract", str(package), str(target)], check=True)
        package.unlink()

    def _fetch(self, path: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(f"{self._url}/{path}", method=method)
        with self._opener.open(request, timeout=300) as answer:
            content: bytes = answer.read()
        return content


def kernel_of(folder: Path) -> str:
    """The release that a kernel's head tells: `6.12.94+deb13-amd64`."""
    with (folder / "linux").open("rb") as file:
        found = re.search(rb"\d+\.\d+\.\d+\S*-amd64(?= \()", file.read(1 << 16))
    assert found, "this is no kernel of Debian"
    return found[0].decode()
