"""Loads the rules of the role common in network namespaces, and calls from a worker that they close."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_firewall_rules import rules

from lab.root_tree import make_root_tree, root_tree

pytestmark = pytest.mark.root
NAMES = ("egress-worker", "egress-others")
WORKER, CONTROL, MONITORING, MIRROR, STRANGER = (f"192.0.2.{last}" for last in (11, 1, 2, 77, 99))
RPC, STUDIO, SSH, JOURNALS, WEB = 4647, 8000, 22, 19532, 443
LISTEN = """
import json, selectors, socket, sys
waiting = selectors.DefaultSelector()
for address, port in json.loads(sys.argv[1]):
    waiting.register(socket.create_server((address, port)), selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        key.fileobj.accept()[0].close()
"""
CALL = """
import errno, socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
    print("reached")
except OSError as error:
    print(errno.errorcode.get(error.errno, "timeout"))
"""


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def wire() -> Iterator[None]:
    """Two namespaces: the worker in one; all others, with an address each, in the other. Something listens on
    each address at each port."""
    worker, others = NAMES
    for name in NAMES:
        run("ip", "netns", "add", name)
    listener = None
    try:
        run(
            "ip", "-n", worker, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", others
        )
        run("ip", "-n", worker, "address", "add", f"{WORKER}/24", "dev", "wire")
        for address in (CONTROL, MONITORING, MIRROR, STRANGER):
            run("ip", "-n", others, "address", "add", f"{address}/24", "dev", "wire")
        for name in NAMES:
            for device in ("lo", "wire"):
                run("ip", "-n", name, "link", "set", device, "up")
        ports = (RPC, STUDIO, SSH, JOURNALS, WEB)
        targets = [(address, port) for address in (CONTROL, MONITORING, MIRROR, STRANGER) for port in ports]
        command = ["ip", "netns", "exec", others, "python3", "-c", LISTEN, json.dumps(targets)]
        listener = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert listener.stdout is not None and listener.stdout.readline() == "ready\n"
        yield
    finally:
        if listener is not None:
            listener.kill()
            listener.wait()
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False)


def call(address: str, port: int) -> str:
    """Returns `reached`, or the name of the error that the worker's program gets."""
    return run("ip", "netns", "exec", NAMES[0], "python3", "-c", CALL, address, str(port))


@pytest.fixture
def load(wire: None, tmp_path: Path, ansible_environment: Path) -> Callable[..., None]:
    """Loads the rules of the worker `hand-1`, by the nft of the lab's machines."""
    nft = ("chroot", str(root_tree(make_root_tree(print))), "/usr/sbin/nft", "--file", "-")

    def load_rules(**variables: object) -> None:
        lines = rules(tmp_path, **variables)["hand-1"]
        text = "\n".join(lines[1:]) + "\n"
        command = ["ip", "netns", "exec", NAMES[0], *nft]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return load_rules


def test_a_worker_reaches_what_roles_declare_and_what_the_operator_names(load: Callable[..., None]) -> None:
    mirror = {"to": [MIRROR], "tcp": [WEB], "purpose": "package mirror"}
    load(common__egress_closed=True, common__egress_to=[mirror])
    assert call(CONTROL, RPC) == "reached"
    assert call(CONTROL, STUDIO) == "reached", "the studio"
    assert call(MONITORING, JOURNALS) == "reached"
    assert call(MIRROR, WEB) == "reached"
    refused = [(CONTROL, SSH), (MONITORING, SSH), (MONITORING, STUDIO), (MIRROR, SSH)]
    refused += [(STRANGER, port) for port in (RPC, STUDIO, SSH, WEB)]
    # Refused at once, and not after a time: a program says what is wrong.
    assert {call(*one) for one in refused} == {"EHOSTUNREACH"}


def test_without_the_setting_a_worker_begins_any_connection(load: Callable[..., None]) -> None:
    load()
    assert call(STRANGER, WEB) == call(CONTROL, SSH) == "reached"
