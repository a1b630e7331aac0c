"""Runs the services for network boot in a lab: DHCP by dnsmasq, files by nginx, and the provisioning
process itself, all in the lab's network (for tests of network boot and bench/metal).

Machines reach the API over the bridge, operators over the loopback interface of that network.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
from boot_network import BootNetwork, Mode, dnsmasq_configuration, lay_out_tftp, nginx_site
from qemu_machine import QemuMachine

from lab.control_groups import keepers_group
from lab.network import BRIDGE, connect, inside
from lab.paths import LabPaths
from lab.plan import GATEWAY, NETWORK_PREFIX
from lab.ssh_access import enter_command
from pxe.image.build import BuiltImage
from soundstage.errors import SoundstageError, Unavailable, Upstream
from soundstage.http import open_blocking_client

PORT, TLS_PORT = 8001, 8002
_START_S = 120.0


class BootServices:
    """Call `start`, then switch machines on. `Lab.down` ends these processes, like all of a lab."""

    def __init__(self, lab: LabPaths, environment: Mapping[str, str]) -> None:
        """`environment`: settings (`SOUNDSTAGE_…`) that override or extend those of the lab."""
        self.lab = lab
        self.key = secrets.token_hex(32)
        """The administrator's."""
        self.folder = lab.folder / "boot-services"
        self.state = self.folder / "state"
        self.artefacts = self.folder / "artefacts"
        self._environment = {
            **os.environ,
            "SOUNDSTAGE_STATE_DIR": str(self.state),
            "SOUNDSTAGE_API_KEY_HASHES": hashlib.sha256(self.key.encode()).hexdigest(),
            "SOUNDSTAGE_LOG__LEVEL": "warning",
            "SOUNDSTAGE_PROVISIONING__ARTEFACT_DIR": str(self.artefacts),
            "SOUNDSTAGE_PROVISIONING__PORT": str(PORT),
            "SOUNDSTAGE_PROVISIONING__TLS_PORT": str(TLS_PORT),
            "SOUNDSTAGE_PROVISIONING__TLS_NAMES": GATEWAY,
            "SOUNDSTAGE_PROVISIONING__PUBLIC_URL": f"http://{GATEWAY}",
            **environment,
        }
        self._api: subprocess.Popen[bytes] | None = None
        self._sockets: list[socket.socket] = []

    @property
    def dhcp_log(self) -> str:
        return (self.folder / "dnsmasq.log").read_text(errors="replace")

    @property
    def script_requests(self) -> int:
        """The number of boot scripts that machines have fetched."""
        log = self.folder / "soundstage-boot.log"
        return len(re.findall(r'"GET /boot/[0-9a-f-]{17}\.ipxe ', log.read_text()))

    def start(self, **overrides: Any) -> None:
        """Returns when the API answers and DHCP serves. `overrides`: fields of `BootNetwork`."""
        self.artefacts.mkdir(parents=True, exist_ok=True)
        self.start_api()
        self.start_boot_network(**overrides)

    def start_api(self) -> None:
        if not self._sockets:
            # On all addresses: machines call the bridge's, operators the loopback one.
            self._sockets = [listening(self.lab, "0.0.0.0", port) for port in (PORT, TLS_PORT)]  # noqa: S104
        descriptors = tuple(one.fileno() for one in self._sockets)
        self._api = self._run("api", provisioning_command(*self._sockets), descriptors)
        self._wait(self._api, "api", lambda: self.call("GET", "/api/health") is not None)

    def stop_api(self) -> None:
        """Ends the API by SIGKILL. `start_api` starts it anew; until then connections wait."""
        if self._api is not None:
            self._api.send_signal(signal.SIGKILL)
            self._api.wait()

    def restart_api(self, environment: Mapping[str, str]) -> None:
        """Restarts the API with more settings, such as the address of a Nomad."""
        self.stop_api()
        self._environment |= environment
        self.start_api()

    def start_boot_network(self, **overrides: Any) -> None:
        """Starts DHCP, TFTP and nginx. `overrides`: fields of `BootNetwork`."""
        if missing := [one for one in ("dnsmasq", "nginx") if shutil.which(one) is None]:
            raise Unavailable(
                "lab.no_boot_network",
                f"{' and '.join(missing)} cannot be found.",
                "Run: apt-get install --no-install-recommends dnsmasq-base nginx",
            )
        tftp = self.folder / "tftp"
        lay_out_tftp(tftp)
        network = BootNetwork.model_validate(
            {
                "interface": BRIDGE,
                "address": IPv4Address(GATEWAY),
                "network": IPv4Network(f"{NETWORK_PREFIX}.0/24"),
                "mode": Mode.SERVER,
                "first": IPv4Address(f"{NETWORK_PREFIX}.101"),
                "last": IPv4Address(f"{NETWORK_PREFIX}.199"),
                "router_advertisements": True,
                "tftp_folder": PurePosixPath(tftp),
                "artefact_folder": PurePosixPath(self.artefacts),
                "api_url": f"http://127.0.0.1:{PORT}",
                **overrides,
            }
        )
        text = dnsmasq_configuration(network)
        # Redirects the leases file into the lab's folder.
        text = text.replace("/var/lib/soundstage-boot/leases", str(self.folder / "leases"))
        configuration = self.folder / "dnsmasq.conf"
        configuration.write_text(text)
        _add_ipv6_address(self.lab)
        arguments = ["--keep-in-foreground", "--log-facility=-", "--user=root"]
        dnsmasq = self._run("dnsmasq", ["dnsmasq", *arguments, f"--conf-file={configuration}"])
        nginx = self._run("nginx", ["nginx", "-c", str(self._nginx(nginx_site(network)))])
        self._wait(dnsmasq, "dnsmasq", lambda: "DHCP, IP range" in self.dhcp_log)
        self._wait(nginx, "nginx", lambda: _answers(self.lab, 80))

    def _nginx(self, site: str) -> Path:
        """An nginx of its own, whose files are all in the lab's folder."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        lines = [
            f"user root; daemon off; pid {self.folder}/nginx.pid; error_log stderr; events {{}}",
            "http {",
            *(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds),
            site.replace("/var/log/nginx/", f"{self.folder}/"),
            "}",
        ]
        path = self.folder / "nginx.conf"
        path.write_text("\n".join(lines) + "\n")
        return path

    def call(self, method: str, path: str, body: Any = None, timeout_s: float = 60) -> Any:
        """Calls the API as an operator. Raises Upstream `lab.api_refuses` on an error status."""

        def request() -> httpx.Response:
            headers = {"Authorization": f"Bearer {self.key}"}
            url = f"http://127.0.0.1:{PORT}"
            with open_blocking_client(url, headers=headers, timeout=timeout_s) as client:
                return client.request(method, path, json=body)

        response = inside(self.lab, request)
        if not response.is_success:
            raise Upstream("lab.api_refuses", f"{method} {path}: {response.text[:500]}", "See its log.")
        is_json = response.headers.get("content-type", "").startswith("application/json")
        return response.json() if is_json else response.text

    def accept(self, found: dict[str, Any], name: str) -> None:
        """Accepts a machine as it was listed, by the fingerprint of its key."""
        self.call("POST", f"/api/machines/{found['name']}/accept", {"name": name, "code": found["code"]})

    def publish(self, image: BuiltImage) -> None:
        """Publishes the image that machines boot and install; the ramdisk trusts this process alone."""
        image.copy_to(
            self.artefacts,
            ca_pem=self.call("GET", "/api/ca.pem"),
            manifest_key=self.call("GET", "/boot/manifest.pub"),
            built_at=int(time.time()),
        )
        self.call("POST", "/api/artefacts/publish")

    def machine(self, mac: str) -> dict[str, Any] | None:
        """Returns the API's entry of the machine with this address; None when there is none."""
        machines: list[dict[str, Any]] = self.call("GET", "/api/machines")
        return next((one for one in machines if mac in one["macs"]), None)

    def wait_for(self, machine: QemuMachine, *states: str, timeout_s: float = 1800) -> dict[str, Any]:
        """Returns the machine once it is in one of the states. Raises Upstream `lab.boot_failed`, with the
        end of its console, when it failed, is off, or is not in one of them in time.
        """
        deadline, found = time.monotonic() + timeout_s, None
        while time.monotonic() < deadline:
            found = self.machine(machine.plan.mac)
            if found is not None and found["state"] in states:
                return found
            if not machine.is_on() or (found is not None and found["state"] == "failed"):
                break
            time.sleep(0.2)
        is_now = "unknown" if found is None else f"{found['state']} ({found['cause'] or 'no cause'})"
        console = " / ".join(machine.console.strip().splitlines()[-8:])
        raise Upstream(
            "lab.boot_failed",
            f"{machine.plan.name} is {is_now} and not {' or '.join(states)}. Its console: {console}",
            f"Its files are in {machine.folder} while the lab is up.",
        )

    def _run(
        self, name: str, command: list[str], descriptors: tuple[int, ...] = ()
    ) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*enter_command(self.lab), *command],
                # The API exits when its standard input closes, so it ends with this process.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=Path(__file__).parents[2],
                pass_fds=descriptors,
            )
        with suppress(ProcessLookupError):
            (keepers_group(self.lab) / "cgroup.procs").write_text(str(process.pid))
        return process

    def _wait(self, process: subprocess.Popen[bytes], name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            with suppress(httpx.TransportError, SoundstageError):
                if ready():
                    return
            if process.poll() is not None or time.monotonic() > deadline:
                output = (self.folder / f"{name}.log").read_text(errors="replace")[-800:]
                raise Unavailable("lab.boot_failed", f"{name} does not start: {output}", "See its log.")
            time.sleep(0.05)


def _answers(lab: LabPaths, port: int) -> bool:
    with suppress(OSError), connect(lab, GATEWAY, port, 1.0):
        return True
    return False


def _add_ipv6_address(lab: LabPaths) -> None:
    """Adds an address to advertise from, for iPXE that waits for IPv6."""
    subprocess.run(
        ["ip", "-n", lab.network, "-6", "addr", "add", "fd77::1/64", "dev", BRIDGE, "nodad"],
        check=False,  # it may be there
        capture_output=True,
    )


def listening(lab: LabPaths, address: str, port: int = 0) -> socket.socket:
    """Inherited by processes that are started with it; `port` 0 is any that is free."""

    def listen() -> socket.socket:
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen(512)
        opened.set_inheritable(True)
        return opened

    return inside(lab, listen)


def provisioning_command(plain: socket.socket, tls: socket.socket) -> list[str]:
    """To be run in the lab's network with both in `pass_fds`, from the checkout."""
    module = [sys.executable, "-m", "app.provisioning_server"]
    return [*module, "--socket", str(plain.fileno()), "--tls-socket", str(tls.fileno())]
