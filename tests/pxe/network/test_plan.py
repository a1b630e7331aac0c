"""A boot network that cannot work is refused before anything is written, and what is written is what dnsmasq
and nginx understand."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from boot_network import BootNetwork, Mode, dnsmasq_configuration, lay_out_tftp, nginx_site
from pydantic import ValidationError

from soundstage.errors import Unavailable

SERVER: dict[str, Any] = {
    "interface": "eth0",
    "address": "10.0.0.5",
    "network": "10.0.0.0/24",
    "mode": "server",
    "first": "10.0.0.100",
    "last": "10.0.0.200",
}
PROXY = {name: SERVER[name] for name in ("interface", "address", "network")} | {"mode": "proxy"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"interface": "eth0\ndhcp-script=/bin/sh"}, "pattern"),
        ({"address": "10.0.1.5"}, "is not in 10.0.0.0/24"),
        ({"first": None}, "needs the first and the last"),
        ({"first": "10.0.0.201"}, "is no range"),
        ({"last": "10.0.1.1"}, "is no range"),
        ({"first": "10.0.0.2"}, "own address"),
        ({"mode": "proxy"}, "gives no addresses"),
        ({"lease_minutes": 14}, "greater than or equal to 15"),
        ({"uefi_program": "../shim.efi"}, "pattern"),
        ({"tftp_folder": "/srv/a b"}, "absolute path"),
        ({"tftp_folder": "tftp"}, "absolute path"),
        ({"api_url": "http://127.0.0.1:8001/; return 200"}, "pattern"),
        (
            {"reservations": [{"mac": "52:54:00:00:00:01,ignore", "address": "10.0.0.9", "name": "a"}]},
            "pattern",
        ),
        ({"reservations": [{"mac": "52:54:00:00:00:01", "address": "10.9.0.9", "name": "a"}]}, "outside of"),
        ({"reservations": [{"mac": "52:54:00:00:00:01", "address": "10.0.0.9", "name": "a,b"}]}, "pattern"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        BootNetwork.model_validate(SERVER | changed)


@pytest.mark.parametrize(
    "plan",
    [
        SERVER,
        PROXY,
        SERVER | {"router": "10.0.0.1", "name_servers": ["10.0.0.1", "10.0.0.2"]},
        SERVER | {"reservations": [{"mac": "52:54:00:00:00:01", "address": "10.0.0.9", "name": "node1"}]},
        SERVER | {"router_advertisements": True, "uefi_program": "ipxe.efi", "http_port": 8001},
    ],
)
def test_dnsmasq_understands_what_is_written_for_it(plan: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("dnsmasq") is None:
        pytest.skip("run: apt-get install --no-install-recommends dnsmasq-base")
    file = tmp_path / "dnsmasq.conf"
    file.write_text(dnsmasq_configuration(BootNetwork.model_validate(plan)))
    done = subprocess.run(["dnsmasq", "--test", f"--conf-file={file}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nobody_is_sent_through_this_server_unasked() -> None:
    written = dnsmasq_configuration(BootNetwork.model_validate(SERVER)).splitlines()
    assert "dhcp-option=option:router" in written, "an empty option takes dnsmasq's default away"
    assert "dhcp-option=option:dns-server" in written


def test_a_proxy_offers_no_addresses_and_no_menu() -> None:
    written = dnsmasq_configuration(BootNetwork.model_validate(PROXY))
    assert "dhcp-range=10.0.0.5,proxy\n" in written
    assert "dhcp-leasefile=/var/lib/soundstage-boot/leases\n" in written, "its own place cannot be written to"
    services = [line for line in written.splitlines() if line.startswith("pxe-service")]
    assert services == ['pxe-service=tag:nobody,X86PC,"nothing",0']


def test_boot_scripts_are_named_with_their_port_when_it_is_another_than_80() -> None:
    assert BootNetwork.model_validate(PROXY).boot_url == "http://10.0.0.5/boot"
    other = BootNetwork.model_validate(PROXY | {"http_port": 8001})
    assert "http://10.0.0.5:8001/boot/first.ipxe" in dnsmasq_configuration(other)
    assert "listen 10.0.0.5:8001;" in nginx_site(other)
    assert other.mode is Mode.PROXY


def test_without_ipxe_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"undionly\.kpxe is not on this computer"):
        lay_out_tftp(tmp_path / "tftp", sources=(tmp_path,))
