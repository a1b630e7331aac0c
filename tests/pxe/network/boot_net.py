"""A network to boot from, made for one test: a bridge in a namespace with our dnsmasq and a web server on it
and, if wanted, a DHCP server of somebody else behind a cable of its own.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from typing import Any

from boot_network import BootNetwork, Mode, dnsmasq_configuration, lay_out_tftp
from boot_packets import Step, steps, write_capture
from wire import Wire

from lab.network import BRIDGE, inside, make_network, remove_network
from lab.paths import LabPaths
from lab.plan import GATEWAY
from lab.programs import run_program

STRANGER = "10.77.0.2"
PATIENCE_S = 300.0
_OVMF = Path("/usr/share/OVMF")
_FIRST = f"#!ipxe\nchain http://{GATEWAY}/boot/${{net0/mac:hexhyp}}.ipxe\n"
_END = "#!ipxe\necho the machine has got its script\nsleep 600\n"


class BootNet:
    """`add_stranger` and `serve` may be called in any order; all ends with the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.tftp = folder / "tftp"
        self.paths = LabPaths(f"boot-{os.getpid()}")
        self.requests: list[str] = []
        self._stack = stack
        lay_out_tftp(self.tftp)
        stack.callback(remove_network, self.paths)
        remove_network(self.paths)
        make_network(self.paths)
        address = f"addr add fd77::1/64 dev {BRIDGE} nodad\n"
        run_program(["ip", "-n", self.paths.network, "-batch", "-"], doing="Addressing it", stdin=address)
        self._web = self.inside(lambda: ThreadingHTTPServer((GATEWAY, 80), self._handler()))
        threading.Thread(target=self._web.serve_forever, daemon=True).start()
        stack.callback(self._web.shutdown)

    def inside(self, work: Callable[[], Any]) -> Any:
        return inside(self.paths, work)

    def plan(self, mode: Mode, **more: Any) -> BootNetwork:
        if mode is Mode.SERVER:
            request = {"first": IPv4Address("10.77.0.100"), "last": IPv4Address("10.77.0.150")}
            more = {**request, "router_advertisements": True, **more}
        return BootNetwork(
            interface=BRIDGE,
            address=IPv4Address(GATEWAY),
            network=IPv4Network("10.77.0.0/24"),
            mode=mode,
            tftp_folder=PurePosixPath(self.tftp),
            **more,
        )

    def serve(self, network: BootNetwork) -> None:
        """Our dnsmasq, with what the plan says."""
        written = dnsmasq_configuration(network).replace("/var/lib/soundstage-boot", str(self.folder))
        file = self.folder / "dnsmasq.conf"
        file.write_text(written)
        self._start(self.paths.network, "ours", ["--user=root", f"--conf-file={file}"])

    def add_stranger(
        self, *options: str, address: str = STRANGER, gives: str = "10.77.0.200,10.77.0.240,1h"
    ) -> None:
        """A DHCP server that knows nothing of us."""
        name = f"{self.paths.network}-{address.rpartition('.')[2]}"
        link = f"sl{os.getpid() % 100000}x{address.rpartition('.')[2]}"
        ours = self.paths.network
        run_program(["ip", "netns", "add", name], doing="Making a namespace")
        self._stack.callback(run_program, ["ip", "netns", "del", name], doing="Removing it")
        batch = f"link add {link} type veth peer name eth0 netns {name}\nlink set {link} master {BRIDGE} up\n"
        run_program(["ip", "-n", ours, "-batch", "-"], doing="Plugging it in", stdin=batch)
        batch = f"addr add {address}/24 dev eth0\naddr add fd77::{address[-1]}/64 dev eth0 nodad\n"
        batch += "link set eth0 up\n"
        run_program(["ip", "-n", name, "-batch", "-"], doing="Addressing it", stdin=batch)
        leases = self.folder / f"stranger-{address}.leases"
        known = ["--conf-file=/dev/null", "--user=root", "--port=0", "--interface=eth0", "--bind-interfaces"]
        known += ["--log-dhcp", f"--dhcp-range={gives}", f"--dhcp-leasefile={leases}"]
        # Its routers are advertised, as in most networks: iPXE of 2019 waits 13 s for one.
        known += ["--enable-ra", "--dhcp-range=::,constructor:eth0,ra-stateless"]
        self._start(name, f"stranger-{address}", [*known, *options])

    @contextmanager
    def machine(self, firmware: Sequence[str], *, posing: bool = False) -> Iterator[Wire]:
        """Switched on while the context lasts."""
        wire: Wire = self.inside(lambda: Wire(self.folder, "machine", posing=posing))
        try:
            bridge = f"link set {wire.tap} master {BRIDGE} up\n"
            run_program(["ip", "-n", self.paths.network, "-batch", "-"], doing="Plugging it in", stdin=bridge)
            command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]
            command += ["-nodefaults", "-display", "none", "-m", "512", *wire.qemu_arguments, *firmware]
            with (self.folder / "qemu.log").open("wb") as log:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                yield wire
            finally:
                process.terminate()
                process.wait(60)
        finally:
            wire.close()

    def boot(self, firmware: Sequence[str], *, posing: bool = False) -> list[Step]:
        """What was on the wire until the machine asked for its own script."""
        with self.machine(firmware, posing=posing) as wire:
            until = time.monotonic() + PATIENCE_S
            while not any(path.startswith("/boot/52-54-00") for path in self.requests):
                seen = "\n".join(step.line for step in steps(list(wire.frames)))
                assert time.monotonic() < until, f"it never asked for its script:\n{seen}\n{self.log()}"
                time.sleep(0.1)
            self._keep_capture(wire)
            return steps(list(wire.frames))

    def _keep_capture(self, wire: Wire) -> None:
        """For the figures of docs/guide/network-boot.md, and for Wireshark."""
        stored = os.environ.get("TEST_KEEP_CAPTURES")
        if stored:
            name = Path(stored) / os.environ["PYTEST_CURRENT_TEST"].split("::")[1].split(" ")[0]
            write_capture(name.with_suffix(".pcap"), wire.frames)
            name.with_suffix(".txt").write_text("".join(f"{step.line}\n" for step in steps(wire.frames)))

    def log(self) -> str:
        return (self.folder / "ours.log").read_text(errors="replace")[-4000:]

    def uefi(self, *, http: bool) -> list[str]:
        """QEMU's words for UEFI whose network card has no ROM: the firmware's own PXE, or its HTTP boot."""
        variables = self.folder / "variables.fd"
        variables.write_bytes((_OVMF / "OVMF_VARS_4M.fd").read_bytes())
        words = ["-drive", f"if=pflash,format=raw,readonly=on,file={_OVMF}/OVMF_CODE_4M.fd"]
        words += ["-drive", f"if=pflash,format=raw,file={variables}"]
        words += ["-device", "virtio-net-pci,netdev=wire,bootindex=0,romfile=", "-device", "virtio-rng-pci"]
        for name in ("IPv6PXESupport", "IPv4PXESupport" if http else "IPv6Support"):
            words += ["-fw_cfg", f"name=opt/org.tianocore/{name},string=n"]
        return words

    def _start(self, network: str, name: str, options: list[str]) -> None:
        command = ["ip", "netns", "exec", network, "dnsmasq", "--keep-in-foreground", "--log-facility=-"]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--pid-file=", *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._stack.callback(process.wait, 60)
        self._stack.callback(process.terminate)
        until = time.monotonic() + PATIENCE_S
        while b"DHCP" not in (output := (self.folder / f"{name}.log").read_bytes()):
            assert process.poll() is None and time.monotonic() < until, output.decode()
            time.sleep(0.02)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        request, tftp = self.requests, self.tftp

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(with_body=True)

            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def log_message(self, *_: object) -> None:
                """Nothing: the wire is the record."""

            def _answer(self, *, with_body: bool) -> None:
                request.append(self.path)
                name = self.path.rpartition("/")[2]
                scripts = {"first.ipxe": _FIRST}
                program = tftp / name
                body = program.read_bytes() if program.is_file() else scripts.get(name, _END).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

        return Handler


BIOS = ("-device", "virtio-net-pci,netdev=wire,bootindex=0", "-device", "virtio-rng-pci")
