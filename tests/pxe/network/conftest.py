"""A boot network per test; tests that need root, dnsmasq or QEMU skip and say how to run them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from boot_net import BootNet
from qemu_machine import why_no_qemu

from lab.requirements import what_is_missing


@pytest.fixture
def boot_net(tmp_path: Path) -> Iterator[BootNet]:
    missing = what_is_missing()
    if missing:
        pytest.skip(f"{missing} Run `sudo make test`.")
    if shutil.which("dnsmasq") is None or not Path("/usr/lib/ipxe/snponly.efi").exists():
        pytest.skip("run: apt-get install --no-install-recommends dnsmasq-base ipxe")
    with ExitStack() as stack:
        yield BootNet(tmp_path, stack)


@pytest.fixture
def qemu() -> None:
    if (missing := why_no_qemu()) is not None:
        pytest.skip(missing)
