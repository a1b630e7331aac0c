"""Speaks to the local Nomad agent about this very node, with the node's own secret.

Nomad lets a node read and drain itself with its secret id, and the end of a drain may mark it eligible: no
token with rights over other nodes has to be kept here.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gate import OUR_MARK, NodeState


class NomadUnreachable(Exception):
    """The agent does not answer, or answers with an error; the text says which."""


@dataclass(frozen=True)
class NomadAccess:
    """`client_dir`: `<data_dir>/client`, with the ids of the node. No TLS files where HTTP is plain."""

    address: str
    client_dir: Path
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class NomadNode:
    """Raises NomadUnreachable from every method."""

    def __init__(self, access: NomadAccess) -> None:
        self._address = access.address.rstrip("/")
        try:
            self._id = (access.client_dir / "client-id").read_text(encoding="ascii").strip()
            self._secret = (access.client_dir / "secret-id").read_text(encoding="ascii").strip()
        except OSError as error:
            raise NomadUnreachable(f"This node has not joined Nomad yet: {error}") from None
        self._tls = None
        if self._address.startswith("https:"):
            self._tls = ssl.create_default_context(cafile=access.ca_file or None)
            # The agent's certificate is for its role and region ("client.global.nomad"), not for 127.0.0.1.
            self._tls.check_hostname = False
            if access.cert_file:
                self._tls.load_cert_chain(access.cert_file, access.key_file)

    def state(self) -> NodeState:
        """Returns the state of the node on the servers."""
        node = self._call("GET", f"/v1/node/{self._id}")
        last = node.get("LastDrain") or {}
        return NodeState(
            eligible=node["SchedulingEligibility"] == "eligible",
            draining=bool(node.get("Drain")),
            ours=OUR_MARK in (last.get("Meta") or {}),
            # Nomad gives drains no number; their times are whole seconds.
            last_drain=f"{last.get('StartedAt', '')} {json.dumps(last.get('Meta'), sort_keys=True)}",
        )

    def drain(self, reason: str, deadline_s: int) -> None:
        """Take no more work, and have Nomad move what runs; what still runs after `deadline_s` is stopped."""
        self._call(
            "PUT",
            f"/v1/node/{self._id}/drain",
            {
                "DrainSpec": {"Deadline": deadline_s * 1_000_000_000, "IgnoreSystemJobs": True},
                "Meta": {OUR_MARK: reason[:500]},
            },
        )

    def admit(self) -> None:
        """End the drain and take work."""
        self._call("PUT", f"/v1/node/{self._id}/drain", {"DrainSpec": None, "MarkEligible": True})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 -- the address is the operator's
            self._address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Nomad-Token": self._secret},
        )
        try:
            with urllib.request.urlopen(request, timeout=20, context=self._tls) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace").strip()
            raise NomadUnreachable(f"{method} {path}: {error.code} {detail}") from None
        except (OSError, ValueError) as error:
            raise NomadUnreachable(f"{self._address} does not answer: {error}") from None
