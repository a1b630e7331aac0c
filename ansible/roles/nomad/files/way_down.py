"""Drains a Nomad node before its machine shuts down, and makes it eligible again after the next start.

Called by nomad-drain.service. Nomad's own drain_on_shutdown would leave the node ineligible for good, and
overwrite the drain of an operator. Authenticates with the node's own secret id, valid for this node alone.
Uses only the standard library: it runs with the machine's own Python.
"""

from __future__ import annotations

import argparse
import json
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MESSAGE = "the machine goes down"


class Unreachable(Exception):
    """The agent does not answer, or answers with an error; the text says which."""


class NotReady(Unreachable):
    """The node has not joined, or is not ready in time."""


class Node:
    """Calls Nomad's API for this node."""

    def __init__(self, address: str, client_dir: Path, tls_dir: Path | None) -> None:
        self._address = address
        try:
            self._id = (client_dir / "client-id").read_text(encoding="ascii").strip()
            self._secret = (client_dir / "secret-id").read_text(encoding="ascii").strip()
        except OSError as error:
            raise NotReady(f"This node has not joined Nomad yet: {error}") from None
        self._tls = None
        if tls_dir is not None:
            self._tls = ssl.create_default_context(cafile=str(tls_dir / "ca.pem"))
            # The agent's certificate is for its role and region, not for 127.0.0.1.
            self._tls.check_hostname = False
            self._tls.load_cert_chain(tls_dir / "agent.pem", tls_dir / "agent-key.pem")

    def read(self) -> dict[str, Any]:
        """Returns the node: `Status`, `Drain`, `SchedulingEligibility` and more."""
        node: dict[str, Any] = self._call("GET", "")
        return node

    def has_workload(self) -> bool:
        """Returns whether allocations run here that a drain would move."""
        return any(
            one["ClientStatus"] in ("pending", "running")
            and (one.get("Job") or {}).get("Type") not in ("system", "sysbatch")
            for one in self._call("GET", "/allocations") or []
        )

    def drain(self, deadline_s: int, meta: dict[str, str]) -> None:
        spec = {"Deadline": deadline_s * 1_000_000_000, "IgnoreSystemJobs": True}
        self._call("PUT", "/drain", {"DrainSpec": spec, "Meta": meta})

    def undrain(self) -> None:
        self._call("PUT", "/drain", {"DrainSpec": None, "MarkEligible": True})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 -- the address is the operator's
            f"{self._address}/v1/node/{self._id}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Nomad-Token": self._secret},
        )
        try:
            with urllib.request.urlopen(request, timeout=20, context=self._tls) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace").strip()
            raise Unreachable(f"{method} {path}: {error.code} {detail}") from None
        except (OSError, ValueError) as error:
            raise Unreachable(f"{self._address} does not answer: {error}") from None


def drain_and_wait(node: Node, marker: Path, deadline_s: int) -> str:
    """Drains the node; returns when nothing runs here any more, or after the deadline.

    An existing drain or ineligibility set by an operator is left as it is: the `Meta` of the last drain stays
    theirs, and `undrain_if_ours` does not make the node eligible. `marker` is a file that exists from our
    drain to the next start.
    """
    known = node.read()
    eligible = known["SchedulingEligibility"] == "eligible"
    if eligible:
        marker.touch()  # before the drain: after a crash in between it still counts as ours
    if not known["Drain"] and (eligible or node.has_workload()):
        before = {} if eligible else (known.get("LastDrain") or {}).get("Meta") or {}
        node.drain(deadline_s, {"message": MESSAGE, **before})
    end = time.monotonic() + deadline_s + 10
    while node.read()["Drain"] or node.has_workload():
        if time.monotonic() > end:
            return f"Work is left after {deadline_s} s; it goes down with the machine."
        time.sleep(0.5)
    return "Nothing runs here any more."


def undrain_if_ours(node: Node, marker: Path, wait_s: float) -> str:
    """Undoes the drain of `drain_and_wait` once the node is ready. Raises NotReady when it is not in time.

    A drain that an operator ordered while the machine was down stays. Marking it ineligible while it is down
    cannot be told from our own drain: use `nomad node drain` for that.
    """
    end = time.monotonic() + wait_s
    while (reason := _not_ready(node)) is not None:
        if time.monotonic() > end:
            raise NotReady(f"After {wait_s:.0f} s: {reason}")
        time.sleep(0.5)
    last = (node.read().get("LastDrain") or {}).get("Meta") or {}
    ours = last.get("message") == MESSAGE
    if ours:
        node.undrain()
    marker.unlink()
    return "The node takes work again." if ours else "An operator drained it meanwhile: it stays drained."


def _not_ready(node: Node) -> str | None:
    """Returns why the node is not ready; agent and servers may just be starting."""
    try:
        status = node.read()["Status"]
    except Unreachable as error:
        return str(error)
    return None if status == "ready" else f"this node is {status}."


def _seconds(duration: str) -> int:
    """Parses a duration as Nomad and systemd write it: `10m`, `1h30m`."""
    if not re.fullmatch(r"(\d+[hms])+", duration):
        raise argparse.ArgumentTypeError(f"{duration!r} is no duration such as 90s, 10m or 1h30m")
    return sum(
        int(count) * {"h": 3600, "m": 60, "s": 1}[unit]
        for count, unit in re.findall(r"(\d+)([hms])", duration)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Drain this node before its machine shuts down.")
    parser.add_argument("direction", choices=["down", "up"])
    parser.add_argument("--client-dir", type=Path, required=True, help="<data_dir>/client of Nomad")
    parser.add_argument(
        "--note", dest="marker", type=Path, required=True, help="file that exists while the machine is down"
    )
    parser.add_argument("--address", default="https://127.0.0.1:4646")
    parser.add_argument("--tls-dir", type=Path, help="ca.pem, agent.pem and agent-key.pem")
    parser.add_argument(
        "--deadline", type=_seconds, default=600, help="what runs longer is stopped: 90s, 1h30m"
    )
    parser.add_argument("--wait-s", type=float, default=60, help="for the node to be ready, after a start")
    options = parser.parse_args()
    if options.direction == "up" and not options.marker.exists():
        return 0
    try:
        node = Node(options.address, options.client_dir, options.tls_dir)
        if options.direction == "down":
            print(drain_and_wait(node, options.marker, options.deadline))
        else:
            print(undrain_if_ours(node, options.marker, options.wait_s))
    except Unreachable as error:
        print(f"nomad.way_{options.direction}: {error} Look at `systemctl status nomad`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
