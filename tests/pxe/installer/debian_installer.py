"""Debian's network installer, taken from Debian's package and kept in the lab's cache; for tests."""

from __future__ import annotations

import hashlib
import lzma
import re
import subprocess
import urllib.request
from pathlib import Path

from lab.mirror import mirror_of_this_computer
from lab.places import cache_folder

PACKAGE = "debian-installer-13-netboot-amd64"
_INSIDE = "usr/lib/debian-installer/images/13/amd64/text/debian-installer/amd64"


def debian_installer() -> Path:
    """The folder with `linux` and `initrd.gz`, as the package has it on Debian 13."""
    mirror = mirror_of_this_computer()
    proxy = {"http": mirror.http_proxy} if mirror.http_proxy else {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxy))

    def fetch(path: str) -> bytes:
        with opener.open(f"{mirror.main}/{path}", timeout=300) as answer:
            content: bytes = answer.read()
        return content

    kept = sorted((cache_folder() / "installer").glob(f"*/{_INSIDE}/initrd.gz"))
    if kept:
        return kept[-1].parent
    packages = lzma.decompress(fetch("dists/trixie/main/binary-amd64/Packages.xz")).decode()
    about = packages[packages.index(f"Package: {PACKAGE}\n") :].split("\n\n")[0]
    said = {name: re.search(rf"^{name}: (\S+)$", about, re.MULTILINE) for name in ("Filename", "SHA256")}
    assert said["Filename"] and said["SHA256"], about
    content = fetch(said["Filename"][1])
    digest = hashlib.sha256(content).hexdigest()
    assert digest == said["SHA256"][1], "the mirror sent another file than its list names"
    folder = cache_folder() / "installer" / digest[:16]
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / "package.deb"
    package.write_bytes(content)
    subprocess.run(["dpkg-deb", "--extract", str(package), str(folder)], check=True)
    package.unlink()
    return folder / _INSIDE
