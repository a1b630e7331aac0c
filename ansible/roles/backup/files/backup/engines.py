"""Snapshots of Consul and Nomad over their APIs, each checked before it counts.

Tokens come from files and go into headers, never into arguments.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import ssl
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from backup_error import BackupError

SNAPSHOT_PATHS = {"consul": "/v1/snapshot", "nomad": "/v1/operator/snapshot"}
TOKEN_HEADERS = {"consul": "X-Consul-Token", "nomad": "X-Nomad-Token"}
_NOT_NOW = "cannot take snapshot now"
_RETRY_S = 2.0
# Recomputes what it shows of jobs: an entry in its log that changes nothing.
_HARMLESS_WRITE = "/v1/system/reconcile/summaries"


def read_snapshot(engine: str, access: dict[str, str], wait_s: float = 60.0) -> bytes:
    """Returns the state of a running engine."""
    content = _taken(engine, access, time.monotonic() + wait_s)
    require_snapshot(content, f"What {engine} sent")
    return content


def _taken(engine: str, access: dict[str, str], deadline_s: float) -> bytes:
    """Tries again while its servers are in trouble. After one has left or joined, Raft takes no snapshot
    before the next write has come (from another server of Consul that is a broken connection): Consul's come
    by themselves, an idle Nomad's may not come for hours.
    """
    while True:
        try:
            return _call(engine, access, "GET", SNAPSHOT_PATHS[engine])
        except BackupError as error:
            if f"{engine} answers 5" not in str(error) or time.monotonic() > deadline_s:
                raise
            needs_write = engine == "nomad" and _NOT_NOW in str(error)
        if needs_write:
            _call(engine, access, "PUT", _HARMLESS_WRITE)
        time.sleep(_RETRY_S)


def restore_snapshot(engine: str, access: dict[str, str], content: bytes) -> None:
    """Replaces the state of a running engine."""
    _call(engine, access, "PUT", SNAPSHOT_PATHS[engine], content)


def drop_former_node(engine: str, access: dict[str, str], host: str, wait_s: float = 60.0) -> list[str]:
    """Removes what a restored engine knows of the lost machine whose name this one has; returns its ids.

    Nomad would take its tasks for alive for five minutes. Consul reserves the name for its id, and so
    refuses the services of this machine.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return _former_of_nomad(access, host) if engine == "nomad" else _former_of_consul(access, host)
        except BackupError:
            # It elects a leader after a restore.
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def _former_of_nomad(access: dict[str, str], host: str) -> list[str]:
    """A machine that is no client has no node."""
    own_file = Path(access.get("client_id_file") or "/nowhere")
    if not own_file.exists():
        return []
    own = own_file.read_text(encoding="ascii").strip()
    nodes = json.loads(_call("nomad", access, "GET", "/v1/nodes"))
    former = [one["ID"] for one in nodes if one["Name"] == host and one["ID"] != own]
    for node in former:
        _call("nomad", access, "PUT", f"/v1/node/{node}/purge")
    return former


def _former_of_consul(access: dict[str, str], host: str) -> list[str]:
    own = json.loads(_call("consul", access, "GET", "/v1/agent/self"))["Config"]["NodeID"]
    nodes = json.loads(_call("consul", access, "GET", "/v1/catalog/nodes"))
    former = [one["ID"] for one in nodes if one["Node"] == host and one["ID"] != own]
    if former:
        # The agent registers itself and its services again within seconds.
        _call("consul", access, "PUT", "/v1/catalog/deregister", json.dumps({"Node": host}).encode())
    return former


def require_snapshot(content: bytes, name: str) -> None:
    """A snapshot is a packed tar file with `state.bin`, and with the checksums of what it holds."""
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
            held = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
            read = {name: opened.read() for name, opened in held.items() if opened is not None}
        sums = dict(reversed(line.split()) for line in read["SHA256SUMS"].decode().splitlines())
        whole = "state.bin" in sums and all(
            hashlib.sha256(read[one]).hexdigest() == sums[one] for one in sums
        )
    except (OSError, EOFError, ValueError, KeyError, tarfile.TarError) as error:
        raise BackupError("backup.damaged", f"{name} is no snapshot: {error!r}", "Take a new one.") from None
    if not whole:
        raise BackupError("backup.damaged", f"{name} holds other bytes than it says.", "Take a new one.")


def _call(engine: str, access: dict[str, str], method: str, path: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(  # noqa: S310 -- the address is the operator's
        access["address"].rstrip("/") + path, data=body, method=method
    )
    if access.get("token_file"):
        request.add_header(
            TOKEN_HEADERS[engine], Path(access["token_file"]).read_text(encoding="ascii").strip()
        )
    tls = None
    if access["address"].startswith("https:"):
        tls = ssl.create_default_context(cafile=access.get("ca_file") or None)
        tls.check_hostname = False  # the certificate is for the agent's role, not for its address
        if access.get("cert_file"):
            tls.load_cert_chain(access["cert_file"], access["key_file"])
    try:
        with urllib.request.urlopen(request, timeout=300, context=tls) as answer:  # noqa: S310
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        detail = error.read().decode(errors="replace").strip()
        hint = "Its token may have been rotated: converge the machine again." if error.code == 403 else ""
        raise BackupError(
            f"backup.{engine}_refused", f"{engine} answers {error.code}: {detail}", hint
        ) from None
    except OSError as error:
        hint = f"Look at `systemctl status {engine}`."
        raise BackupError(f"backup.{engine}_silent", f"{engine} does not answer: {error}", hint) from None
