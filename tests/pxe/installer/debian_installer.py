"""Debian's network installer, taken from Debian's package and kept in the lab's cache; for tests.

An installer fetches its kernel's modules, and much else, from the mirror while it runs. A mirror may have the
installer of the newest point release and only the modules of an older kernel; that kernel then replaces the
installer's own.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import re
import shutil
import subprocess
import urllib.request
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from urllib.error import HTTPError

from lab.paths import cache_folder
from pxe.image.debian import mirror_of_this_computer
from pxe.image.folder_cache import build_once

PACKAGE = "debian-installer-13-netboot-amd64"
_EVERY_INSTALLATION = ("libc6-udeb", "e2fsprogs-udeb", "gpgv-udeb")
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

    def complete_installer(self) -> Path:
        """Returns an installer whose kernel's modules the mirror has: Debian's own, or else one with a
        kernel whose modules are there.

        Raises LookupError when there is no such kernel, or another part that every installation fetches is
        missing.
        """
        if missing := [name for name in _EVERY_INSTALLATION if not self._has(name)]:
            raise LookupError(f"{self._url} lists {', '.join(missing)} and does not have them")
        own = self.installer()
        kernels = [
            kernel_of(own),
            *re.findall(r"^Package: kernel-image-(\S+)-di$", self._modules, re.MULTILINE),
        ]
        kernel = next((one for one in kernels if self._has(f"kernel-image-{one}-di")), None)
        if kernel is None:
            raise LookupError(f"{self._url} has {PACKAGE} and no kernel's modules for it")
        if kernel == kernels[0]:
            return own
        folder = own.parents[len(Path(_INSIDE).parts) - 1]
        target = folder.with_name(f"{folder.name}-{kernel}")
        return build_once(target, lambda staging: self._replace_kernel(own, kernel, staging))

    def _has(self, name: str) -> bool:
        try:
            self._fetch(self._about(self._modules, name)["Filename"], "HEAD")
        except (HTTPError, KeyError):
            return False
        return True

    def _replace_kernel(self, own: Path, kernel: str, target: Path) -> None:
        """Writes `linux` and `initrd.gz` of `own` with another kernel and that kernel's modules."""
        old = kernel_of(own)
        tree = target / "tree"
        tree.mkdir()
        content = gzip.decompress((own / "initrd.gz").read_bytes())
        subprocess.run(["cpio", "-idm", "--quiet"], input=content, cwd=tree, check=True)
        shutil.rmtree(tree / "usr/lib/modules" / old)
        status = tree / "var/lib/dpkg/status"
        for name in re.findall(rf"^Package: (\S+)-{re.escape(old)}-di$", status.read_text(), re.MULTILINE):
            with suppress(KeyError):
                about = self._about(self._modules, f"{name}-{kernel}-di")
                (tree / "package.udeb").write_bytes(self._fetch(about["Filename"]))
                packed = ["dpkg-deb", "--fsys-tarfile", "package.udeb"]
                files = subprocess.run(packed, cwd=tree, check=True, stdout=subprocess.PIPE).stdout
                unpack = ["tar", "--extract", "--keep-directory-symlink"]
                subprocess.run(unpack, input=files, cwd=tree, check=True)
                (tree / "package.udeb").unlink()
        status.write_text(status.read_text().replace(old, kernel))
        (tree / f"boot/vmlinuz-{kernel}").rename(target / "linux")
        subprocess.run(["chroot", tree, "/sbin/depmod", kernel], check=True)
        names = "".join(f"{one.relative_to(tree)}\n" for one in [tree, *sorted(tree.rglob("*"))])
        pack = ["cpio", "-o", "-H", "newc", "--quiet"]
        packed_tree = subprocess.run(pack, input=names.encode(), cwd=tree, check=True, stdout=subprocess.PIPE)
        (target / "initrd.gz").write_bytes(gzip.compress(packed_tree.stdout, 6))
        shutil.rmtree(tree)

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
