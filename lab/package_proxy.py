"""Brings Debian packages into a lab that has no way out. A program of its own, run by `up` as
`python3 -I package_proxy.py SPEC`; only the standard library is loaded.

Its listening socket is in the lab's network, its requests leave from the computer's: a socket stays in the
namespace in which it was made. It knows the addresses of the Debian mirrors alone (plus hosts that the
operator named, as tunnels), and caches what never changes: packages, and indexes that are named by their
hash. apt-cacher-ng cannot listen in another namespace (docs/decisions/0054).

The spec (JSON): `network` (file of the namespace), `address`, `port`, `own_group`, `ready` (file written when
it listens), `cache`, `upstream` ({asked prefix: real prefix}), `http_proxy`, `tunnels` (host names).
"""

from __future__ import annotations

import ctypes
import hashlib
import http.client
import json
import os
import select
import shutil
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_CLONE_NEWNET = 0x40000000
_LARGEST_CACHE_BYTES = 6 * 2**30
_TIMEOUT_S = 60
_PASSED_ON = ("Content-Type", "Last-Modified", "ETag")


class PackageProxy(ThreadingHTTPServer):
    """The server, listening in the lab's network."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, spec: dict[str, Any]) -> None:
        self.upstream: dict[str, str] = spec["upstream"]
        self.tunnels: frozenset[str] = frozenset(spec["tunnels"])
        self.cache = Path(spec["cache"])
        self.cache.mkdir(parents=True, exist_ok=True)
        proxies = {"http": spec["http_proxy"], "https": spec["http_proxy"]} if spec["http_proxy"] else {}
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        _enter(spec["network"])
        try:
            super().__init__((spec["address"], spec["port"]), Request)
        finally:
            _enter(f"/proc/self/fd/{own}")
            os.close(own)

    def real_address(self, url: str) -> str | None:
        for prefix, real in self.upstream.items():
            if url.startswith(f"{prefix}/"):
                return real + url[len(prefix) :]
        return None

    def lock_for(self, key: str) -> threading.Lock:
        """So that six machines that want one package fetch it once."""
        with self._guard:
            return self._locks.setdefault(key, threading.Lock())


class Request(BaseHTTPRequestHandler):
    """One connection of a machine."""

    protocol_version = "HTTP/1.1"
    server: PackageProxy

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        if host not in self.server.tunnels or port != "443":
            self._refuse(host)
            return
        try:
            out = socket.create_connection((host, 443), _TIMEOUT_S)
        except OSError as error:
            self.send_error(502, f"{host} cannot be reached: {error}")
            return
        self.send_response(200, "Connected")
        self.end_headers()
        self.close_connection = True
        with out:
            _join(self.connection, out)

    def _answer(self, *, with_body: bool) -> None:
        real = self.server.real_address(self.path)
        # `..` could climb out of the mirror's folder.
        if real is None or "/../" in real:
            self._refuse(self.path)
            return
        if "/by-hash/" in real or real.endswith((".deb", ".udeb")):
            self._from_cache(real, with_body)
        else:
            self._pass_through(real, with_body)

    def _from_cache(self, real: str, with_body: bool) -> None:
        # By what machines asked for: another mirror brings the same files.
        key = hashlib.sha256(self.path.encode()).hexdigest()
        entry = self.server.cache / key
        with self.server.lock_for(key):
            if not entry.exists() and not self._fetch(real, entry):
                return
        with entry.open("rb") as file:
            os.utime(entry)
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            if with_body:
                shutil.copyfileobj(file, self.wfile)

    def _fetch(self, real: str, entry: Path) -> bool:
        """False when there was nothing to keep, and the machine has been told so."""
        try:
            with self.server.opener.open(real, timeout=_TIMEOUT_S) as answer, self._staging() as staging:
                shutil.copyfileobj(answer, staging)
                expected = answer.headers["Content-Length"]
                if expected is not None and staging.tell() != int(expected):
                    raise OSError("the mirror's answer was cut short")
                staging.flush()
                Path(staging.name).rename(entry)
        except urllib.error.HTTPError as refusal:
            self.send_error(refusal.code, f"the mirror said: {refusal.reason}")
            return False
        except (OSError, http.client.HTTPException) as error:
            self.send_error(502, f"the mirror cannot be reached: {error}")
            return False
        return True

    def _staging(self) -> Any:
        return tempfile.NamedTemporaryFile(dir=self.server.cache, prefix=".part-", delete=False)

    def _pass_through(self, real: str, with_body: bool) -> None:
        # The address begins with one of `upstream`.
        request = urllib.request.Request(real, method="GET" if with_body else "HEAD")  # noqa: S310
        since = self.headers.get("If-Modified-Since")
        if since:
            request.add_header("If-Modified-Since", since)
        try:
            with self.server.opener.open(request, timeout=_TIMEOUT_S) as answer:
                body = answer.read() if with_body else b""
                self.send_response(answer.status)
                for name in _PASSED_ON:
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                length = len(body) if with_body else answer.headers["Content-Length"] or 0
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)
        except urllib.error.HTTPError as refusal:
            if refusal.code == 304:
                self.send_response(304)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.send_error(refusal.code, f"the mirror said: {refusal.reason}")
        except (OSError, http.client.HTTPException) as error:
            self.send_error(502, f"the mirror cannot be reached: {error}")

    def _refuse(self, what: str) -> None:
        self.send_error(403, f"This lab has no way out to {what}; `soundstage lab up --allow HOST` opens one")


def _join(one: socket.socket, other: socket.socket) -> None:
    """Passes bytes both ways until one side ends."""
    while True:
        ready, _, _ = select.select([one, other], [], [], _TIMEOUT_S * 5)
        if not ready:
            return
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)


def _enter(network: str) -> None:
    file = os.open(network, os.O_RDONLY)
    try:
        # os.setns() comes with Python 3.12.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "the lab's network cannot be entered", network)
    finally:
        os.close(file)


def forget_oldest(cache: Path) -> None:
    """Removes unfinished parts, then the least recently requested files, until the rest fits."""
    entries = sorted(((path.stat(), path) for path in cache.iterdir()), key=lambda one: one[0].st_mtime)
    total = sum(stat.st_size for stat, _ in entries)
    for stat, path in entries:
        stale = path.name.startswith(".part-") and stat.st_mtime < time.time() - 3600
        if stale or total > _LARGEST_CACHE_BYTES:
            path.unlink(missing_ok=True)
            total -= stat.st_size


def main(spec: dict[str, Any]) -> None:
    Path(spec["own_group"], "cgroup.procs").write_text(str(os.getpid()))
    server = PackageProxy(spec)
    forget_oldest(server.cache)
    Path(spec["ready"]).write_text("")
    server.serve_forever()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
