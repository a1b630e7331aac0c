"""Writes the machines that Consul's catalogue names to files that Prometheus reads (`file_sd_configs`).

Debian builds Prometheus without Consul's service discovery. Run by soundstage-targets.service on the machine
of Prometheus; waits in a blocking query, so a machine that joins is in the files within a second. Machines
that are lost stay in them until Consul forgets them. Only the standard library: it runs with the machine's
own Python.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

WAIT_S = 60
PAUSE_S = 5.0
NODES, SERVERS = "/v1/catalog/nodes", "/v1/catalog/service/consul"


class Catalogue:
    """Reads Consul's catalogue with a token that may read names. Raises OSError and ValueError."""

    def __init__(self, address: str, authority: Path, credentials: Path) -> None:
        self._address = address
        self._authority = authority
        self._credentials = credentials

    def read(self, path: str, after: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Returns the entries and the index of their last change; waits until it is another than `after`."""
        # Read anew each time: a certificate or token may have been renewed.
        trust = ssl.create_default_context(cafile=str(self._authority))
        trust.load_cert_chain(self._credentials / "cert.pem", self._credentials / "key.pem")
        token = (self._credentials / "consul.token").read_text(encoding="ascii").strip()
        query = f"?index={after}&wait={WAIT_S}s" if after else ""
        request = urllib.request.Request(  # noqa: S310 -- the address is the operator's
            self._address + path + query, headers={"X-Consul-Token": token}
        )
        with urllib.request.urlopen(request, timeout=WAIT_S * 2, context=trust) as answer:  # noqa: S310
            return json.loads(answer.read()), int(answer.headers["X-Consul-Index"])


def target_groups(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns a group per machine; Prometheus adds the port of each job."""
    found = {entry["Node"]: entry["Address"] for entry in entries}
    return [{"targets": [address], "labels": {"instance": node}} for node, address in sorted(found.items())]


def write_targets(file: Path, groups: list[dict[str, Any]]) -> bool:
    """Replaces `file` when it differs; returns whether it did."""
    text = json.dumps(groups, indent=1) + "\n"
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    staging = file.with_suffix(".new")
    staging.write_text(text, encoding="utf-8")
    staging.replace(file)
    return True


def follow(catalogue: Catalogue, folder: Path, *, once: bool = False) -> None:
    """Keeps `machines.json` and `servers.json` as the catalogue is; returns only with `once`."""
    after = 0
    while True:
        try:
            nodes, index = catalogue.read(NODES, after)
            servers, _ = catalogue.read(SERVERS)
            # An index that goes back is of another state (a restored snapshot): start anew.
            after = index if index >= after else 0
            changed = [
                write_targets(folder / name, target_groups(entries))
                for name, entries in (("machines.json", nodes), ("servers.json", servers))
            ]
            if any(changed):
                print(f"{len(nodes)} machines, {len({one['Node'] for one in servers})} servers", flush=True)
        except (OSError, ValueError, KeyError) as error:
            # The files stay as they were: what is watched is watched on.
            print(f"targets.consul_unreachable: {error}", file=sys.stderr, flush=True)
            after = 0
            time.sleep(PAUSE_S)
        if once:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description="Write Consul's machines for Prometheus.")
    parser.add_argument("--consul", default="https://127.0.0.1:8501")
    parser.add_argument(
        "--authority", type=Path, required=True, help="what Consul's certificate is signed by"
    )
    parser.add_argument("--credentials", type=Path, required=True, help="cert.pem, key.pem, consul.token")
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    follow(Catalogue(options.consul.rstrip("/"), options.authority, options.credentials), options.folder)


if __name__ == "__main__":
    main()
